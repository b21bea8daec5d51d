//! What was seen during the run, and the one place where the workers' counts are added up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use slither::pipe;
use slither::{Each, Item, Ledger, LostWorker};

use super::flow::{Analysis, WorkerStats};
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

/// Everything that the checks and the summary are made from.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// Documents in the input.
    pub(super) documents: u64,
    /// For each document analysed, by whom.
    analysed_by: HashMap<u64, u32>,
    pub(super) words: u64,
    pub(super) sentences: u64,
    pub(super) readability: BTreeMap<String, Option<Spread>>,
    pub(super) samples: BTreeMap<String, Vec<Analysis>>,
    pub(super) outputs: BTreeMap<String, u64>,
    pub(super) failures: Failures,
    pub(super) ledger: Ledger,
    /// Why the run ended before its input, if it did.
    pub(super) end: Option<String>,
    pub(super) elapsed: Duration,
    pub(super) accounts: Vec<Account>,
    pub(super) lost: Vec<LostWorker>,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    pub(super) merged: WordCounts,
    pub(super) serial: Option<WordCounts>,
}

impl Evidence {
    pub(super) fn new(documents: u64) -> Self {
        Self {
            documents,
            analysed_by: HashMap::new(),
            words: 0,
            sentences: 0,
            readability: BTreeMap::new(),
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
            serial: None,
        }
    }

    /// Takes in a document that reached an output.
    pub(super) fn add(&mut self, output: &str, item: Item<Analysis>) {
        let analysis = item.payload;
        self.analysed_by.insert(item.id.0, analysis.pid);
        self.words += analysis.words;
        self.sentences += analysis.sentences;
        for (measure, value) in &analysis.readability {
            Spread::add(self.readability.entry(measure.clone()).or_default(), *value);
        }
        let samples = self.samples.entry(output.to_owned()).or_default();
        if samples.len() < SAMPLES {
            samples.push(analysis);
        }
    }

    /// Takes in the runner's own account.
    pub(super) fn finish(&mut self, report: pipe::Report) {
        self.ledger = report.ledger;
        self.outputs = report.outputs.into_iter().map(|(name, count)| (name.to_string(), count)).collect();
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

    /// Documents that were analysed.
    pub(super) fn analysed(&self) -> u64 {
        self.analysed_by.len() as u64
    }

    /// Documents that came back from workers whose account is here; the others' counts died with them.
    pub(super) fn counted_by_the_living(&self) -> impl Iterator<Item = u64> {
        let living: HashSet<u32> = self.accounts.iter().map(|account| account.pid).collect();
        let counted = self.analysed_by.iter().filter(move |(_, pid)| living.contains(pid));
        counted.map(|(number, _)| *number)
    }

    /// Documents that are counted again.
    pub(super) fn documents_to_recount(&self) -> u64 {
        self.counted_by_the_living().count() as u64
    }
}
