//! A run's results, gathered: [`Outputs`], and [`PipeError`] for a run that ended early.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::plan::Plan;
use super::report::Report;
use super::stream::Event;
use crate::error::RunError;
use crate::item::{Failure, Item, Ledger};

/// Everything that a run finished: a bucket of items for each output, and the failures.
#[derive(Debug, Clone)]
pub struct Outputs<Out> {
    buckets: Vec<(Arc<str>, Vec<Item<Out>>)>,
    failures: Vec<Failure>,
    pub(super) report: Report,
}

impl<Out> Outputs<Out> {
    pub(super) fn empty(plan: &Plan) -> Self {
        let buckets = plan.outputs.iter().map(|output| (output.clone(), Vec::new())).collect();
        Self { buckets, failures: Vec::new(), report: Report::default() }
    }

    pub(super) fn add(&mut self, event: Event<Out>) {
        match event {
            Event::Failed(failure) => self.failures.push(failure),
            Event::Emitted { output, item } => {
                // The names are the plan's own, so they are compared as pointers, and few.
                if let Some((_, bucket)) =
                    self.buckets.iter_mut().find(|(name, _)| Arc::ptr_eq(name, &output))
                {
                    bucket.push(item);
                }
            }
        }
    }

    /// The names of the outputs, in the order of the plan.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.buckets.iter().map(|(name, _)| &**name)
    }

    /// The items of an output; none for a name that the pipe does not have.
    pub fn items(&self, output: &str) -> &[Item<Out>] {
        let bucket = self.buckets.iter().find(|(name, _)| **name == *output);
        bucket.map_or(&[], |(_, items)| items)
    }

    /// The payloads of an output; none for a name that the pipe does not have.
    pub fn payloads(&self, output: &str) -> Vec<&Out> {
        self.items(output).iter().map(|item| &item.payload).collect()
    }

    /// The items of every output, with its name.
    pub fn into_buckets(self) -> impl Iterator<Item = (Arc<str>, Vec<Item<Out>>)> {
        self.buckets.into_iter()
    }

    /// The items that failed, in the order in which they did.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Where every item ended.
    pub fn ledger(&self) -> Ledger {
        self.report.ledger
    }

    /// What the run did, in numbers.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// A run that ended before its input did: why, and everything it finished until then.
#[derive(Debug, Clone)]
pub struct PipeError<Out> {
    /// Why it ended.
    pub cause: RunError,
    /// What was finished; empty if the run never began.
    pub outputs: Box<Outputs<Out>>,
}

impl<Out> fmt::Display for PipeError<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)?;
        match self.cause {
            RunError::Config(_) | RunError::Imbalance(_) => Ok(()),
            _ => write!(f, " ({})", self.outputs.ledger()),
        }
    }
}

impl<Out: fmt::Debug> Error for PipeError<Out> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}
