//! The acts: four ways to form batches, each with two policies for those that fail.

use serde::Deserialize;
use slither::{Call, FixedBatch, KeyPartition, OnError, Order, WeightedBatch};

use super::datasets::Dataset;

/// The module that the workers import.
pub(super) const MODULE: &str = "batch_stats";
/// The pool.
pub(super) const POOL: &str = "statistics";

/// Datasets in a batch.
const FIXED: usize = 10;
/// What the datasets of a batch weigh at most: their values.
const WEIGHT: u64 = 500;
/// Datasets of one group in a batch.
const KEYED: usize = 16;
/// Datasets in a batch of the stream, small so that the first result is there soon.
pub(super) const STREAMED: usize = 4;
/// Batches of the stream that are under way, and those not yet read.
const STREAM_IN_FLIGHT: usize = 2;
const STREAM_WINDOW: usize = 4;
/// So much of the stream may have been pulled when its first result is read, and no more.
pub(super) const PULLED_AT_FIRST: u64 = ((STREAM_WINDOW + 1) * STREAMED) as u64;

/// How batches are formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batches {
    Fixed,
    Weighted,
    Keyed,
    Streaming,
}

/// A run over all datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) batches: Batches,
    /// Whether a batch that fails is split until only the culprits fail; else it is skipped.
    pub(super) isolate: bool,
}

/// All of them.
pub(super) fn acts() -> impl Iterator<Item = Act> {
    let batches = [Batches::Fixed, Batches::Weighted, Batches::Keyed, Batches::Streaming];
    batches.into_iter().flat_map(|batches| [false, true].map(|isolate| Act { batches, isolate }))
}

impl Act {
    /// As an output is called in the report.
    pub(super) fn name(self) -> String {
        let batches = match self.batches {
            Batches::Fixed => "fixed",
            Batches::Weighted => "weighted",
            Batches::Keyed => "keyed",
            Batches::Streaming => "streaming",
        };
        format!("{batches}/{}", self.policy())
    }

    pub(super) fn policy(self) -> &'static str {
        if self.isolate { "isolate" } else { "skip" }
    }

    /// For people.
    pub(super) fn description(self) -> String {
        match self.batches {
            Batches::Fixed => format!("FixedBatch({FIXED})"),
            Batches::Weighted => format!("WeightedBatch({WEIGHT})"),
            Batches::Keyed => format!("KeyPartition({KEYED})"),
            Batches::Streaming => format!("streaming by {STREAMED}"),
        }
    }

    pub(super) fn call(self, workers: usize) -> Call<Dataset> {
        let policy = if self.isolate { OnError::Isolate } else { OnError::Skip };
        let call = Call::new(format!("{MODULE}:describe_batch")).pool(POOL).on_error(policy);
        let call = call.max_in_flight(2 * workers);
        match self.batches {
            Batches::Fixed => call.batching(FixedBatch(FIXED)),
            Batches::Weighted => call.batching(WeightedBatch::new(WEIGHT, Dataset::weight)),
            Batches::Keyed => {
                let group = |dataset: &Dataset| dataset.group.clone();
                call.batching(KeyPartition::new(group).batch_size(KEYED))
            }
            Batches::Streaming => call
                .batching(FixedBatch(STREAMED))
                .order(Order::AsCompleted)
                .max_in_flight(STREAM_IN_FLIGHT)
                .window(STREAM_WINDOW),
        }
    }
}

/// What Python makes of a dataset.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Described {
    pub(super) number: u64,
    pub(super) pid: u32,
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) stdev: f64,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

/// What one worker has accumulated.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WorkerStats {
    pub(super) pid: u32,
    pub(super) datasets: u64,
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) m2: f64,
}
