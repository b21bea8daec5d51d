//! An executor without processes, for tests of pipes and dispatches.

use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::executor::{Batch, Executor, Reply};
use super::permits::Permit;
use super::yields::{Arrivals, Yields};
use crate::context::Context;
use crate::error::{ErrorKind, ItemError};

type Function<I, O> = dyn Fn(Vec<I>, &mut Yields<O>) -> Result<Vec<O>, ItemError> + Send + Sync;

/// Runs a Rust function on batches, on tokio's threads for blocking work: stands in for a pool in tests.
///
/// An error of the function fails the batch, and so does a panic, both as
/// [`ErrorKind::Handler`]. Needs a tokio runtime.
pub struct InProcess<I, O> {
    name: String,
    function: Arc<Function<I, O>>,
}

impl<I, O> InProcess<I, O> {
    /// An executor called `name` that runs `function` on the payloads of a batch.
    pub fn new<F, E>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Vec<I>) -> Result<Vec<O>, E> + Send + Sync + 'static,
        E: fmt::Display,
    {
        Self::yielding(name, move |payloads, _| function(payloads))
    }

    /// An executor that may leave results before a batch ends, as a Python generator does; it returns the rest.
    ///
    /// ```
    /// use slither::dispatch::InProcess;
    ///
    /// let squares = InProcess::yielding("local", |numbers: Vec<u64>, yields| {
    ///     numbers.into_iter().for_each(|n| yields.leave([Ok(n * n)]));
    ///     Ok::<_, String>(Vec::new())
    /// });
    /// # let _ = squares;
    /// ```
    pub fn yielding<F, E>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Vec<I>, &mut Yields<O>) -> Result<Vec<O>, E> + Send + Sync + 'static,
        E: fmt::Display,
    {
        let function = move |payloads, yields: &mut Yields<O>| {
            function(payloads, yields).map_err(|error| ItemError::new(ErrorKind::Handler, error.to_string()))
        };
        Self { name: name.into(), function: Arc::new(function) }
    }
}

impl<I, O> Executor<I, O> for InProcess<I, O>
where
    I: Clone + Send + 'static,
    O: Send + 'static,
{
    fn execute(&self, batch: &Batch<I>, context: &Context) -> BoxFuture<'static, Reply<O>> {
        let arrivals = Arrivals::new();
        let yields = arrivals.yields(Permit::NONE, batch.id, batch.items.len());
        let reply = self.execute_yielding(batch, context, yields);
        Box::pin(async move {
            let rest = reply.await?;
            let yielded = arrivals.take().into_iter().flat_map(|yielded| yielded.results);
            Ok(yielded.chain(rest).collect())
        })
    }

    fn execute_yielding(
        &self,
        batch: &Batch<I>,
        _context: &Context,
        mut yields: Yields<O>,
    ) -> BoxFuture<'static, Reply<O>> {
        let payloads: Vec<I> = batch.payloads().cloned().collect();
        let function = self.function.clone();
        let call = tokio::task::spawn_blocking(move || function(payloads, &mut yields));
        Box::pin(async move {
            match call.await {
                Ok(results) => Ok(results?.into_iter().map(Ok).collect()),
                Err(error) => Err(match error.try_into_panic() {
                    Ok(panic) => ItemError::panicked(&*panic),
                    Err(_) => ItemError::new(ErrorKind::Pool, "the runtime is shutting down"),
                }),
            }
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn slots(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

impl<I, O> fmt::Debug for InProcess<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("name", &self.name).finish_non_exhaustive()
    }
}
