//! One worker: what it may be given ([`machine`], without I/O), the thread that keeps it ([`keeper`]), and
//! what is left to do when it has died ([`burial`]).

mod burial;
mod connection;
mod incoming;
mod keeper;
mod machine;
mod report;
mod views;

pub(super) use keeper::{Keeper, Parts};
pub(super) use machine::{AHEAD_BYTES, CallId, Want};
