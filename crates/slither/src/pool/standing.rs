//! A pool as the router sees it.

use super::gil::Gil as Found;
use super::running::RunningPool;
use super::supervisor::BreakerState;
use crate::routing::{Candidate, Gil, Profile};
use crate::wire;

impl RunningPool {
    /// What the router may know of it. Workers that are just being replaced count: they are back in a moment.
    pub(crate) fn candidate(&self) -> Candidate {
        let (profile, io_bound) = match self.profile {
            wire::Profile::Process => (Profile::Processes, false),
            wire::Profile::Thread { io_bound, .. } => (Profile::Threads, io_bound),
            wire::Profile::Async { .. } => (Profile::Async, false),
        };
        let stations = self.queue.stations();
        // What turned it on in one worker does so in the next, when that comes to the same call.
        let gils = stations.iter().filter_map(|station| station.gil());
        let gil = gils.max_by_key(|gil| gil.on).map_or(Gil::Built, |found| match found {
            Found { on: false, .. } => Gil::Off,
            Found { free_threaded_build: true, turned_on_by, .. } => Gil::On(turned_on_by),
            Found { .. } => Gil::Built,
        });
        let slots: usize = stations.iter().map(|station| station.slots()).sum();
        Candidate {
            pool: self.name.clone(),
            profile,
            gil,
            workers: self.size,
            slots: slots.max(self.size),
            at_once: self.profile.most(),
            io_bound,
            failing: self.fails_calls(),
        }
    }

    /// What of it may change, in short: while this stays the same so does the [`candidate`](Self::candidate).
    pub(crate) fn standing(&self) -> u64 {
        // The slots of a pool of processes come and go with its workers, which changes nothing.
        let slots = if self.profile == wire::Profile::Process { 0 } else { self.slots() as u64 };
        slots << 1 | u64::from(self.fails_calls())
    }

    fn fails_calls(&self) -> bool {
        self.queue.breaker() == BreakerState::Open || self.queue.closed().is_some()
    }
}
