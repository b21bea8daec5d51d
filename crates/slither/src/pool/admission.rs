//! Which calls a pool takes in: all of them, none, or one, as its breaker says.

use std::sync::Arc;

use super::job::{Job, Probe};
use super::supervisor::{BreakerState, Notes};
use crate::error::ItemError;

/// The door of a queue.
#[derive(Debug, Default)]
pub(super) enum Admission {
    /// The breaker is closed, or there is none.
    #[default]
    All,
    /// Calls fail with this cause.
    Refused { cause: ItemError, half_open: bool },
    /// One call may pass, to show whether the pool works again; until that is known all others fail with the cause.
    One { cause: ItemError, round: u64, notes: Arc<Notes>, passed: bool },
}

impl Admission {
    /// Lets a call in, or says why it fails. What ends a session always comes in; what only prepares a call comes in
    /// while one may, and shows nothing.
    pub(super) fn admit(&mut self, job: &mut Job) -> Result<(), ItemError> {
        match self {
            _ if job.is_duty() => Ok(()),
            Self::All => Ok(()),
            Self::Refused { cause, .. } => Err(cause.clone()),
            Self::One { .. } if !job.is_call() || job.is_probe() => Ok(()),
            Self::One { round, notes, passed, .. } if !*passed => {
                *passed = true;
                job.probe(Probe::new(*round, notes.clone()));
                Ok(())
            }
            Self::One { cause, .. } => Err(cause.clone()),
        }
    }

    /// The breaker is half-open.
    pub(super) fn half_open(&mut self) {
        if let Self::Refused { half_open, .. } = self {
            *half_open = true;
        }
    }

    /// Lets one call through.
    pub(super) fn admit_one(&mut self, of_round: u64, to: &Arc<Notes>) {
        if let Self::Refused { cause, .. } | Self::One { cause, .. } = self {
            let cause = cause.clone();
            *self = Self::One { cause, round: of_round, notes: to.clone(), passed: false };
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self {
            Self::All => BreakerState::Closed,
            Self::Refused { half_open: false, .. } => BreakerState::Open,
            Self::Refused { .. } | Self::One { .. } => BreakerState::HalfOpen,
        }
    }
}
