//! [`Value`]: a payload whose shape is only known at run time, and the two types that msgpack needs an
//! extension for, [`Timestamp`] and [`Tensor`].

mod tensor;
mod timestamp;

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(crate) use self::serde_bytes_buf::ByteBuf;
pub(crate) use tensor::serialize_ext;
pub use tensor::{Dtype, Tensor};
pub use timestamp::Timestamp;

/// Any value that can travel between Rust and Python.
///
/// | Python | `Value` |
/// |---|---|
/// | `None`, `bool` | `Null`, `Bool` |
/// | `int` | `Int`, or `Uint` from 2⁶³ to 2⁶⁴−1 |
/// | `float`, `str`, `bytes` | `Float`, `Str`, `Bytes` |
/// | `list`, `tuple` | `List` |
/// | `dict` | `Map`, keys as text; int keys become their decimal text |
/// | aware `datetime` | `Timestamp` |
/// | numpy array, `memoryview`, `array` | `Tensor` |
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `None`.
    #[default]
    Null,
    /// `bool`.
    Bool(bool),
    /// An `int` that fits 64 bits with a sign.
    Int(i64),
    /// An `int` from 2⁶³ to 2⁶⁴−1.
    Uint(u64),
    /// `float`; NaN and infinities survive.
    Float(f64),
    /// `str`.
    Str(String),
    /// `bytes`.
    Bytes(Bytes),
    /// `list` or `tuple`.
    List(Vec<Value>),
    /// `dict`.
    Map(BTreeMap<String, Value>),
    /// An aware `datetime`.
    Timestamp(Timestamp),
    /// A numeric array.
    Tensor(Tensor),
}

impl Value {
    /// The entry of a map; none if this is no map or has no such key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number as a float, if this is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Int(n) => Some(n as f64),
            Self::Uint(n) => Some(n as f64),
            Self::Float(n) => Some(n),
            _ => None,
        }
    }

    /// The number as an `i64`, if this is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int(n) => Some(n),
            Self::Uint(n) => i64::try_from(n).ok(),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident),* $(,)?) => {
        $(impl From<$source> for Value {
            fn from(value: $source) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(bool => Bool, i32 => Int, i64 => Int, u32 => Int, f32 => Float, f64 => Float, &str => Str, String => Str,
    Bytes => Bytes, BTreeMap<String, Value> => Map, Timestamp => Timestamp, Tensor => Tensor);

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Uint(value), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Value {
    fn from(entries: [(K, V); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(entries) => serializer.collect_map(entries),
            Self::Timestamp(value) => value.serialize(serializer),
            Self::Tensor(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the table in `slither::Value`")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            if entries.insert(key, value).is_some() {
                return Err(de::Error::custom("two keys of a map are the same once they are text"));
            }
        }
        Ok(Value::Map(entries))
    }

    // An extension arrives as a newtype around the pair of its code and its bytes.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let (code, body): (i8, serde_bytes_buf::ByteBuf) = Deserialize::deserialize(deserializer)?;
        match code {
            timestamp::CODE => Timestamp::from_ext(&body.0).map(Value::Timestamp).map_err(de::Error::custom),
            tensor::CODE => Tensor::from_ext(&body.0).map(Value::Tensor).map_err(de::Error::custom),
            other => Err(de::Error::custom(format!("unknown msgpack extension {other}"))),
        }
    }
}

/// A map key: text, or an integer taken as its decimal text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Str(key) => Ok(Self(key)),
            Value::Int(key) => Ok(Self(key.to_string())),
            Value::Uint(key) => Ok(Self(key.to_string())),
            other => Err(de::Error::custom(format!("a map key is text or an integer, not {other:?}"))),
        }
    }
}

/// Bytes, owned, as serde hands them over.
pub(crate) mod serde_bytes_buf {
    use super::*;

    #[derive(Debug)]
    pub(crate) struct ByteBuf(pub(crate) Vec<u8>);

    impl<'de> Deserialize<'de> for ByteBuf {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Raw;
            impl Visitor<'_> for Raw {
                type Value = ByteBuf;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, value: &[u8]) -> Result<ByteBuf, E> {
                    Ok(ByteBuf(value.to_vec()))
                }
                fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<ByteBuf, E> {
                    Ok(ByteBuf(value))
                }
            }
            deserializer.deserialize_byte_buf(Raw)
        }
    }
}
