//! The running whole: [`Slither`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adapter::Adapter;
use super::builder::Builder;
use super::call::Call;
use super::caller::Caller;
use super::router::{Route, Router, RuntimeStats};
use super::session::OpenSession;
use crate::context::Context;
use crate::dispatch::{DispatchError, DispatchStream, Dispatched};
use crate::error::{ConfigError, ErrorKind, ItemError, RunError};
use crate::item::Item;
use crate::letters::{BadLetter, Letter};
use crate::pipe::{Outputs, Pipe, PipeError, PipeStream, RunOptions};
use crate::pool::{Each, PoolStats, ProgressFeed, RunningPool};
use crate::routing::{Decision, check_function};
use crate::store::{Store, StoreHandle, Stores};

/// Started pools and opened stores. Cheap to clone; the last clone that is dropped kills the workers. For an
/// end that waits for running calls, see [`shutdown`](Self::shutdown).
#[derive(Clone)]
pub struct Slither {
    inner: Arc<Inner>,
}

struct Inner {
    pools: HashMap<String, Arc<RunningPool>>,
    stores: Stores,
    router: Router,
}

impl Slither {
    /// Begins to describe pools and stores.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(pools: HashMap<String, Arc<RunningPool>>, stores: Stores) -> Self {
        Self { inner: Arc::new(Inner { pools, stores, router: Router::default() }) }
    }

    /// The handle of an opened store.
    ///
    /// # Errors
    /// If no store of this type was given to the builder.
    pub fn store<S: Store>(&self) -> Result<StoreHandle<S>, ConfigError> {
        self.inner.stores.get::<S>()
    }

    pub(super) fn pools(&self) -> impl Iterator<Item = &Arc<RunningPool>> {
        self.inner.pools.values()
    }

    pub(super) fn router(&self) -> &Router {
        &self.inner.router
    }

    pub(super) fn pool(&self, name: &str) -> Result<&Arc<RunningPool>, ConfigError> {
        let known = || self.inner.pools.keys().map(String::as_str);
        self.inner.pools.get(name).ok_or_else(|| ConfigError::unknown("pool", name, known()))
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
        Caller::from(self).dispatch(payloads, call).await
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
        Caller::from(self).call_batch(payloads, call).await
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
        Caller::from(self).dispatch_stream(source, call).await
    }

    /// Where a call would go now that leaves the choice to Slither with [`Call::auto`], and why. Nothing is run, and the
    /// function is not imported; a pool that the call names makes no difference.
    ///
    /// # Errors
    /// If the text does not name a function, no pool may run it, or no pool could read its source.
    pub async fn route<I>(&self, call: &Call<I>) -> Result<Decision, ConfigError> {
        check_function(&call.function)?;
        Ok(self.decide(&call.function, call.traits).await?.1)
    }

    /// Where the calls go that left the choice to Slither, by function, pipe and stage, as was last decided. At most
    /// 1024 places are remembered; beyond it all are forgotten, and those that call again come back.
    pub fn routes(&self) -> Vec<Route> {
        self.inner.router.routes()
    }

    /// Calls a Python function once, on whichever worker is free. A map or a struct becomes keyword arguments,
    /// a sequence positional ones, `()` none, anything else the only argument.
    ///
    /// The call may run as long as the pool's [`call_timeout`](crate::Pool::call_timeout). The pool `auto` is whichever
    /// the router chooses for the function, as [`Call::auto`] says.
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
        Caller::from(self).execute(pool, function, args).await
    }

    /// Calls a tool of an adapter by its name: of the one among the pools' adapters that has it. Otherwise as
    /// [`Adapter::call`].
    ///
    /// # Errors
    /// Of kind `import` if no adapter has such a tool, with those that there are, or several have; else as it failed.
    ///
    /// # Cancellation
    /// As for [`execute`](Self::execute).
    pub async fn call<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        tool: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        Adapter::with(self, tool)?.call(tool, args).await
    }

    /// The adapter of a pool, to call its tools, also those that yield value by value, and to ask for what it has counted.
    ///
    /// # Errors
    /// If the pool is unknown or has no adapter.
    pub fn adapter(&self, pool: &str) -> Result<Adapter, ConfigError> {
        Adapter::of(self.into(), self.pool(pool)?)
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

    pub(super) fn callee(&self, pool: &str, function: &str) -> Result<&Arc<RunningPool>, ItemError> {
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
        Caller::from(self).run_pipe(pipe, payloads).await
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
        Caller::from(self).stream_pipe(pipe, source, options).await
    }

    /// Starts a run of a pipe over dead letters, as [`pipe::replay`](crate::pipe::replay) says.
    ///
    /// # Errors
    /// If a pool or a function of a Python stage is unknown; then nothing was pulled.
    ///
    /// # Cancellation
    /// Dropping the stream cancels the run.
    pub async fn replay<In, Out, L>(
        &self,
        pipe: &Pipe<In, Out>,
        letters: L,
        options: RunOptions,
    ) -> Result<PipeStream<Out>, ConfigError>
    where
        In: DeserializeOwned + Send + 'static,
        Out: Send + 'static,
        L: IntoIterator<Item = Result<Letter, BadLetter>, IntoIter: Send + 'static>,
    {
        Caller::from(self).replay(pipe, letters, options).await
    }

    /// Begins to open a session of a pool: work of the session goes to one worker, where Python keeps state for it.
    /// See [`OpenSession`] for the options, and await it.
    pub fn open_session(&self, pool: impl Into<String>) -> OpenSession {
        OpenSession::new(self.clone(), pool.into())
    }

    /// What the functions of a pool say of their progress, with `slither.progress(done, total)` in Python, from now
    /// on. What was last said is also in [`PoolStats::progress`].
    ///
    /// # Errors
    /// If the pool is unknown.
    pub fn progress(&self, pool: &str) -> Result<ProgressFeed, ConfigError> {
        Ok(self.pool(pool)?.progress())
    }

    /// All pools as they stand, and where calls went that left the choice to Slither.
    pub fn runtime_stats(&self) -> RuntimeStats {
        let pools = self.pools().map(|pool| (pool.name.to_string(), pool.stats())).collect();
        RuntimeStats { pools, routes: self.routes() }
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
