//! A point in time, as msgpack's own extension (code −1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Value;

pub(super) const CODE: i8 = -1;

/// A point in time with microseconds, UTC: Python's aware `datetime`.
///
/// From Rust finer parts than a microsecond are cut, because a `datetime` has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z, and nanoseconds (below 10⁹) after them.
    ///
    /// Returns none if `nanoseconds` is out of range.
    pub fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        (nanoseconds < 1_000_000_000)
            .then_some(Self { seconds, nanoseconds: nanoseconds - nanoseconds % 1000 })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z; negative before it.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`seconds`](Self::seconds), a multiple of 1000.
    pub fn subsec_nanos(self) -> u32 {
        self.nanoseconds
    }

    pub(super) fn from_ext(body: &[u8]) -> Result<Self, String> {
        let (seconds, nanoseconds) = match *body {
            [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
            [a, b, c, d, e, f, g, h] => {
                let packed = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                ((packed & 0x3_ffff_ffff) as i64, (packed >> 34) as u32)
            }
            [a, b, c, d, ref rest @ ..] if rest.len() == 8 => {
                let mut seconds = [0; 8];
                seconds.copy_from_slice(rest);
                (i64::from_be_bytes(seconds), u32::from_be_bytes([a, b, c, d]))
            }
            _ => return Err(format!("a timestamp has 4, 8 or 12 bytes, not {}", body.len())),
        };
        Self::new(seconds, nanoseconds).ok_or_else(|| format!("{nanoseconds} ns is more than a second"))
    }

    fn to_ext(self) -> Vec<u8> {
        match (u64::try_from(self.seconds), self.nanoseconds) {
            (Ok(seconds), 0) if seconds <= u64::from(u32::MAX) => (seconds as u32).to_be_bytes().to_vec(),
            (Ok(seconds), nanos) if seconds >> 34 == 0 => {
                ((u64::from(nanos) << 34) | seconds).to_be_bytes().to_vec()
            }
            (_, nanos) => {
                let mut body = nanos.to_be_bytes().to_vec();
                body.extend_from_slice(&self.seconds.to_be_bytes());
                body
            }
        }
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let (seconds, nanoseconds) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (after.as_secs() as i64, after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                match before.subsec_nanos() {
                    0 => (-(before.as_secs() as i64), 0),
                    nanos => (-(before.as_secs() as i64) - 1, 1_000_000_000 - nanos),
                }
            }
        };
        Self { seconds, nanoseconds: nanoseconds - nanoseconds % 1000 }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let nanos = Duration::from_nanos(u64::from(time.nanoseconds));
        match u64::try_from(time.seconds) {
            Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + nanos,
            Err(_) => UNIX_EPOCH - Duration::from_secs(time.seconds.unsigned_abs()) + nanos,
        }
    }
}

impl Serialize for Timestamp {
    /// Text formats get the pair of seconds and nanoseconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return (self.seconds, self.nanoseconds).serialize(serializer);
        }
        super::tensor::serialize_ext(serializer, CODE, &self.to_ext())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Timestamp(time) => Ok(time),
            Value::List(pair) => match pair.as_slice() {
                [seconds, nanos] => seconds
                    .as_i64()
                    .zip(nanos.as_i64().and_then(|n| u32::try_from(n).ok()))
                    .and_then(|(seconds, nanos)| Self::new(seconds, nanos))
                    .ok_or_else(|| de::Error::custom("not a pair of seconds and nanoseconds")),
                _ => Err(de::Error::custom("not a pair of seconds and nanoseconds")),
            },
            other => Err(de::Error::custom(format!("expected a timestamp, got {other:?}"))),
        }
    }
}
