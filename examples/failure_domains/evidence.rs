//! What was seen, in each kind of pool.

use std::fmt;
use std::time::Duration;

use slither::Ledger;

/// What a crash takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Domain {
    /// A process a call.
    Processes,
    /// One process with threads.
    Threads,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "processes",
            Self::Threads => "threads",
        })
    }
}

/// What was seen in one of them.
#[derive(Debug)]
pub(super) struct Evidence {
    pub(super) domain: Domain,
    pub(super) crash: Crash,
    pub(super) recycling: Recycling,
    pub(super) sessions: Sessions,
    pub(super) memory: Memory,
}

/// One call of many crashed.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) ledger: Ledger,
    /// Of the items that failed the ones that only ran beside the one to blame.
    pub(super) collateral: u64,
    /// From the first sight of the death until everything ran again.
    pub(super) recovery: Option<Duration>,
}

/// Workers were replaced while calls ran.
#[derive(Debug)]
pub(super) struct Recycling {
    pub(super) ledger: Ledger,
    pub(super) recycled: usize,
}

/// Sessions ended, and one lost its worker.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) opened: u64,
    /// Hooks of Python's that ran when they ended.
    pub(super) cleaned: u64,
    /// Sessions that were told that their state is gone, after their worker's death.
    pub(super) told: u64,
    /// Sessions that lived on, because their worker was another one.
    pub(super) untouched: u64,
}

/// Everybody holds the same model.
#[derive(Debug)]
pub(super) struct Memory {
    /// The model, in MiB.
    pub(super) model: u64,
    /// All workers together, in MiB.
    pub(super) resident: u64,
    /// How many they are.
    pub(super) workers: usize,
}
