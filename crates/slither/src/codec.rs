//! Values to msgpack and back: the one place that fixes how types are laid out.
//!
//! Structs travel by field name. Nesting is capped on the way in, so that hostile bytes cannot exhaust the stack.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How deep arrays and maps may nest, in both directions.
pub(crate) const MAX_DEPTH: usize = 128;

/// Appends `value` to `out`. On an error `out` holds what had been written.
///
/// # Errors
/// When the type cannot be expressed in msgpack, or nests deeper than [`MAX_DEPTH`]; the message says which.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
    serializer.unstable_set_max_depth(MAX_DEPTH);
    value.serialize(&mut serializer).map_err(|error| error.to_string())
}

/// Reads one `T`, which must fill `bytes` to the end.
///
/// # Errors
/// When the bytes are no msgpack, hold another shape than `T`, nest too deep, or go on behind the value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut rest = bytes;
    let value = decode_prefix(&mut rest)?;
    match rest.len() {
        0 => Ok(value),
        extra => Err(format!("{extra} bytes are left behind the value")),
    }
}

/// Reads one `T` from the front of `bytes` and moves `bytes` behind it.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    let mut deserializer = rmp_serde::Deserializer::new(&mut *bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut deserializer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Dtype, Tensor, Timestamp, Value};

    fn round_trip(value: &Value) -> Value {
        let mut bytes = Vec::new();
        encode(value, &mut bytes).unwrap();
        decode(&bytes).unwrap()
    }

    #[test]
    fn every_kind_of_value_survives() {
        let value = Value::from([
            ("nothing", Value::Null),
            ("flag", true.into()),
            ("ints", Value::List(vec![(-1i64).into(), i64::MIN.into(), u64::MAX.into()])),
            ("floats", vec![f64::INFINITY, f64::NEG_INFINITY, 0.5].into()),
            ("text", "é".into()),
            ("bytes", bytes::Bytes::from_static(b"\xff\x00").into()),
            ("when", Timestamp::new(-1, 999_999_000).unwrap().into()),
            ("later", Timestamp::new(1 << 33, 1000).unwrap().into()),
            ("tensor", Tensor::new(Dtype::F32, vec![2, 1], vec![0u8; 8]).unwrap().into()),
        ]);
        assert_eq!(round_trip(&value), value);
        assert!(round_trip(&f64::NAN.into()).as_f64().unwrap().is_nan());
    }

    #[test]
    fn nesting_beyond_the_cap_is_an_error_not_an_overflow() {
        let bytes = vec![0x91; 1_000_000];
        assert!(decode::<Value>(&bytes).is_err());
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        assert_eq!(decode::<u8>(&[1, 2]).unwrap_err(), "1 bytes are left behind the value");
    }
}
