//! One worker: what it may be given ([`machine`], without I/O) and the thread that keeps it ([`keeper`]).

mod keeper;
mod machine;
mod report;

pub(super) use keeper::{Keeper, Parts};
pub(super) use machine::{AHEAD_BYTES, CallId, Want};
