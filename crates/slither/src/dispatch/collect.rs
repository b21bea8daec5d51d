//! Dispatch of a collection: [`dispatch`], which is the stream and a collector.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use super::driver::Driver;
use super::executor::Executor;
use super::limits::Limits;
use super::outcome::Ended;
use crate::context::Context;
use crate::error::RunError;
use crate::item::{Failure, Item, Ledger};

/// Everything that a dispatch finished.
#[derive(Debug, Clone)]
pub struct Dispatched<O> {
    /// The items that have a result, in the order of the [`Limits`].
    pub results: Vec<Item<O>>,
    /// The items that failed.
    pub failures: Vec<Failure>,
    /// Where every item ended.
    pub ledger: Ledger,
}

impl<O> Dispatched<O> {
    /// The results without their items.
    pub fn into_payloads(self) -> Vec<O> {
        self.results.into_iter().map(|item| item.payload).collect()
    }
}

/// A dispatch that ended before its input did: why, and everything it finished until then.
#[derive(Debug, Clone)]
pub struct DispatchError<O> {
    /// Why it ended.
    pub cause: RunError,
    /// What was finished; empty if it never began.
    pub finished: Box<Dispatched<O>>,
}

impl<O> fmt::Display for DispatchError<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)?;
        match self.cause {
            RunError::Config(_) | RunError::Imbalance(_) => Ok(()),
            _ => write!(f, " ({})", self.finished.ledger),
        }
    }
}

impl<O: fmt::Debug> Error for DispatchError<O> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// Runs payloads through an executor, in batches, and collects what comes back. Items are numbered from 0.
///
/// # Errors
/// If a bound or the policy makes no sense, or if a batch failed under [`OnError::Halt`](super::OnError::Halt); the error carries
/// what was finished.
///
/// # Cancellation
/// Dropping the future withdraws what is in flight.
pub async fn dispatch<I, O: Send + 'static>(
    executor: Arc<dyn Executor<I, O>>,
    payloads: impl IntoIterator<Item = I>,
    limits: &Limits<I>,
    context: Context,
) -> Result<Dispatched<O>, DispatchError<O>> {
    let mut done = Dispatched { results: Vec::new(), failures: Vec::new(), ledger: Ledger::default() };
    if let Err(error) = limits.validate_alone() {
        return Err(DispatchError { cause: error.into(), finished: Box::new(done) });
    }
    let items = payloads.into_iter().zip(0u64..);
    let source = stream::iter(items.map(|(payload, id)| Ok((Item::new(id, payload), ()))));
    let mut driver = Driver::new(executor, source, limits.resolve(), context, Arc::default());
    let mut cause = None;
    while let Some(next) = driver.next().await {
        match next {
            Ok((Ended::Done(item), ())) => done.results.push(item),
            Ok((Ended::Failed(failure), ())) => done.failures.push(*failure),
            Ok((Ended::Routed(routed), ())) => done.failures.push(routed.failure),
            Err(error) => cause = Some(error),
        }
    }
    done.ledger = driver.ledger();
    match cause {
        None => Ok(done),
        Some(cause) => Err(DispatchError { cause, finished: Box::new(done) }),
    }
}
