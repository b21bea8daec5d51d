//! What was seen during the acts: everything that the checks and the summary are made from.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use slither::{Death, Failure, Ledger};

use super::datasets::Dataset;
use super::flow::{Act, Described, WorkerStats};
use super::journal::Begun;
use super::straight::{Figures, median};
use crate::report::Failures;

/// What a dataset comes to by the other route; nothing if it is a bad one.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) figures: Option<Straight>,
    /// Whether it kills.
    pub(super) kills: bool,
}

/// A good dataset's figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Straight {
    pub(super) figures: Figures,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Expected {
    pub(super) fn of(dataset: &Dataset) -> Self {
        let figures = dataset.numbers().map(|mut values| {
            values.sort_unstable_by(f64::total_cmp);
            Straight {
                figures: Figures::of(&values),
                median: median(&values),
                least: values.first().copied().unwrap_or(f64::NAN),
                greatest: values.last().copied().unwrap_or(f64::NAN),
            }
        });
        let kills = dataset.address.is_some();
        Self { name: dataset.name.clone(), group: dataset.group.clone(), figures, kills }
    }
}

impl Straight {
    /// Whether Python came to the same.
    pub(super) fn agrees(&self, described: &Described) -> bool {
        let stdev = described.stdev;
        let m2 = stdev * stdev * described.count.saturating_sub(1) as f64;
        // The root and the division back cost a little of the last digits, which `agrees` allows for.
        let figures = Figures { count: described.count, mean: described.mean, m2 };
        self.figures.agrees(figures)
            && [described.median, described.least, described.greatest]
                == [self.median, self.least, self.greatest]
    }
}

/// How a dataset failed.
#[derive(Debug, Clone)]
pub(super) struct Fell {
    /// The numbers of those that failed with it.
    pub(super) batch: Vec<u64>,
    pub(super) message: String,
    pub(super) pid: Option<u32>,
    pub(super) death: Option<Death>,
    /// Whether the process that it killed was still there when it was looked for.
    pub(super) alive: bool,
}

impl Fell {
    pub(super) fn new(failure: &Failure) -> Self {
        let worker = failure.error.worker();
        let (pid, death) = (worker.map(|worker| worker.pid), worker.and_then(|worker| worker.death));
        Self {
            batch: failure.batch.iter().map(|item| item.0).collect(),
            message: failure.error.message().to_owned(),
            pid,
            death,
            alive: death.is_some() && pid.is_some_and(lives),
        }
    }
}

/// Whether there is a process of this id, dead and not yet reaped ones included.
fn lives(pid: u32) -> bool {
    std::path::Path::new("/proc").join(pid.to_string()).exists()
}

/// One act.
#[derive(Debug, Clone)]
pub(super) struct Played {
    pub(super) act: Act,
    pub(super) described: BTreeMap<u64, Described>,
    pub(super) fell: BTreeMap<u64, Fell>,
    /// Outcomes that came for a dataset that had one.
    pub(super) twice: u64,
    pub(super) begun: Vec<Begun>,
    /// Workers that died.
    pub(super) deaths: u64,
    pub(super) accounts: Vec<WorkerStats>,
    /// Datasets that had been pulled when the first outcome came.
    pub(super) pulled_at_first: Option<u64>,
    pub(super) first_after: Duration,
    pub(super) ledger: Ledger,
    pub(super) elapsed: Duration,
    /// Whether the whole input was read.
    pub(super) whole: bool,
}

impl Played {
    pub(super) fn new(act: Act) -> Self {
        Self {
            act,
            described: BTreeMap::new(),
            fell: BTreeMap::new(),
            twice: 0,
            begun: Vec::new(),
            deaths: 0,
            accounts: Vec::new(),
            pulled_at_first: None,
            first_after: Duration::ZERO,
            ledger: Ledger::default(),
            elapsed: Duration::ZERO,
            whole: true,
        }
    }

    /// The batches as they were formed, each with the number of times that it or a part of it was begun.
    pub(super) fn batches(&self) -> Vec<(&[u64], u64)> {
        let formed = self.begun.iter().filter(|begun| begun.attempt == 1);
        let mut batches: Vec<_> = formed.map(|begun| (begun.numbers.as_slice(), 0)).collect();
        let mut of = BTreeMap::new();
        for (place, (numbers, _)) in batches.iter().enumerate() {
            of.extend(numbers.iter().map(|number| (*number, place)));
        }
        for begun in &self.begun {
            let place = begun.numbers.first().and_then(|number| of.get(number));
            if let Some((_, times)) = place.and_then(|place| batches.get_mut(*place)) {
                *times += 1;
            }
        }
        batches
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// By their numbers.
    pub(super) expected: Vec<Expected>,
    pub(super) users: bool,
    pub(super) acts: Vec<Played>,
    /// By process id, the worker whose process it is or was: its name without the epoch.
    pub(super) slots: HashMap<u32, String>,
    /// Those that nobody meant to fail: of the user's data, what failed under `isolate` in the first such act.
    pub(super) failures: Failures,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    /// Why the run ended before its input, if it did.
    pub(super) end: Option<String>,
}

impl Evidence {
    pub(super) fn is_bad(&self, number: u64) -> bool {
        self.at(number).is_none_or(|expected| expected.figures.is_none())
    }

    pub(super) fn at(&self, number: u64) -> Option<&Expected> {
        self.expected.get(usize::try_from(number).ok()?)
    }

    pub(super) fn kills(&self, number: u64) -> bool {
        self.at(number).is_some_and(|expected| expected.kills)
    }

    /// Bad datasets in the input.
    pub(super) fn bad(&self) -> u64 {
        self.expected.iter().filter(|expected| expected.figures.is_none()).count() as u64
    }

    /// The good datasets that an act lost.
    pub(super) fn lost<'a>(&'a self, played: &'a Played) -> impl Iterator<Item = (u64, &'a Fell)> {
        played.fell.iter().map(|(number, fell)| (*number, fell)).filter(|(number, _)| !self.is_bad(*number))
    }

    /// What a worker's figures should be, by the datasets that came back from it.
    pub(super) fn recomputed(&self, played: &Played, pid: u32) -> (u64, Figures) {
        let theirs = played.described.values().filter(|described| described.pid == pid);
        let straight = theirs.filter_map(|described| self.at(described.number)?.figures);
        straight.fold((0, Figures::default()), |(count, sum), one| (count + 1, sum.and(one.figures)))
    }

    /// The dispatches of an act in which a dataset that kills came first among the bad ones: each must have cost
    /// a worker, and no other.
    pub(super) fn deadly(&self, played: &Played) -> u64 {
        let first_bad = |begun: &&Begun| {
            let bad = begun.numbers.iter().find(|number| self.is_bad(**number));
            bad.is_some_and(|number| self.kills(*number))
        };
        played.begun.iter().filter(first_bad).count() as u64
    }

    /// The counts of all acts together.
    pub(super) fn ledger(&self) -> Ledger {
        self.acts.iter().map(|played| played.ledger).sum()
    }

    /// The workers that described anything, one that died and its replacement being the same.
    pub(super) fn busy(&self) -> HashSet<&str> {
        let described = self.acts.iter().flat_map(|played| played.described.values());
        described.filter_map(|described| self.slots.get(&described.pid)).map(String::as_str).collect()
    }

    pub(super) fn groups(&self) -> BTreeSet<&str> {
        self.expected.iter().map(|expected| expected.group.as_str()).collect()
    }

    /// The first act that isolates: what failed there failed alone.
    pub(super) fn isolated(&self) -> Option<&Played> {
        self.acts.iter().find(|played| played.act.isolate)
    }
}
