//! What was seen during the run: everything that the checks and the summary are made from.

use std::collections::BTreeMap;
use std::time::Duration;

use slither::{Death, ErrorKind, ItemError, Ledger, LostWorker, Outputs, SessionEnd};

use super::flow::{FEATURIZE, Learnt, Prediction, SessionStats, Trained, WorkerStats};
use crate::faults::ChaosReport;
use crate::report::Failures;

/// One run of the pipe through a session.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    /// Records in its input.
    pub(super) records: usize,
    /// By record.
    pub(super) predictions: BTreeMap<String, Prediction>,
    /// Records that were judged again.
    pub(super) twice: u64,
    /// Records whose features the store did not have.
    pub(super) featurized: u64,
    pub(super) outputs: BTreeMap<String, u64>,
    pub(super) ledger: Ledger,
    pub(super) failures: Failures,
}

impl Scored {
    pub(super) fn new(records: usize, outputs: Outputs<Prediction>) -> Self {
        let report = outputs.report();
        let featurized = report.stages.iter().find(|stage| *stage.name == *FEATURIZE);
        let mut scored = Self {
            records,
            predictions: BTreeMap::new(),
            twice: 0,
            featurized: featurized.map_or(0, |stage| stage.items_in),
            outputs: report.outputs.iter().map(|(name, count)| (name.to_string(), *count)).collect(),
            ledger: outputs.ledger(),
            failures: Failures::default(),
        };
        outputs.failures().iter().for_each(|failure| scored.failures.add(failure));
        for item in outputs.into_buckets().flat_map(|(_, items)| items) {
            let before = scored.predictions.insert(item.payload.id.clone(), item.payload);
            scored.twice += u64::from(before.is_some());
        }
        scored
    }

    /// Records that both judge, and differently.
    pub(super) fn divergent<'a>(&'a self, other: &'a Self) -> Vec<(&'a Prediction, &'a Prediction)> {
        let pairs = self.predictions.iter().filter_map(|(id, one)| Some((one, other.predictions.get(id)?)));
        pairs.filter(|(one, other)| one.label != other.label).collect()
    }

    /// Whether the two say the same of every record, whoever says it.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let same = |(one, other): (&Prediction, &Prediction)| {
            let (id, label) = (one.id == other.id, one.label == other.label);
            id && label && close(&one.probabilities, &other.probabilities)
        };
        let (ours, theirs) = (&self.predictions, &other.predictions);
        ours.len() == theirs.len() && ours.values().zip(theirs.values()).all(same)
    }
}

/// Whether two computations came to the same numbers. The last bits depend on how the work was cut into batches.
pub(super) fn close(left: &[f64], right: &[f64]) -> bool {
    const NOISE: f64 = 1e-6;
    let near = |(left, right): (&f64, &f64)| (left - right).abs() <= NOISE * left.abs().max(1.0);
    left.len() == right.len() && left.iter().zip(right).all(near)
}

/// File and table of the feature store at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) version: u64,
    pub(super) rows: usize,
    pub(super) bytes: u64,
    pub(super) lines: usize,
    /// What the table has for the records that the write was about.
    pub(super) values: Vec<Option<Vec<f64>>>,
}

/// A write whose disk was full half-way, and the same write again.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// Why it failed; none if it did not.
    pub(super) error: Option<String>,
    pub(super) before: Standing,
    pub(super) after: Standing,
    pub(super) again: Standing,
    /// What the second write was to put there.
    pub(super) wanted: Vec<Option<Vec<f64>>>,
}

/// How a call ended that was not meant to succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fell {
    /// None if it succeeded.
    pub(super) kind: Option<ErrorKind>,
    pub(super) message: String,
    pub(super) death: Option<Death>,
}

impl Fell {
    pub(super) fn of<T>(result: Result<T, ItemError>) -> Self {
        match result {
            Ok(_) => Self { kind: None, message: "it succeeded".to_owned(), death: None },
            Err(error) => Self {
                kind: Some(error.kind()),
                message: error.message().to_owned(),
                death: error.worker().and_then(|worker| worker.death),
            },
        }
    }
}

/// The death of session A's worker, and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// What both sessions kept before.
    pub(super) before: [SessionStats; 2],
    /// The process that was killed.
    pub(super) killed: u32,
    /// Whether it is gone.
    pub(super) gone: bool,
    /// The training that it was doing.
    pub(super) running: Fell,
    /// Records and calls that waited behind the training.
    pub(super) queued: Vec<Fell>,
    pub(super) queued_ledger: Ledger,
    /// A call made after the death.
    pub(super) later: Fell,
    /// What session B scored meanwhile.
    pub(super) meanwhile: Scored,
    /// What A kept once it was opened anew.
    pub(super) reopened: SessionStats,
    pub(super) retrained: Trained,
    pub(super) rescored: Scored,
    /// What B kept at the end.
    pub(super) other: SessionStats,
}

/// A real data set: a model of it, and that model's verdicts on what was held out.
#[derive(Debug, Clone)]
pub(super) struct Real {
    pub(super) learnt: Learnt,
    pub(super) scored: Scored,
}

impl Real {
    /// How many of the records held out were judged as they are.
    pub(super) fn correct(&self) -> usize {
        let truths = self.learnt.held_out.iter().zip(&self.learnt.labels);
        let right = truths.filter(|(record, label)| {
            self.scored.predictions.get(&record.id).is_some_and(|found| found.label == **label)
        });
        right.count()
    }

    pub(super) fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.learnt.labels.len().max(1) as f64
    }

    /// The accuracy of always guessing the commonest class.
    pub(super) fn guessing(&self) -> f64 {
        let of = |class| self.learnt.labels.iter().filter(|label| **label == class).count();
        let most = (0..self.learnt.classes.len()).map(of).max().unwrap_or_default();
        most as f64 / self.learnt.labels.len().max(1) as f64
    }
}

/// The feature store at the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// The table.
    pub(super) table: BTreeMap<String, Vec<f64>>,
    /// What the file says of each record last.
    pub(super) file: BTreeMap<String, Vec<f64>>,
    /// Lines in the file.
    pub(super) lines: usize,
    /// The features as Rust computes them from the readings.
    pub(super) expected: BTreeMap<String, Vec<f64>>,
}

/// All of it. Where there are two of a thing, the first is session A's.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) sessions: [String; 2],
    pub(super) trained: [Trained; 2],
    pub(super) scored: [Scored; 2],
    pub(super) refused: Refused,
    pub(super) loss: Loss,
    pub(super) real: [Real; 2],
    pub(super) finals: [SessionStats; 2],
    pub(super) written: Written,
    /// How each session ended, as its hook in Rust was told.
    pub(super) ends: [Vec<SessionEnd>; 2],
    pub(super) accounts: Vec<WorkerStats>,
    pub(super) lost: Vec<LostWorker>,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    pub(super) chaos: Option<ChaosReport>,
    pub(super) elapsed: Duration,
}

impl Evidence {
    /// Every run of the pipe, with the model that was asked.
    pub(super) fn runs(&self) -> [(&Trained, &Scored); 6] {
        let [a, b] = &self.scored;
        let [first, second] = &self.real;
        [
            (&self.trained[0], a),
            (&self.trained[1], b),
            (&self.trained[1], &self.loss.meanwhile),
            (&self.loss.retrained, &self.loss.rescored),
            (&first.learnt.trained, &first.scored),
            (&second.learnt.trained, &second.scored),
        ]
    }

    /// Where every record of every run ended, those included that were lost on purpose.
    pub(super) fn ledger(&self) -> Ledger {
        let runs = self.runs().map(|(_, scored)| scored.ledger);
        runs.into_iter().chain([self.loss.queued_ledger]).sum()
    }

    /// The failures that were not meant.
    pub(super) fn failures(&self) -> Failures {
        let mut all = Failures::default();
        for (_, Scored { failures, .. }) in self.runs() {
            all.count += failures.count;
            all.named.extend(failures.named.iter().cloned());
            all.first = all.first.or_else(|| failures.first.clone());
        }
        all.named.truncate(crate::report::NAMED);
        all
    }

    /// Records in each output, over all runs.
    pub(super) fn outputs(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (name, count) in self.runs().iter().flat_map(|(_, scored)| &scored.outputs) {
            *all.entry(name.clone()).or_default() += count;
        }
        all
    }
}
