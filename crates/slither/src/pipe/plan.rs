//! A validated pipe as operators see it: [`Plan`].

use std::fmt;
use std::sync::Arc;

use crate::dispatch::{Bounds, Limits, MaxInFlight, OnError, Order};
use crate::store::Scope;

/// What a pipe consists of, with every default filled in. `Display` prints it, a stage a line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The pipe's name.
    pub name: Arc<str>,
    /// Its stages, in the order of the flow.
    pub stages: Vec<StagePlan>,
    /// Its outputs; `default` is always among them.
    pub outputs: Vec<Arc<str>>,
    /// Items that each channel between stages holds; when one is full, the stage before it waits.
    pub capacity: usize,
    pub(super) batch_size: usize,
    pub(super) view_scope: Scope,
}

/// One stage of a [`Plan`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StagePlan {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: StageKind,
    /// What a failure in it does.
    pub on_error: OnError,
}

/// What a stage is, and its bounds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StageKind {
    /// A Rust function.
    Rust {
        /// Which: `map`, `try_map`, `filter_map` or `flat_map`.
        adapter: &'static str,
        /// How many of it run at a time.
        concurrency: usize,
    },
    /// Batches at an executor.
    Dispatch {
        /// How items are gathered, in words.
        batching: String,
        /// Batches at the executor at a time.
        max_in_flight: MaxInFlight,
        /// Batches started and not yet handed on; none for 4 × what is in flight.
        window: Option<usize>,
        /// Order of the results.
        order: Order,
    },
    /// Chooses the output.
    Router,
}

impl Plan {
    /// How many items a Rust stage runs at a time.
    pub(super) fn concurrency(&self, stage: usize) -> usize {
        match self.stages[stage].kind {
            StageKind::Rust { concurrency, .. } => concurrency,
            _ => 1,
        }
    }

    /// The limits of a dispatch stage with the plan's values in them.
    pub(super) fn bounds<I>(&self, stage: usize, limits: &Limits<I>) -> Bounds<I> {
        let stage = &self.stages[stage];
        let mut limits = limits.clone().on_error(stage.on_error.clone());
        if limits.batching.is_none() {
            limits = limits.batch_size(self.batch_size);
        }
        if let StageKind::Dispatch { max_in_flight, window, order, .. } = stage.kind {
            limits = Limits { window, ..limits.max_in_flight(max_in_flight).order(order) };
        }
        limits.resolve()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pipe `{}`, channels of {} items", self.name, self.capacity)?;
        let width = self.stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or(0);
        for (number, stage) in self.stages.iter().enumerate() {
            writeln!(
                f,
                "  {} {:width$}  {}, on error {}",
                number + 1,
                stage.name,
                stage.kind,
                stage.on_error
            )?;
        }
        write!(f, "  outputs: {}", self.outputs.join(" | "))
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust { adapter, concurrency } => write!(f, "{adapter}, {concurrency} at a time"),
            Self::Dispatch { batching, max_in_flight, window, order } => {
                write!(f, "dispatch, {batching}, {max_in_flight} in flight, ")?;
                match window {
                    Some(window) => write!(f, "window {window}, {order}"),
                    None => write!(f, "window 4 times that, {order}"),
                }
            }
            Self::Router => f.write_str("router"),
        }
    }
}
