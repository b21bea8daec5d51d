//! What an example has to say at its end: the same for all, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use slither::{Failure, Ledger};

use crate::faults::ChaosReport;

/// How many failures a report names; the ledger counts them all.
pub const NAMED: usize = 100;

/// The end of an example. Serialised, it is the one object of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The example's name.
    pub example: &'static str,
    /// The exit code that this report calls for: 0 if every check is ok and no item failed that was not meant
    /// to, else 1.
    pub exit: u8,
    /// Where every item ended.
    pub ledger: LedgerReport,
    /// Items in each output.
    pub outputs: BTreeMap<String, u64>,
    /// What each worker did.
    pub workers: Vec<BTreeMap<&'static str, Value>>,
    /// What was to be proven.
    pub checks: Vec<Check>,
    /// How many items failed that were not meant to.
    #[serde(skip)]
    pub failed: u64,
    /// The items that failed and were not meant to, at most 100 of them.
    pub failures: Vec<FailureReport>,
    /// The faults that were asked for, and what became of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chaos: Option<ChaosReport>,
    /// From the first item to the last, in seconds.
    pub elapsed_s: f64,
    /// What a person reads.
    #[serde(skip)]
    pub sections: Vec<Section>,
}

/// The exit code that a run calls for: 0 if every check is ok, no item failed and nothing ended it early, else 1.
pub(crate) fn exit_code(checks: &[Check], failures: &Failures, end: Option<&str>) -> u8 {
    let sound = checks.iter().all(|check| check.ok) && failures.count == 0 && end.is_none();
    u8::from(!sound)
}

/// The ledger with its verdict.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LedgerReport {
    /// The counts.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// Whether they balance.
    pub balanced: bool,
}

impl From<Ledger> for LedgerReport {
    fn from(ledger: Ledger) -> Self {
        Self { ledger, balanced: ledger.balanced() }
    }
}

/// Something that was to be proven, and whether it was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What is proven.
    pub name: &'static str,
    /// What should be.
    pub expected: Value,
    /// What is.
    pub actual: Value,
    /// Whether the two agree in the way the check asks for.
    pub ok: bool,
}

impl Check {
    /// Holds if the two are equal.
    pub fn equal(name: &'static str, expected: impl Into<Value>, actual: impl Into<Value>) -> Self {
        let (expected, actual) = (expected.into(), actual.into());
        Self { name, ok: expected == actual, expected, actual }
    }

    /// Holds if there are at least so many.
    pub fn at_least(name: &'static str, least: u64, actual: u64) -> Self {
        Self {
            name,
            ok: actual >= least,
            expected: format!("at least {least}").into(),
            actual: actual.into(),
        }
    }
}

/// An item that failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailureReport {
    /// Its number in the input, from 0.
    pub item: u64,
    /// What it is called, if it has a name.
    pub name: Option<String>,
    /// The stage it failed in.
    pub stage: Option<String>,
    /// What kind of error.
    pub kind: &'static str,
    /// The error.
    pub message: String,
    /// The worker it happened in.
    pub worker: Option<String>,
    /// That worker's process id.
    pub pid: Option<u32>,
}

impl FailureReport {
    /// A failure; the item has no name yet.
    pub fn new(failure: &Failure) -> Self {
        Self {
            item: failure.item.0,
            name: None,
            stage: failure.stage.as_deref().map(str::to_owned),
            kind: failure.error.kind().as_str(),
            message: failure.error.message().to_owned(),
            worker: failure.error.worker().map(|worker| worker.worker.clone()),
            pid: failure.error.worker().map(|worker| worker.pid),
        }
    }
}

/// The failures of a run: the first are kept, all are counted.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// The first of them.
    pub named: Vec<FailureReport>,
    /// All of them.
    pub count: u64,
    /// The first error, with everything known about it.
    pub first: Option<String>,
}

impl Failures {
    /// Takes one in.
    pub fn add(&mut self, failure: &Failure) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(FailureReport::new(failure));
        }
        self.first.get_or_insert_with(|| failure.error.report());
    }

    /// The first error with its traceback and what its worker printed, if there is more to it than a sentence.
    pub fn section(&self) -> Option<Section> {
        let lines: Vec<_> = self.first.as_deref()?.lines().map(str::to_owned).collect();
        (lines.len() > 1).then(|| Section::Lines("The first failure in full".to_owned(), lines))
    }
}

/// A part of what a person reads.
#[derive(Debug, Clone)]
pub enum Section {
    /// A title and lines.
    Lines(String, Vec<String>),
    /// A title, column heads, and rows; a column with numbers is aligned to the right.
    Table(String, Vec<&'static str>, Vec<Vec<String>>),
    /// The same, where the column heads are only known at run time.
    Matrix(String, Vec<String>, Vec<Vec<String>>),
}
