//! What keepers and the pool's owner tell the supervisor.

use std::sync::Mutex;
use std::time::Instant;

use rustix::io::Errno;

use super::machine::{Cause, Epoch};
use crate::pool::station::{Bell, lock};

/// One thing told.
#[derive(Debug)]
pub(crate) enum Note {
    /// A worker takes work.
    Ready(Epoch),
    /// A worker is gone, and its calls are dealt with.
    Gone { epoch: Epoch, cause: Cause, reason: String },
    /// A worker has completed as many calls as it may.
    Spent(Epoch),
    /// The call that an open breaker had let through is over: completed, or withdrawn before.
    Probed { round: u64, completed: bool },
    /// Everything should end by the deadline.
    Shutdown { deadline: Instant },
}

/// The supervisor's inbox. Bounded by what can be told: three notes a worker's life, one a call that is let
/// through, and one shutdown a caller.
#[derive(Debug)]
pub(crate) struct Notes {
    notes: Mutex<Vec<Note>>,
    pub(crate) bell: Bell,
}

impl Notes {
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Self { notes: Mutex::default(), bell: Bell::new()? })
    }

    /// Leaves a note and wakes the supervisor.
    pub(crate) fn leave(&self, note: Note) {
        lock(&self.notes).push(note);
        self.bell.ring();
    }

    pub(crate) fn take(&self) -> Vec<Note> {
        self.bell.silence();
        std::mem::take(&mut *lock(&self.notes))
    }
}
