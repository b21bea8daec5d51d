//! What was seen during the runs: everything that the checks and the summary are made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use slither::{Each, Failure, Ledger, LostWorker, pipe};

use super::contention::{Sightings, Way};
use super::flow::{Entry, Record, WorkerStats};
use super::rows::CHUNK;
use super::schema::{Edition, Schema};
use crate::faults::ChaosReport;
use crate::report::Failures;

/// Rows of each output and run that are kept to be shown.
const SAMPLES: usize = 4;

/// One run: a batch of the first act, or the whole second act.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// Rows that it should have.
    pub(super) rows: u64,
    /// Rows that were pulled.
    pub(super) pulled: u64,
    /// The version that each row was checked with, in the order of the input; 0 for those that did not arrive.
    pub(super) versions: Vec<u64>,
    /// Rows that arrived again.
    pub(super) twice: u64,
    /// Rows of chunks that failed.
    pub(super) failed: u64,
    pub(super) valid: u64,
    pub(super) invalid: u64,
    /// How often each rule was broken: by column and rule.
    pub(super) broken: BTreeMap<(String, String), u64>,
    /// Cells of valid rows that could not be cast.
    pub(super) uncast: u64,
    /// Rows of version 1 that were valid, and are not by version 2.
    pub(super) no_longer: u64,
    pub(super) samples: BTreeMap<String, Vec<Record>>,
    pub(super) elapsed: Duration,
}

impl Run {
    /// Rows that arrived, each counted once.
    pub(super) fn arrived(&self) -> u64 {
        self.versions.iter().filter(|version| **version != 0).count() as u64
    }

    /// The versions that its rows were checked with.
    pub(super) fn seen(&self) -> BTreeSet<u64> {
        self.versions.iter().copied().filter(|version| *version != 0).collect()
    }

    fn arrive(&mut self, number: u64, version: u64) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        // No more rows are noted than were pulled: a number beyond is no row of this run.
        if number as u64 >= self.pulled {
            self.twice += 1;
            return;
        }
        if self.versions.len() <= number {
            self.versions.resize(number + 1, 0);
        }
        let before = std::mem::replace(&mut self.versions[number], version);
        self.twice += u64::from(before != 0);
    }
}

/// One worker's own account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) pid: u32,
    pub(super) batches: u64,
    pub(super) validations: u64,
    /// Sorted.
    pub(super) audit_log: Vec<Entry>,
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    edition: Edition,
    schemas: HashMap<u64, Schema>,
    /// By their number, from 1.
    pub(super) runs: BTreeMap<u32, Run>,
    /// The versions in each batch of each worker, by pid and number.
    pub(super) batches: BTreeMap<(u32, u64), BTreeSet<u64>>,
    /// What each worker is known to have checked, from the rows that came back.
    pub(super) returned: BTreeMap<u32, Vec<Entry>>,
    /// Rows whose verdict is not that of the version they carry, judged again here.
    pub(super) misjudged: u64,
    pub(super) sightings: Sightings,
    /// Chunks that read a torn schema.
    pub(super) torn_chunks: u64,
    /// What became of each publication after the first, which the store was opened with.
    pub(super) published: Vec<Result<Way, String>>,
    /// How many were meant.
    pub(super) to_publish: u64,
    pub(super) outputs: BTreeMap<String, u64>,
    pub(super) ledger: Ledger,
    pub(super) failures: Failures,
    pub(super) accounts: Vec<Account>,
    pub(super) lost: Vec<LostWorker>,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    pub(super) chaos: Option<ChaosReport>,
    /// Why a run ended before its input, if one did.
    pub(super) end: Option<String>,
    /// Whether it was told to stop.
    pub(super) stopped: bool,
}

impl Evidence {
    pub(super) fn new(edition: Edition) -> Self {
        Self {
            edition,
            schemas: HashMap::new(),
            runs: BTreeMap::new(),
            batches: BTreeMap::new(),
            returned: BTreeMap::new(),
            misjudged: 0,
            sightings: Sightings::default(),
            torn_chunks: 0,
            published: Vec::new(),
            to_publish: 0,
            outputs: BTreeMap::new(),
            ledger: Ledger::default(),
            failures: Failures::default(),
            accounts: Vec::new(),
            lost: Vec::new(),
            silent: Vec::new(),
            chaos: None,
            end: None,
            stopped: false,
        }
    }

    /// A run.
    pub(super) fn run(&mut self, run: u32) -> &mut Run {
        self.runs.entry(run).or_default()
    }

    /// A version as it was meant to be.
    pub(super) fn schema(&mut self, version: u64) -> &Schema {
        self.schemas.entry(version).or_insert_with(|| self.edition.at(version))
    }

    /// Takes in a row that reached an output of a run.
    pub(super) fn add(&mut self, run: u32, output: &str, record: Record) {
        let Record { row, version, checked_by: (pid, batch), problems, uncast, .. } = &record;
        let expected = self.schema(*version).verdict(&row.cells);
        let agree = problems.iter().map(|problem| (problem.column.as_str(), &*problem.rule)).eq(expected);
        self.misjudged += u64::from(!agree);
        let valid = problems.is_empty();
        let no_longer = *version == 1 && valid && self.schema(2).verdict(&row.cells).next().is_some();
        self.batches.entry((*pid, *batch)).or_default().insert(*version);
        let entry = Entry { run: row.run, row: row.number, version: *version, batch: *batch, valid };
        self.returned.entry(*pid).or_default().push(entry);
        if let Some(count) = self.outputs.get_mut(output) {
            *count += 1;
        } else {
            self.outputs.insert(output.to_owned(), 1);
        }
        let run = self.run(run);
        run.arrive(row.number, *version);
        run.valid += u64::from(valid);
        run.invalid += u64::from(!valid);
        run.uncast += uncast;
        run.no_longer += u64::from(no_longer);
        for problem in problems {
            *run.broken.entry((problem.column.clone(), problem.rule.clone())).or_default() += 1;
        }
        let samples = run.samples.entry(output.to_owned()).or_default();
        if samples.len() < SAMPLES {
            samples.push(record);
        }
    }

    /// Takes in a chunk that failed.
    pub(super) fn fail(&mut self, run: u32, failure: &Failure) {
        let known = self.failures.named.len();
        self.failures.add(failure);
        let first = failure.item.0 * CHUNK as u64;
        let run_so_far = self.run(run);
        let rows = run_so_far.pulled.saturating_sub(first).min(CHUNK as u64);
        run_so_far.failed += rows;
        if let Some(named) = self.failures.named.get_mut(known) {
            named.name = Some(format!("run {run}, rows {first} to {}", (first + rows).saturating_sub(1)));
        }
    }

    /// Takes in the runner's own account of a run.
    pub(super) fn finish(&mut self, run: u32, report: &pipe::Report) {
        let Ledger { pulled, expanded, emitted, dropped, failed, cancelled } = report.ledger;
        let sum = &mut self.ledger;
        sum.pulled += pulled;
        sum.expanded += expanded;
        sum.emitted += emitted;
        sum.dropped += dropped;
        sum.failed += failed;
        sum.cancelled += cancelled;
        for (output, _) in &report.outputs {
            self.outputs.entry(output.to_string()).or_default();
        }
        self.run(run).elapsed = report.elapsed;
    }

    /// Takes in what the workers have written down.
    pub(super) fn audit(&mut self, each: Each<WorkerStats>) {
        for reply in each.replies {
            match reply.result {
                Ok(WorkerStats { pid, batches, validations, mut audit_log }) => {
                    audit_log.sort_unstable();
                    self.accounts.push(Account { pid, batches, validations, audit_log });
                }
                Err(error) => self.silent.push(format!("{} (pid {}): {error}", reply.worker, reply.pid)),
            }
        }
        self.lost = each.lost;
        for entries in self.returned.values_mut() {
            entries.sort_unstable();
        }
    }

    /// How many publications went each way.
    pub(super) fn ways(&self, wanted: Way) -> u64 {
        self.published.iter().filter(|way| **way == Ok(wanted)).count() as u64
    }
}
