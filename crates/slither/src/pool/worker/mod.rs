//! One worker: what it may be given ([`machine`], without I/O), what keeps it ([`keeper`], over a [`link`] to its
//! process, on a [`thread`]), what it is given ([`giving`]), and what is left to do when it has died ([`burial`]).

mod burial;
mod connection;
mod giving;
mod incoming;
mod keeper;
mod link;
mod machine;
mod report;
#[cfg(test)]
mod script;
mod stacks;
mod thread;
mod views;
mod withheld;

pub(super) use keeper::{Keeper, Parts};
pub(super) use link::Process;
pub(super) use machine::{AHEAD_BYTES, CallId};
#[cfg(test)]
pub(super) use {
    link::{End, Link},
    machine::{How, Want},
    report::Autopsy,
    thread::REAP,
};
