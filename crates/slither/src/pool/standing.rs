//! A pool as the router sees it.

use super::running::RunningPool;
use super::supervisor::BreakerState;
use crate::routing::{Candidate, Gil, Profile};

impl RunningPool {
    /// What the router may know of it. Workers that are just being replaced count: they are back in a moment.
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            pool: self.name.clone(),
            profile: Profile::Processes,
            gil: Gil::Built,
            workers: self.size,
            slots: self.size,
            at_once: 1,
            io_bound: false,
            failing: self.fails_calls(),
        }
    }

    /// What of it may change, in short: while this stays the same so does the [`candidate`](Self::candidate).
    pub(crate) fn standing(&self) -> u64 {
        u64::from(self.fails_calls())
    }

    fn fails_calls(&self) -> bool {
        self.queue.breaker() == BreakerState::Open || self.queue.closed().is_some()
    }
}
