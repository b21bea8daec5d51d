//! What was seen during the run, and the one place where the workers' counts are added up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use slither::pipe;
use slither::{Each, Item, Ledger, LostWorker};

use super::flow::{Analysis, Readability, WorkerStats};
use crate::documents::Documents;
use crate::faults::ChaosReport;
use crate::report::Failures;

/// How often each word occurs.
pub(super) type WordCounts = HashMap<String, u64>;

/// Documents of each label that are kept to be shown.
const SAMPLES: usize = 3;

/// Adds one count to another.
pub(super) fn add(total: &mut WordCounts, more: WordCounts) {
    for (word, count) in more {
        *total.entry(word).or_default() += count;
    }
}

/// The commonest words, ties by the alphabet.
pub(super) fn top(counts: &WordCounts, most: usize) -> Vec<(&str, u64)> {
    let mut words: Vec<_> = counts.iter().map(|(word, count)| (word.as_str(), *count)).collect();
    words.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    words.truncate(most);
    words
}

/// One worker's own account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) pid: u32,
    pub(super) documents: u64,
    pub(super) words: u64,
    pub(super) vocabulary: u64,
}

/// A mean, with the least and the greatest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) greatest: f64,
    sum: f64,
    count: u64,
}

impl Spread {
    fn add(spread: &mut Option<Self>, value: f64) {
        let one = Self { least: value, greatest: value, sum: 0.0, count: 0 };
        let spread = spread.get_or_insert(one);
        spread.least = spread.least.min(value);
        spread.greatest = spread.greatest.max(value);
        spread.sum += value;
        spread.count += 1;
    }

    pub(super) fn mean(self) -> f64 {
        self.sum / self.count as f64
    }
}

/// The words counted a second time, in one process and by another route.
#[derive(Debug, Clone)]
pub(super) enum Recount {
    /// Not finished, because the run was told to stop: there is nothing to compare with.
    Stopped,
    /// Not finished, because of this.
    Failed(String),
    /// The words of the documents that workers with an account have analysed.
    Done(WordCounts),
}

/// Everything that the checks and the summary are made from.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// What became of the faults that were asked for.
    pub(super) chaos: Option<ChaosReport>,
    /// Documents in the input.
    pub(super) documents: u64,
    /// By whom each document was analysed, in the order of the input; 0 for those that were not.
    pub(super) analysed_by: Vec<u32>,
    pub(super) words: u64,
    pub(super) sentences: u64,
    pub(super) reading_ease: Option<Spread>,
    pub(super) grade: Option<Spread>,
    pub(super) samples: BTreeMap<String, Vec<Analysis>>,
    /// Documents seen to arrive in each output.
    pub(super) outputs: BTreeMap<String, u64>,
    pub(super) failures: Failures,
    /// The runner's own account.
    pub(super) ledger: Ledger,
    /// Why the run ended before its input, if it did.
    pub(super) end: Option<String>,
    pub(super) elapsed: Duration,
    pub(super) accounts: Vec<Account>,
    pub(super) lost: Vec<LostWorker>,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    pub(super) merged: WordCounts,
    pub(super) recount: Recount,
}

impl Evidence {
    pub(super) fn new(documents: u64) -> Self {
        Self {
            chaos: None,
            documents,
            analysed_by: Vec::new(),
            words: 0,
            sentences: 0,
            reading_ease: None,
            grade: None,
            samples: BTreeMap::new(),
            outputs: BTreeMap::new(),
            failures: Failures::default(),
            ledger: Ledger::default(),
            end: None,
            elapsed: Duration::ZERO,
            accounts: Vec::new(),
            lost: Vec::new(),
            silent: Vec::new(),
            merged: WordCounts::new(),
            recount: Recount::Stopped,
        }
    }

    /// Takes in a document that reached an output.
    pub(super) fn add(&mut self, output: &str, item: Item<Analysis>) {
        let analysis = item.payload;
        // Numbers count the input from 0, so the list is as long as the input.
        let Ok(number) = usize::try_from(item.id.0) else { return };
        if self.analysed_by.len() <= number {
            self.analysed_by.resize(number + 1, 0);
        }
        self.analysed_by[number] = analysis.pid;
        self.words += analysis.words;
        self.sentences += analysis.sentences;
        let Readability { flesch_reading_ease, grade } = analysis.readability;
        Spread::add(&mut self.reading_ease, flesch_reading_ease);
        Spread::add(&mut self.grade, grade);
        // Looked up before it is made: names are allocated once, not once a document.
        if !self.outputs.contains_key(output) {
            self.outputs.insert(output.to_owned(), 0);
            self.samples.insert(output.to_owned(), Vec::new());
        }
        if let (Some(count), Some(samples)) = (self.outputs.get_mut(output), self.samples.get_mut(output)) {
            *count += 1;
            if samples.len() < SAMPLES {
                samples.push(analysis);
            }
        }
    }

    /// Takes in the runner's own account.
    pub(super) fn finish(&mut self, report: pipe::Report) {
        self.ledger = report.ledger;
        // Its counts of the outputs are not taken: those here were made apart, and are held against its ledger.
        for (name, _) in report.outputs {
            self.outputs.entry(name.to_string()).or_default();
        }
    }

    /// Reads the names of the documents that failed, in one pass over the input.
    pub(super) fn name_failures(&mut self, documents: &Documents) {
        let named = &mut self.failures.named;
        let Some(last) = named.iter().map(|failure| failure.item).max() else { return };
        let wanted: HashSet<u64> = named.iter().map(|failure| failure.item).collect();
        let mut names = HashMap::new();
        for (number, document) in (0..=last).zip(documents.iter()) {
            if let (true, Ok(document)) = (wanted.contains(&number), document) {
                names.insert(number, document.name);
            }
        }
        for failure in named {
            failure.name = names.remove(&failure.item);
        }
    }

    /// Adds up what the workers have counted.
    pub(super) fn merge(&mut self, each: Each<WorkerStats>) {
        for reply in each.replies {
            match reply.result {
                Ok(stats) => {
                    let WorkerStats { documents, words, vocabulary, index } = stats;
                    self.accounts.push(Account { pid: reply.pid, documents, words, vocabulary });
                    add(&mut self.merged, index);
                }
                Err(error) => self.silent.push(format!("{} (pid {}): {error}", reply.worker, reply.pid)),
            }
        }
        self.lost = each.lost;
    }

    /// Documents that were analysed, each counted once however often it arrived.
    pub(super) fn analysed(&self) -> u64 {
        self.analysed_by.iter().filter(|pid| **pid != 0).count() as u64
    }

    /// For each document of the input, whether a worker that gave an account has analysed it. The counts of the
    /// others died with their workers.
    pub(super) fn accounted_for(&self) -> Vec<bool> {
        let living: HashSet<u32> = self.accounts.iter().map(|account| account.pid).collect();
        self.analysed_by.iter().map(|pid| living.contains(pid)).collect()
    }
}
