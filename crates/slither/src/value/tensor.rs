//! A numeric array with a shape, as an extension of msgpack (code 1).

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Value;
use super::serde_bytes_buf::ByteBuf;

pub(super) const CODE: i8 = 1;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each name says its sign and width")]
pub enum Dtype {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

const DTYPES: [(Dtype, &str, usize); 12] = [
    (Dtype::Bool, "bool", 1),
    (Dtype::U8, "u1", 1),
    (Dtype::U16, "u2", 2),
    (Dtype::U32, "u4", 4),
    (Dtype::U64, "u8", 8),
    (Dtype::I8, "i1", 1),
    (Dtype::I16, "i2", 2),
    (Dtype::I32, "i4", 4),
    (Dtype::I64, "i8", 8),
    (Dtype::F16, "f2", 2),
    (Dtype::F32, "f4", 4),
    (Dtype::F64, "f8", 8),
];

impl Dtype {
    /// The name on the wire and in numpy, without the byte order.
    pub fn name(self) -> &'static str {
        DTYPES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Bytes an element takes.
    pub fn size(self) -> usize {
        DTYPES.iter().find(|row| row.0 == self).map_or(1, |row| row.2)
    }

    fn parse(name: &str) -> Option<Self> {
        DTYPES.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A numeric array: in Python a numpy array (a `memoryview` where numpy is not installed).
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Bytes,
}

impl Tensor {
    /// Elements in C order, little-endian.
    ///
    /// # Errors
    /// When `data` is not as long as `dtype` and `shape` say; the message gives both lengths.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: impl Into<Bytes>) -> Result<Self, String> {
        let data = data.into();
        let expected = shape.iter().try_fold(dtype.size(), |product, side| product.checked_mul(*side));
        match expected {
            Some(expected) if expected == data.len() => Ok(Self { dtype, shape, data }),
            Some(expected) => Err(format!(
                "a tensor of {dtype} with shape {shape:?} has {expected} bytes, not {}",
                data.len()
            )),
            None => Err(format!("a tensor with shape {shape:?} is larger than memory")),
        }
    }

    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Length of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, C order, little-endian.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    pub(super) fn from_ext(body: &[u8]) -> Result<Self, String> {
        let (dtype, shape, data): (String, Vec<usize>, ByteBuf) =
            rmp_serde::from_slice(body).map_err(|error| format!("a tensor that cannot be read: {error}"))?;
        let dtype = Dtype::parse(&dtype).ok_or_else(|| format!("unknown dtype `{dtype}`"))?;
        Self::new(dtype, shape, data.0)
    }

    fn to_ext(&self) -> Result<Vec<u8>, String> {
        let mut body = Vec::with_capacity(self.data.len() + 32);
        let text = |error: rmp_serde::encode::Error| error.to_string();
        rmp::encode::write_array_len(&mut body, 3).map_err(|error| error.to_string())?;
        rmp_serde::encode::write(&mut body, self.dtype.name()).map_err(text)?;
        rmp_serde::encode::write(&mut body, &self.shape).map_err(text)?;
        rmp_serde::encode::write(&mut body, &self.data).map_err(text)?;
        Ok(body)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}, {:?}, {} bytes)", self.dtype, self.shape, self.data.len())
    }
}

/// Writes `body` as the msgpack extension `code`; other formats see a newtype around the pair.
pub(crate) fn serialize_ext<S: Serializer>(serializer: S, code: i8, body: &[u8]) -> Result<S::Ok, S::Error> {
    struct Raw<'a>(&'a [u8]);
    impl Serialize for Raw<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(code, Raw(body)))
}

impl Serialize for Tensor {
    /// Text formats get a map of `dtype`, `shape` and `bytes` (the length).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let summary = Value::from([
                ("dtype", Value::from(self.dtype.name())),
                ("shape", Value::from(self.shape.clone())),
                ("bytes", Value::from(self.data.len())),
            ]);
            return summary.serialize(serializer);
        }
        let body = self.to_ext().map_err(serde::ser::Error::custom)?;
        serialize_ext(serializer, CODE, &body)
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Tensor(tensor) => Ok(tensor),
            other => Err(de::Error::custom(format!("expected a tensor, got {other:?}"))),
        }
    }
}
