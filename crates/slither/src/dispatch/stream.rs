//! Dispatch as a stream: [`dispatch_stream`] and [`try_dispatch_stream`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use futures_core::Stream;
use futures_util::StreamExt;

use super::driver::Driver;
use super::executor::Executor;
use super::limits::Limits;
use super::outcome::{Ended, Outcome};
use crate::context::Context;
use crate::error::{ConfigError, RunError};
use crate::item::{Item, Ledger};

type Source<I> = Pin<Box<dyn Stream<Item = Result<(Item<I>, ()), String>> + Send>>;

/// The outcomes of a dispatch; made by [`dispatch_stream`].
///
/// It yields each item's [`Outcome`]. If the run ends before its input does, an error is the last thing it
/// yields, after everything that finished. Dropping it withdraws what is in flight.
pub struct DispatchStream<I, O> {
    driver: Driver<Source<I>, I, O, ()>,
}

impl<I, O: Send + 'static> DispatchStream<I, O> {
    /// The counts so far. They balance once the stream has ended or was cancelled; before, items are on
    /// their way.
    pub fn ledger(&self) -> Ledger {
        self.driver.ledger()
    }

    /// Withdraws everything that was not read, and returns the final counts. The stream has ended.
    pub fn cancel(&mut self) -> Ledger {
        self.driver.cancel();
        self.driver.ledger()
    }
}

impl<I, O: Send + 'static> Stream for DispatchStream<I, O> {
    type Item = Result<Outcome<O>, RunError>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if let Some((item, ())) = self.driver.next_done() {
            return Poll::Ready(Some(Ok(Outcome::Done(item))));
        }
        let next = Pin::new(&mut self.driver).poll_next(task);
        let outcome = |(ended, ())| match ended {
            Ended::Done(item) => Outcome::Done(item),
            Ended::Failed(failure) => Outcome::Failed(failure),
            Ended::Routed(routed) => Outcome::Failed(Box::new(routed.failure)),
        };
        next.map(|next| next.map(|next| next.map(outcome)))
    }
}

impl<I, O: Send + 'static> fmt::Debug for DispatchStream<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchStream").field("ledger", &self.ledger()).finish_non_exhaustive()
    }
}

/// Runs a stream of items through an executor, in batches, and streams their outcomes.
///
/// Nothing happens until the stream is polled; input is pulled when there is room for it. Memory is bounded
/// by the [`Limits`], whatever the length of the input.
///
/// # Errors
/// If a bound is zero, or the policy makes no sense. What goes wrong later comes through the stream.
pub fn dispatch_stream<I, O: Send + 'static>(
    executor: Arc<dyn Executor<I, O>>,
    source: impl Stream<Item = Item<I>> + Send + 'static,
    limits: &Limits<I>,
    context: Context,
) -> Result<DispatchStream<I, O>, ConfigError> {
    start(executor, source.map(|item| Ok((item, ()))), limits, context)
}

/// [`dispatch_stream`] over a source that can fail. At its first error no more is pulled; everything up to
/// there is executed and delivered, and the stream ends with [`RunError::Source`].
///
/// # Errors
/// If a bound is zero, or the policy makes no sense.
pub fn try_dispatch_stream<I, O: Send + 'static, E: fmt::Display>(
    executor: Arc<dyn Executor<I, O>>,
    source: impl Stream<Item = Result<Item<I>, E>> + Send + 'static,
    limits: &Limits<I>,
    context: Context,
) -> Result<DispatchStream<I, O>, ConfigError> {
    let source = source.map(|item| item.map(|item| (item, ())).map_err(|error| error.to_string()));
    start(executor, source, limits, context)
}

fn start<I, O: Send + 'static>(
    executor: Arc<dyn Executor<I, O>>,
    source: impl Stream<Item = Result<(Item<I>, ()), String>> + Send + 'static,
    limits: &Limits<I>,
    context: Context,
) -> Result<DispatchStream<I, O>, ConfigError> {
    limits.validate_alone()?;
    let source: Source<I> = Box::pin(source);
    Ok(DispatchStream { driver: Driver::new(executor, source, limits.resolve(), context, Arc::default()) })
}
