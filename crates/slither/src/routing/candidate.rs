//! A pool as the router sees it: [`Candidate`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::python::Gil;

/// How the workers of a pool run their calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// One call at a time in each process.
    Processes,
    /// Several at a time, in threads of one process.
    Threads,
    /// Several coroutines at a time, in the event loop of one process.
    Async,
}

/// A pool that a call could go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub pool: Arc<str>,
    /// How its workers run calls.
    pub profile: Profile,
    /// The GIL in its workers.
    pub gil: Gil,
    /// Workers that take work now.
    pub workers: usize,
    /// Calls that these take at once, as the GIL is now.
    pub slots: usize,
    /// Calls that one worker may ever take at once.
    pub at_once: usize,
    /// Whether its threads take several calls also where there is a GIL, because they wait.
    pub io_bound: bool,
    /// Whether it fails calls at present.
    pub failing: bool,
}

impl Candidate {
    /// Whether two calls may ever run at once in one of its processes.
    pub fn overlaps(&self) -> bool {
        match self.profile {
            Profile::Processes => false,
            // Where the GIL was turned on by an import the next worker begins without it.
            Profile::Threads => self.at_once > 1 && (self.io_bound || self.gil.free_threaded_build),
            Profile::Async => true,
        }
    }

    /// Whether its workers compute in several threads at once.
    pub fn computes_in_parallel(&self) -> bool {
        self.profile == Profile::Threads && !self.gil.on && self.at_once > 1
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "processes",
            Self::Threads => "threads",
            Self::Async => "async",
        })
    }
}
