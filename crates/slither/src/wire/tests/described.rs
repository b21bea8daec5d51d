//! A body as `frames.json` describes it, in the order in which its entries are given.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec;
use crate::value::{Dtype, Tensor, Timestamp, Value, serialize_ext};

/// One described value.
#[derive(Debug, Clone)]
pub(super) enum Described {
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Vec<Described>),
    /// Keys of any kind.
    Map(Vec<(Described, Described)>),
    Bytes(Vec<u8>),
    Timestamp(Timestamp),
    Tensor(Tensor),
    Ext(i8, Vec<u8>),
}

impl Described {
    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(self, &mut bytes).unwrap();
        bytes
    }

    pub(super) fn value(&self) -> Value {
        codec::decode(&self.encoded()).unwrap()
    }

    /// What a map with a single key that begins with `$` stands for.
    fn special(key: &str, inner: &Self) -> Option<Self> {
        Some(match key {
            "$bytes" => Self::Bytes(hex(inner.text())),
            "$float" => Self::Float(inner.text().parse().unwrap()),
            "$map" => Self::Map(
                inner.list().iter().map(|pair| (pair.list()[0].clone(), pair.list()[1].clone())).collect(),
            ),
            "$ext" => {
                let code = inner.list()[0].value().as_i64().unwrap();
                Self::Ext(i8::try_from(code).unwrap(), hex(inner.list()[1].text()))
            }
            "$timestamp" => {
                let value = inner.value();
                let part = |at: usize| value.as_list().unwrap()[at].as_i64().unwrap();
                Self::Timestamp(Timestamp::new(part(0), u32::try_from(part(1)).unwrap()).unwrap())
            }
            "$tensor" => {
                let value = inner.value();
                let part = |key| value.get(key).unwrap();
                let dtype = part("dtype").as_str().unwrap();
                let shape = part("shape").as_list().unwrap();
                let shape = shape.iter().map(|size| size.as_i64().unwrap() as usize).collect();
                let data = hex(part("data").as_str().unwrap());
                Self::Tensor(Tensor::new(dtype_of(dtype), shape, data).unwrap())
            }
            _ => return None,
        })
    }
}

fn dtype_of(name: &str) -> Dtype {
    use Dtype::{Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
    let all = [Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64];
    all.into_iter().find(|dtype| dtype.name() == name).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A value in which a NaN is equal to itself.
pub(super) fn plain(value: &Value) -> String {
    format!("{value:?}")
}

impl Serialize for Described {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Uint(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
            Self::Timestamp(value) => value.serialize(serializer),
            Self::Tensor(value) => value.serialize(serializer),
            Self::Ext(code, body) => serialize_ext(serializer, *code, body),
        }
    }
}

impl<'de> Deserialize<'de> for Described {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Described;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a described value")
            }

            fn visit_unit<E>(self) -> Result<Described, E> {
                Ok(Described::Nil)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Described, E> {
                Ok(Described::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Described, E> {
                Ok(Described::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Described, E> {
                Ok(Described::Uint(value))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Described, E> {
                Ok(Described::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Described, E> {
                Ok(Described::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Described, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Described::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Described, A::Error> {
                let mut entries = Vec::<(String, Described)>::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                if let [(key, inner)] = &entries[..]
                    && let Some(special) = Described::special(key, inner)
                {
                    return Ok(special);
                }
                let texts = entries.into_iter().map(|(key, value)| (Described::Text(key), value));
                Ok(Described::Map(texts.collect()))
            }
        }

        // An absent body is no body; `null` is one.
        deserializer.deserialize_any(Any)
    }
}
