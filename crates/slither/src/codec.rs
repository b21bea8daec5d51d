//! Values to msgpack and back: the one place that fixes how types are laid out.
//!
//! Structs travel by field name. Nesting is capped on the way in, so that hostile bytes cannot exhaust the stack.

mod skip;

use rmp_serde::decode::{Error, ReadRefReader};
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};

pub(crate) use skip::value_len;

/// How deep arrays and maps may nest, in both directions.
pub(crate) const MAX_DEPTH: usize = 128;

/// Of a type whose own `deserialize` leaves a part of its value alone.
const UNREAD: &str = "the type reads less than there is";

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

/// Reads one `T` from the front of `bytes` and moves `bytes` behind it, also if what is there is no `T`.
///
/// # Errors
/// Like [`decode`]; `bytes` stays where it is if what is there is no msgpack.
pub(crate) fn decode_prefix<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    // A deserializer that tells how far it came allocates for each value.
    match value_len(bytes, 0) {
        Some(len) => {
            let (value, behind) = bytes.split_at(len);
            *bytes = behind;
            read(value)
        }
        None => Err(read::<T>(bytes).err().unwrap_or_else(|| "the bytes are no msgpack".to_owned())),
    }
}

/// Reads `count` `T`s out of `bytes`, which hold as many msgpack values and nothing else, into `values`. What does not fit
/// is an error in its place.
pub(crate) fn decode_run<T: DeserializeOwned, E>(
    mut bytes: &[u8],
    count: usize,
    values: &mut Vec<Result<T, E>>,
    error: impl Fn(String) -> E,
) {
    let begun = values.len();
    let mut deserializer = deserializer(bytes);
    for _ in 0..count {
        // It forgets to come up again from an error that a type has swallowed.
        deserializer.set_max_depth(MAX_DEPTH);
        match T::deserialize(&mut deserializer) {
            Ok(value) => values.push(Ok(value)),
            Err(_) => break,
        }
    }
    if values.len() - begun == count && is_at_end(&mut deserializer) {
        return;
    }
    // One does not fit, or has read more or less than was its own, and nobody knows which: each is read again by itself.
    values.truncate(begun);
    values.extend((0..count).map(|_| decode_prefix(&mut bytes).map_err(&error)));
}

/// Reads one `T` from bytes that hold one msgpack value and nothing else.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut deserializer = deserializer(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    if is_at_end(&mut deserializer) { Ok(value) } else { Err(UNREAD.to_owned()) }
}

type Deserializer<'a> = rmp_serde::Deserializer<ReadRefReader<'a, [u8]>>;

fn deserializer(bytes: &[u8]) -> Deserializer<'_> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    deserializer.set_max_depth(MAX_DEPTH);
    deserializer
}

/// Whether nothing is left unread. A `bool` because it reads one marker, and never what is inside.
fn is_at_end(deserializer: &mut Deserializer<'_>) -> bool {
    matches!(bool::deserialize(deserializer), Err(Error::InvalidMarkerRead(_)))
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
        assert_eq!(decode::<u8>(&[0xc1]).unwrap_err(), "wrong msgpack marker Reserved");
    }

    #[test]
    fn of_a_run_each_value_that_does_not_fit_fails_alone() {
        // 1, [2, [3]], 4, "5", 6, nil
        let bytes = [1, 0x92, 2, 0x91, 3, 4, 0xa1, b'5', 6, 0xc0];
        for count in 0..=6 {
            let mut values = Vec::new();
            let len = (0..count).fold(0, |at, _| at + value_len(&bytes[at..], 0).unwrap());
            decode_run::<u8, ()>(&bytes[..len], count, &mut values, |_| ());
            assert_eq!(values, [Ok(1), Err(()), Ok(4), Err(()), Ok(6), Err(())][..count]);
        }
    }

    /// Swallows the error of a value that does not fit, as `deserialize_with` functions do.
    #[derive(Debug, PartialEq)]
    struct Lenient<T>(Option<T>);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Ok(Self(T::deserialize(deserializer).ok()))
        }
    }

    #[test]
    fn what_the_type_leaves_unread_is_an_error_and_not_the_next_value() {
        let mut bytes = &[0xa3, b'a', 0xdc, 0x90, 7][..];
        // A text whose last two bytes could begin an array.
        let text = [0xa3, b'a', 0xdc, 0x90];
        assert!(std::str::from_utf8(&text[1..]).is_ok());
        assert_eq!(decode_prefix::<Lenient<u8>>(&mut bytes).unwrap_err(), UNREAD);
        assert_eq!(decode_prefix::<u8>(&mut bytes), Ok(7));
        assert_eq!(decode::<Option<(u8,)>>(&[0x91, 1]), Ok(Some((1,))));
    }

    #[test]
    fn of_a_run_what_a_type_leaves_unread_is_not_its_neighbours() {
        for (bytes, expected) in [
            (&[1, 2, 0xa1, b'x'][..], [Ok(Some(1)), Ok(Some(2)), Err(UNREAD.to_owned())]),
            (&[0xa3, b'a', 0xdc, 0x90, 5, 6], [Err(UNREAD.to_owned()), Ok(Some(5)), Ok(Some(6))]),
        ] {
            let mut values = Vec::new();
            decode_run::<Lenient<u8>, _>(bytes, 3, &mut values, |reason| reason);
            let values: Vec<_> = values.into_iter().map(|value| value.map(|lenient| lenient.0)).collect();
            assert_eq!(values, expected);
        }
    }

    #[test]
    fn errors_that_a_type_swallows_do_not_add_up_to_depth() {
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        struct Extra {
            x: u8,
        }
        // 400 empty maps, and one that fits.
        let mut bytes = vec![0x80; 400];
        bytes.extend([0x81, 0xa1, b'x', 5]);
        let mut values = Vec::new();
        decode_run::<Lenient<Extra>, _>(&bytes, 401, &mut values, |reason| reason);
        assert_eq!(values.pop(), Some(Ok(Lenient(Some(Extra { x: 5 })))));
        assert!(values.iter().all(|value| *value == Ok(Lenient(None))));
    }
}
