//! A validated pipe as operators see it: [`Plan`].

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::dispatch::{Bounds, Limits, MaxInFlight, OnError, Order};
use crate::store::Scope;

/// What a pipe consists of, with every default filled in. `Display` prints it, a stage a line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The pipe's name.
    pub name: Arc<str>,
    /// Its stages, in the order in which they were written: those of a branch follow their router.
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
    /// The stages, by their place in the plan, that hand items to it: none at the beginning, several where
    /// branches join.
    pub after: Vec<usize>,
}

/// What a stage is, and its bounds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StageKind {
    /// A Rust function.
    Rust {
        /// Which: `map`, `try_map`, `filter_map`, `flat_map` or `divert`.
        adapter: &'static str,
        /// How many of it run at a time.
        concurrency: usize,
        /// The output that it may send items to.
        aside: Option<Arc<str>>,
    },
    /// A Rust function that takes batches.
    RustBatch {
        /// Which: `map_batch` or `try_map_batch`.
        adapter: &'static str,
        /// How many items it takes at most.
        batch_size: usize,
        /// How long the first of them waits for others; none for until the input ends.
        max_wait: Option<Duration>,
        /// How many batches run at a time.
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
    /// Chooses the way of each item.
    Router {
        /// In the order in which they are tried; the last takes what no rule matches.
        ways: Vec<Way>,
    },
}

/// One of the ways that a router can send an item.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// The name of its branch or output.
    pub name: Arc<str>,
    /// Its stages, by their place in the plan.
    pub stages: Range<usize>,
    /// Where it ends.
    pub end: WayEnd,
}

/// Where one way of a router ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WayEnd {
    /// At the stage behind the router, with the other ways that join.
    Joins,
    /// At an output.
    Output(Arc<str>),
    /// At the routers among its own stages.
    Routed,
}

impl Plan {
    /// How many items, or batches, a Rust stage runs at a time.
    pub(super) fn concurrency(&self, stage: usize) -> usize {
        match self.stages[stage].kind {
            StageKind::Rust { concurrency, .. } | StageKind::RustBatch { concurrency, .. } => concurrency,
            _ => 1,
        }
    }

    /// How long the first item of a batch of a Rust stage waits for others.
    pub(super) fn max_wait(&self, stage: usize) -> Option<Duration> {
        match self.stages[stage].kind {
            StageKind::RustBatch { max_wait, .. } => max_wait,
            _ => None,
        }
    }

    /// The stages from which items come to this one, directly or not.
    pub(super) fn before(&self, stage: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = self.stages[stage].after.clone();
        while let Some(stage) = open.pop() {
            if found.insert(stage) {
                open.extend(&self.stages[stage].after);
            }
        }
        found
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
        let mut lines = Vec::new();
        self.lines(0..self.stages.len(), 0, &mut lines);
        let width =
            lines.iter().filter(|(number, ..)| number.is_some()).map(|(_, name, _)| name.chars().count());
        let (width, digits) = (width.max().unwrap_or(0), self.stages.len().to_string().len());
        for (number, name, text) in lines {
            match number {
                Some(number) => writeln!(f, "  {number:digits$} {name:width$}  {text}")?,
                None => writeln!(f, "  {:digits$} {name}: {text}", "")?,
            }
        }
        write!(f, "  outputs: {}", self.outputs.join(" | "))
    }
}

impl Plan {
    /// The numbers, indented names and descriptions of stages; ways of a router have no number.
    fn lines(&self, stages: Range<usize>, depth: usize, lines: &mut Vec<(Option<usize>, String, String)>) {
        let indented = |depth: usize, name: &str| format!("{:depth$}{name}", "");
        let mut next = stages.start;
        while next < stages.end {
            let StagePlan { name, kind, on_error, .. } = &self.stages[next];
            next += 1;
            lines.push((Some(next), indented(depth, name), format!("{kind}, on error {on_error}")));
            let StageKind::Router { ways } = kind else { continue };
            // A router whose ways have no stages is told by the outputs.
            let branches = ways.iter().any(|way| !way.stages.is_empty() || way.end == WayEnd::Joins);
            for way in ways.iter().filter(|_| branches) {
                lines.push((None, indented(depth + 2, &way.name), way.end.to_string()));
                self.lines(way.stages.clone(), depth + 4, lines);
                next = next.max(way.stages.end);
            }
        }
    }
}

impl fmt::Display for WayEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joins => f.write_str("joins"),
            Self::Output(output) => write!(f, "ends in `{output}`"),
            Self::Routed => f.write_str("ends in its routers"),
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust { adapter, concurrency, aside } => {
                f.write_str(adapter)?;
                if let Some(output) = aside {
                    write!(f, " to `{output}`")?;
                }
                write!(f, ", {concurrency} at a time")
            }
            Self::RustBatch { adapter, batch_size, max_wait, concurrency } => {
                write!(f, "{adapter}, batches of {batch_size}")?;
                if let Some(wait) = max_wait {
                    write!(f, " or after {wait:?}")?;
                }
                write!(f, ", {concurrency} at a time")
            }
            Self::Dispatch { batching, max_in_flight, window, order } => {
                write!(f, "dispatch, {batching}, {max_in_flight} in flight, ")?;
                match window {
                    Some(window) => write!(f, "window {window}, {order}"),
                    None => write!(f, "window 4 times that, {order}"),
                }
            }
            Self::Router { .. } => f.write_str("router"),
        }
    }
}
