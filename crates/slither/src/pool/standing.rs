//! A pool as the router sees it.

use super::running::RunningPool;
use super::station::lock;
use super::supervisor::BreakerState;
use crate::python::Gil;
use crate::routing::{Candidate, Profile};
use crate::wire;

impl RunningPool {
    /// What the router may know of it. Workers that are just being replaced count: they are back in a moment.
    pub(crate) fn candidate(&self) -> Candidate {
        let gil = self.gil();
        let at_once = self.profile.most();
        let (profile, io_bound, slots) = match self.profile {
            wire::Profile::Process => (Profile::Processes, false, 1),
            wire::Profile::Async { .. } => (Profile::Async, false, at_once),
            wire::Profile::Thread { io_bound, .. } => {
                (Profile::Threads, io_bound, if io_bound || !gil.on { at_once } else { 1 })
            }
        };
        Candidate {
            pool: self.name.clone(),
            profile,
            gil,
            workers: self.size,
            slots: self.size * slots,
            at_once,
            io_bound,
            failing: self.fails_calls(),
        }
    }

    /// What of it may change, in short: while this stays the same so does the [`candidate`](Self::candidate).
    pub(crate) fn standing(&self) -> u64 {
        // In processes the GIL keeps nothing back.
        let off = self.profile != wire::Profile::Process && !self.gil().on;
        u64::from(off) << 1 | u64::from(self.fails_calls())
    }

    /// The GIL in its workers; while there are none, as it was last.
    fn gil(&self) -> Gil {
        let stations = self.queue.stations();
        let found = stations.iter().filter_map(|station| station.gil());
        // What turned it on in one worker does so in the next, when that comes to the same call.
        let found = found.max_by_key(|gil| (gil.on, gil.turned_on_by.is_some()));
        let mut last = lock(&self.last_gil);
        if let Some(found) = found {
            *last = found;
        }
        last.clone()
    }

    fn fails_calls(&self) -> bool {
        self.queue.breaker() == BreakerState::Open || self.queue.closed().is_some()
    }
}
