//! The running whole: [`Slither`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::Builder;
use super::call::{Call, check_function};
use crate::context::Context;
use crate::dispatch::{self, DispatchError, DispatchStream, Dispatched, Executor};
use crate::error::{ConfigError, ErrorKind, ItemError, RunError};
use crate::item::{Item, Ledger};
use crate::pipe::{self, Outputs, Pipe, PipeError, PipeStream, RunOptions};
use crate::pool::{Each, PoolExecutor, PoolStats, ProgressFeed, RunningPool, open_single};
use crate::store::{Store, StoreHandle, Stores};
use crate::wire;

/// Started pools and opened stores. Cheap to clone; the last clone that is dropped kills the workers. For an
/// end that waits for running calls, see [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Slither {
    inner: Arc<Inner>,
}

struct Inner {
    pools: HashMap<String, Arc<RunningPool>>,
    stores: Stores,
}

impl Slither {
    /// Begins to describe pools and stores.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(pools: HashMap<String, Arc<RunningPool>>, stores: Stores) -> Self {
        Self { inner: Arc::new(Inner { pools, stores }) }
    }

    /// The handle of an opened store.
    ///
    /// # Errors
    /// If no store of this type was given to the builder.
    pub fn store<S: Store>(&self) -> Result<StoreHandle<S>, ConfigError> {
        self.inner.stores.get::<S>()
    }

    pub(super) fn pool(&self, name: &str) -> Result<&Arc<RunningPool>, ConfigError> {
        let known = || self.inner.pools.keys().map(String::as_str);
        self.inner.pools.get(name).ok_or_else(|| ConfigError::unknown("pool", name, known()))
    }

    /// Imports the call's function in its pool's workers and returns what runs its batches.
    pub(super) async fn bind(
        &self,
        pool: &str,
        function: &str,
        timeout: Option<Duration>,
    ) -> Result<PoolExecutor, ConfigError> {
        check_function(function)?;
        let pool = self.pool(pool)?.clone();
        let yields = pool.bind(function).await?.kind == "generator";
        let timeout = timeout.unwrap_or(pool.call_timeout);
        Ok(PoolExecutor { pool, function: function.into(), timeout, yields })
    }

    /// Runs payloads through a Python function, in batches, and collects what comes back.
    ///
    /// # Errors
    /// If the pool or the function is unknown or a bound is zero, before anything is run; or if a batch failed
    /// under [`OnError::Halt`](crate::OnError::Halt): the error carries everything that was finished.
    ///
    /// # Cancellation
    /// Dropping the future withdraws what is queued; what Python already runs is finished and discarded.
    pub async fn dispatch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Dispatched<O>, DispatchError<O>>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        match self.executor(&call).await {
            Ok(executor) => dispatch::dispatch(executor, payloads, &call.limits, Context::run()).await,
            Err(error) => {
                let finished =
                    Dispatched { results: Vec::new(), failures: Vec::new(), ledger: Ledger::default() };
                Err(DispatchError { cause: error.into(), finished: Box::new(finished) })
            }
        }
    }

    /// Runs all payloads as one batch of a Python function, in one call of it whatever the call's batching, and returns
    /// a result or an error for each, in the order of the payloads.
    ///
    /// The call's policy applies: under [`OnError::Isolate`](crate::OnError::Isolate) and
    /// [`OnError::Retry`](crate::OnError::Retry) what failed is called again; else what failed has the error. Without payloads
    /// nothing is called.
    ///
    /// # Errors
    /// If the pool or the function is unknown, or the policy makes no sense outside a pipe. A batch that fails is no
    /// error here: each of its payloads has one.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the call if no worker has it yet; else its answer is discarded.
    pub async fn call_batch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Vec<Result<O, ItemError>>, RunError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        dispatch::call_batch(self.executor(&call).await?, payloads, &call.limits, Context::run()).await
    }

    /// Runs a stream of items through a Python function and streams their outcomes; input is pulled on demand,
    /// and memory is bounded whatever its length.
    ///
    /// # Errors
    /// If the pool or the function is unknown, or a bound is zero. What goes wrong later comes through the
    /// stream.
    pub async fn dispatch_stream<I, O>(
        &self,
        source: impl Stream<Item = Item<I>> + Send + 'static,
        call: Call<I>,
    ) -> Result<DispatchStream<I, O>, ConfigError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        let executor = self.executor(&call).await?;
        dispatch::dispatch_stream(executor, source, &call.limits, Context::run())
    }

    async fn executor<I: Serialize, O: DeserializeOwned + Send + 'static>(
        &self,
        call: &Call<I>,
    ) -> Result<Arc<dyn Executor<I, O>>, ConfigError> {
        call.validate()?;
        Ok(Arc::new(self.bind(&call.pool, &call.function, call.timeout).await?))
    }

    /// Calls a Python function once, on whichever worker is free. A map or a struct becomes keyword arguments,
    /// a sequence positional ones, `()` none, anything else the only argument.
    ///
    /// The call may run as long as the pool's [`call_timeout`](crate::Pool::call_timeout).
    ///
    /// # Errors
    /// Of kind `import` if the pool or the function is unknown; else as the function failed.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the call if no worker has it yet; else its answer is discarded.
    pub async fn execute<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        pool: &str,
        function: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        let pool = self.callee(pool, function)?;
        let id = pool.next_id();
        let context = Arc::new(Context::none());
        let frame = wire::single(id, function, &context, args, pool.max_frame)?;
        let reply = pool.submit(id, frame, pool.call_timeout, context).await?;
        open_single(&reply)
    }

    /// Calls a Python function once on each live worker, for what every worker keeps for itself, such as
    /// statistics. Workers that died are named in [`Each::lost`].
    ///
    /// # Errors
    /// If the pool is unknown or takes no more work. A worker's own failure is in its reply.
    pub async fn call_each<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        pool: &str,
        function: &str,
        args: &A,
    ) -> Result<Each<T>, ItemError> {
        let pool = self.callee(pool, function)?;
        pool.call_each(function, args, pool.call_timeout, Arc::new(Context::none())).await
    }

    fn callee(&self, pool: &str, function: &str) -> Result<&Arc<RunningPool>, ItemError> {
        let refuse = |error: ConfigError| ItemError::new(ErrorKind::Import, error.to_string());
        check_function(function).map_err(refuse)?;
        self.pool(pool).map_err(refuse)
    }

    /// Runs a pipe over a collection and gathers what comes out.
    ///
    /// # Errors
    /// If a pool or a function of a Python stage is unknown, before any input is pulled; or if the run halted:
    /// the error carries everything finished until then.
    ///
    /// # Cancellation
    /// Dropping the future cancels the run.
    pub async fn run_pipe<In, Out, P>(
        &self,
        pipe: &Pipe<In, Out>,
        payloads: P,
    ) -> Result<Outputs<Out>, PipeError<Out>>
    where
        In: Send + 'static,
        Out: Send + 'static,
        P: IntoIterator<Item: Into<In>, IntoIter: Send + 'static>,
    {
        pipe::run_pipe(pipe, payloads, RunOptions::new().bound_to(Arc::new(self.clone()))).await
    }

    /// Starts a run of a pipe over a stream of payloads that may fail, and returns the stream of what comes
    /// out. Input is pulled on demand and nothing is gathered, so the input may be endless.
    ///
    /// # Errors
    /// If a pool or a function of a Python stage is unknown; then nothing was pulled.
    ///
    /// # Cancellation
    /// Dropping the stream cancels the run.
    pub async fn stream_pipe<In, Out, T, E, S>(
        &self,
        pipe: &Pipe<In, Out>,
        source: S,
        options: RunOptions,
    ) -> Result<PipeStream<Out>, ConfigError>
    where
        In: Send + 'static,
        Out: Send + 'static,
        T: Into<In>,
        E: fmt::Display,
        S: Stream<Item = Result<T, E>> + Send + 'static,
    {
        pipe::try_stream_pipe(pipe, source, options.bound_to(Arc::new(self.clone()))).await
    }

    /// What the functions of a pool say of their progress, with `slither.progress(done, total)` in Python, from now
    /// on. What was last said is also in [`PoolStats::progress`].
    ///
    /// # Errors
    /// If the pool is unknown.
    pub fn progress(&self, pool: &str) -> Result<ProgressFeed, ConfigError> {
        Ok(self.pool(pool)?.progress())
    }

    /// A pool as it stands.
    ///
    /// # Errors
    /// If the pool is unknown.
    pub fn stats(&self, pool: &str) -> Result<PoolStats, ConfigError> {
        Ok(self.pool(pool)?.stats())
    }

    /// Takes no more work, finishes what was begun within `grace`, and ends every process. What is not
    /// finished by then fails, with the cause.
    pub async fn shutdown(self, grace: Duration) {
        let pools = self.inner.pools.values();
        futures_util::future::join_all(pools.map(|pool| pool.shutdown(grace))).await;
    }
}

impl fmt::Debug for Slither {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slither").field("pools", &self.inner.pools.keys()).finish_non_exhaustive()
    }
}
