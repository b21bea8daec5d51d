//! The wire: frames between the host and its workers, and packets between the host and the nursery.
//!
//! `docs/PROTOCOL.md` is normative; the golden frames in `testdata/wire/` are read by this side's tests and by
//! the Python SDK's. Only this module knows bytes. It never trusts a length: each is compared with its cap
//! before anything is allocated, and a frame's buffer grows with the bytes that arrive, not with those claimed.

mod adapter;
mod control;
mod frame;
mod message;
mod reader;
mod request;

pub(crate) use adapter::Adapter;
pub use adapter::{Tool, ToolParameter};
pub(crate) use control::{FromNursery, MAX_PACKET, Profile, Setup, SetupAdapter, ToNursery};
pub(crate) use frame::{AHEAD_VALUES, Kind, MANY, REFS, WireError};
#[cfg(test)]
pub(crate) use frame::{CLAIM, FAILED, Header, STREAM};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use message::well_formed;
pub(crate) use message::{
    Bound, Capacity, Done, Hello, Log, RemoteError, ViewCall, body, claimed, result, results,
};
pub(crate) use reader::{Frame, FrameReader, frames};
pub(crate) use request::{
    Fault, about, bare, batch, bind, is_call, may_be_claimed, more, refs, session, set_claim, set_fault,
    set_stream, single, view_error, view_reply,
};

#[cfg(test)]
mod tests;
