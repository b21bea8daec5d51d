//! What a failed item carried: [`Payload`].

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::{ErrorKind, ItemError};
use crate::value::Value;

/// Makes a [`Payload`] of a payload, where payloads of failed items are kept.
pub(crate) type Keep<I> = fn(&I) -> Option<Payload>;

/// The payload of an item that failed, as its stage was given it; of any type, because it is kept encoded as on
/// its way to Python. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(Bytes);

impl Payload {
    /// None for what cannot travel: a value that msgpack does not have, or a handle to a Python object.
    pub(crate) fn of<T: Serialize + ?Sized>(payload: &T) -> Option<Self> {
        let mut bytes = Vec::new();
        codec::encode(payload, &mut bytes).ok()?;
        Some(Self(bytes.into()))
    }

    pub(crate) fn from_msgpack(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Its encoding: msgpack, as `docs/PROTOCOL.md` lays values out.
    pub fn as_msgpack(&self) -> &Bytes {
        &self.0
    }

    /// The payload as its type.
    ///
    /// # Errors
    /// Of kind [`Decode`](ErrorKind::Decode) when it is of another type.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, ItemError> {
        codec::decode(&self.0).map_err(|reason| {
            let message = format!("the payload is no {}: {reason}", std::any::type_name::<T>());
            ItemError::new(ErrorKind::Decode, message)
        })
    }

    /// The payload when its shape is not known beforehand.
    ///
    /// # Errors
    /// Of kind [`Decode`](ErrorKind::Decode) when a map has keys that are neither text nor integers.
    pub fn to_value(&self) -> Result<Value, ItemError> {
        self.to()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match codec::decode::<Value>(&self.0) {
            Ok(value) if self.0.len() <= 256 => fmt::Debug::fmt(&value, f),
            _ => write!(f, "Payload({} bytes)", self.0.len()),
        }
    }
}
