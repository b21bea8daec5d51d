//! The same work in three arrangements of pools: routed, in processes alone, in threads alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use slither::python::Interpreter;
use slither::{
    Call, ConfigError, DispatchError, Dispatched, ErrorKind, Ledger, OnError, Pool, Route, Slither,
};

use crate::observe::Observer;

/// Items of each kind, and every how many of `legacy` crashes.
const FETCHES: i64 = 120;
const SCORES: i64 = 96;
const LEGACY: i64 = 60;
const CRASHES_EVERY: i64 = 20;
/// Threads for calls that wait.
const WAITING: usize = 16;

/// The kinds of work, with how many of their items are meant to fail.
pub(super) const KINDS: [(&str, u64); 3] =
    [("fetch", 0), ("score", 0), ("legacy", (LEGACY / CRASHES_EVERY) as u64)];

/// How many items there are of all kinds.
pub(super) fn items() -> u64 {
    (FETCHES + SCORES + LEGACY) as u64
}

/// Which pools there are, and who chooses among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arrangement {
    /// Processes, threads for computing and threads for waiting; the router chooses.
    Routed,
    /// Everything in processes.
    Processes,
    /// Everything in the threads of one process.
    Threads,
}

impl fmt::Display for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Routed => "routed",
            Self::Processes => "in processes alone",
            Self::Threads => "in threads alone",
        })
    }
}

/// What became of the work in one arrangement.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) arrangement: Arrangement,
    pub(super) elapsed: Duration,
    pub(super) ledger: Ledger,
    /// Items that came back, by kind.
    pub(super) done: BTreeMap<&'static str, u64>,
    /// Items that failed, by kind.
    pub(super) lost: BTreeMap<&'static str, u64>,
    /// Of those the ones that another call's crash took along.
    pub(super) collateral: u64,
    /// How long each kind took.
    pub(super) took: BTreeMap<&'static str, Duration>,
    /// Where the router sent what.
    pub(super) routes: Vec<Route>,
    /// Calls at once in each pool.
    pub(super) slots: BTreeMap<String, usize>,
}

impl Arrangement {
    pub(super) const ALL: [Self; 3] = [Self::Routed, Self::Processes, Self::Threads];

    pub(super) fn pools(self, workers: usize, free: Option<&Interpreter>, path: &Path) -> Vec<Pool> {
        // Without such an interpreter threads share a GIL, and the router says so.
        let on = |pool: Pool| free.iter().fold(pool, |pool, free| pool.python(&free.executable));
        let processes = Pool::processes("processes").size(workers);
        let computing = on(Pool::threads("computing").threads_per_worker(workers));
        let waiting = Pool::threads("waiting").threads_per_worker(WAITING).io_bound(true);
        let pools = match self {
            Self::Routed => vec![processes, computing, waiting],
            Self::Processes => vec![processes],
            // Everything waits there, too.
            Self::Threads => vec![on(Pool::threads("threads").threads_per_worker(WAITING)).io_bound(true)],
        };
        pools.into_iter().map(|pool| pool.python_path(path)).collect()
    }

    /// Runs all three kinds at once.
    pub(super) async fn play(
        self,
        slither: &Slither,
        observer: &dyn Observer,
    ) -> Result<Outcome, ConfigError> {
        let pool = match self {
            Self::Routed => "auto",
            Self::Processes => "processes",
            Self::Threads => "threads",
        };
        let call =
            |kind: &str| Call::new(format!("hybrid:{kind}")).pool(pool).batch_size(1).on_error(OnError::Skip);
        let crashing =
            (0..LEGACY).map(|item| if item % CRASHES_EVERY == CRASHES_EVERY / 2 { -1 } else { item });
        let begun = Instant::now();
        let timed = async |kind: &'static str, items: Vec<i64>| {
            let count = items.len() as u64;
            let done = slither.dispatch::<i64, i64>(items, call(kind)).await;
            observer.advance(count);
            (kind, done, begun.elapsed())
        };
        let (fetched, scored, called) = tokio::join!(
            timed("fetch", (0..FETCHES).collect()),
            timed("score", (0..SCORES).collect()),
            timed("legacy", crashing.collect()),
        );
        let mut outcome = Outcome {
            arrangement: self,
            elapsed: begun.elapsed(),
            ledger: Ledger::default(),
            done: BTreeMap::new(),
            lost: BTreeMap::new(),
            collateral: 0,
            took: BTreeMap::new(),
            routes: slither.routes(),
            slots: slither
                .runtime_stats()
                .pools
                .into_iter()
                .map(|(name, stats)| (name, stats.slots))
                .collect(),
        };
        for (kind, done, took) in [fetched, scored, called] {
            outcome.add(kind, done, took)?;
        }
        Ok(outcome)
    }
}

impl Outcome {
    fn add(
        &mut self,
        kind: &'static str,
        done: Result<Dispatched<i64>, DispatchError<i64>>,
        took: Duration,
    ) -> Result<(), ConfigError> {
        let done =
            done.map_err(|error| ConfigError::new(format!("`{kind}` was not run: {}", error.cause)))?;
        self.ledger = [self.ledger, done.ledger].into_iter().sum();
        let beside = |error: ErrorKind| error == ErrorKind::Collateral;
        self.collateral += done.failures.iter().filter(|it| beside(it.error.kind())).count() as u64;
        self.done.insert(kind, done.results.len() as u64);
        self.lost.insert(kind, done.failures.len() as u64);
        self.took.insert(kind, took);
        Ok(())
    }

    /// Items that failed and were not meant to.
    pub(super) fn lost_for_others(&self) -> u64 {
        let lost = |kind: &str| self.lost.get(kind).copied().unwrap_or(0);
        KINDS.iter().map(|(kind, meant)| lost(kind).saturating_sub(*meant)).sum()
    }

    /// The pool that the router chose for a kind.
    pub(super) fn place(&self, kind: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.function.ends_with(kind))
    }
}
