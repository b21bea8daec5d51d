//! Who calls Python: the runtime itself, or a session of it. What both can do is written here once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adapter;
use super::call::Call;
use super::routed::Routed;
use super::slither::Slither;
use crate::context::Context;
use crate::dispatch::{self, DispatchError, DispatchStream, Dispatched, Executor};
use crate::error::{ConfigError, ErrorKind, ItemError, RunError};
use crate::item::{Item, Ledger};
use crate::letters::{BadLetter, Letter};
use crate::pipe::{self, Outputs, Pipe, PipeError, PipeStream, RunOptions};
use crate::pool::{PoolExecutor, PoolSession, RunningPool, ToolStream, Via, open_single, writing};
use crate::routing::{AUTO, Decision, Subject, Traits, check_function};
use crate::wire;

/// A runtime, and the session in which it calls, if it does.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    slither: Slither,
    session: Option<Arc<PoolSession>>,
}

impl From<&Slither> for Caller {
    fn from(slither: &Slither) -> Self {
        Self { slither: slither.clone(), session: None }
    }
}

impl Caller {
    pub(super) fn new(slither: Slither, session: Arc<PoolSession>) -> Self {
        Self { slither, session: Some(session) }
    }

    /// How calls to this pool go: those to the session's go to its worker.
    fn via(&self, pool: &Arc<RunningPool>) -> Via {
        match &self.session {
            Some(session) if Arc::ptr_eq(&session.pool, pool) => Via::Session(session.clone()),
            _ => Via::Any,
        }
    }

    fn within(&self, context: Context) -> Context {
        match &self.session {
            Some(session) => context.in_session(&session.id),
            None => context,
        }
    }

    /// Imports the function in the pool's workers and returns what runs its batches.
    pub(super) async fn bind(
        &self,
        pool: &str,
        function: &str,
        timeout: Option<Duration>,
    ) -> Result<PoolExecutor, ConfigError> {
        check_function(function)?;
        let pool = self.slither.pool(pool)?.clone();
        let yields = pool.bind(function).await?.kind == "generator";
        let (timeout, via) = (timeout.unwrap_or(pool.call_timeout), self.via(&pool));
        Ok(PoolExecutor { pool, function: function.into(), timeout, via, yields })
    }

    pub(super) fn slither(&self) -> &Slither {
        &self.slither
    }

    async fn executor<I: Serialize, O: DeserializeOwned + Send + 'static>(
        &self,
        call: &Call<I>,
    ) -> Result<Arc<dyn Executor<I, O>>, ConfigError> {
        call.validate()?;
        self.placed(&call.function, &call.pool, call.traits, call.timeout).await
    }

    /// What runs the batches of a function, in the pool that is named or that the router chooses.
    pub(super) async fn placed<I: Serialize, O: DeserializeOwned + Send + 'static>(
        &self,
        function: &str,
        pool: &str,
        traits: Traits,
        timeout: Option<Duration>,
    ) -> Result<Arc<dyn Executor<I, O>>, ConfigError> {
        if pool != AUTO {
            return Ok(Arc::new(self.bind(pool, function, timeout).await?));
        }
        check_function(function)?;
        if let Some(tool) = function.strip_prefix(':') {
            // There is nothing to choose: it is where its adapter is.
            let pool = adapter::home(&self.slither, tool)?.name.clone();
            return Ok(Arc::new(self.bind(&pool, function, timeout).await?));
        }
        let (subject, decision) = self.decide(function, traits).await?;
        let bound = self.bind(&decision.pool, function, timeout).await?;
        let settled = self.session.is_some();
        Ok(Arc::new(Routed::new(self.clone(), subject, timeout, (bound, decision), settled)))
    }

    /// Where a function goes; in a session to the session's pool.
    async fn decide(&self, function: &str, traits: Traits) -> Result<(Arc<Subject>, Decision), ConfigError> {
        match &self.session {
            Some(session) => Ok(self.slither.decide_for_session(function, &session.pool)),
            None => self.slither.decide(function, traits).await,
        }
    }

    pub(super) async fn dispatch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Dispatched<O>, DispatchError<O>>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        match self.executor(&call).await {
            Ok(executor) => {
                dispatch::dispatch(executor, payloads, &call.limits, self.within(Context::run())).await
            }
            Err(error) => {
                let finished =
                    Dispatched { results: Vec::new(), failures: Vec::new(), ledger: Ledger::default() };
                Err(DispatchError { cause: error.into(), finished: Box::new(finished) })
            }
        }
    }

    pub(super) async fn call_batch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Vec<Result<O, ItemError>>, RunError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        let executor = self.executor(&call).await?;
        dispatch::call_batch(executor, payloads, &call.limits, self.within(Context::run())).await
    }

    pub(super) async fn dispatch_stream<I, O>(
        &self,
        source: impl Stream<Item = Item<I>> + Send + 'static,
        call: Call<I>,
    ) -> Result<DispatchStream<I, O>, ConfigError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        let executor = self.executor(&call).await?;
        dispatch::dispatch_stream(executor, source, &call.limits, self.within(Context::run()))
    }

    pub(super) async fn execute<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        pool: &str,
        function: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        let chosen;
        let pool = match pool {
            AUTO => {
                let refuse = |error: ConfigError| ItemError::new(ErrorKind::Import, error.to_string());
                check_function(function).map_err(refuse)?;
                chosen = match function.strip_prefix(':') {
                    Some(tool) => adapter::home(&self.slither, tool).map_err(refuse)?.name.clone(),
                    None => {
                        let (_, decision) = self.decide(function, Traits::new()).await.map_err(refuse)?;
                        self.slither.router().note(&decision, &self.within(Context::none()), false);
                        decision.pool
                    }
                };
                &chosen
            }
            named => named,
        };
        let pool = self.slither.callee(pool, function)?;
        self.execute_in(pool, function, args, pool.call_timeout).await
    }

    pub(super) async fn execute_in<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        pool: &Arc<RunningPool>,
        function: &str,
        args: &A,
        timeout: Duration,
    ) -> Result<T, ItemError> {
        let (id, frame, context, via) = self.single(pool, function, args)?;
        let reply = pool.submit(id, frame, timeout, context, &via).await?;
        open_single(&reply)
    }

    pub(super) fn stream_in<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        pool: &Arc<RunningPool>,
        function: &str,
        args: &A,
        timeout: Duration,
    ) -> ToolStream<T> {
        match self.single(pool, function, args) {
            Ok((id, frame, context, via)) => ToolStream::new(pool.clone(), id, frame, timeout, context, via),
            Err(error) => ToolStream::failed(error),
        }
    }

    /// One call, encoded, and where it has to go.
    fn single<A: Serialize + ?Sized>(
        &self,
        pool: &Arc<RunningPool>,
        function: &str,
        args: &A,
    ) -> Result<(u64, Vec<u8>, Arc<Context>, Via), ItemError> {
        let id = pool.next_id();
        let context = Arc::new(self.within(Context::none()));
        let (frame, homes) = writing(|| wire::single(id, function, &context, args, pool.max_frame));
        let via = homes.via(pool, self.via(pool))?;
        Ok((id, frame?, context, via))
    }

    fn bound(&self, options: RunOptions) -> RunOptions {
        let session = self.session.as_ref().map(|session| session.id.clone());
        options.bound_to(Arc::new(self.clone())).in_session(session)
    }

    pub(super) async fn run_pipe<In, Out, P>(
        &self,
        pipe: &Pipe<In, Out>,
        payloads: P,
    ) -> Result<Outputs<Out>, PipeError<Out>>
    where
        In: Send + 'static,
        Out: Send + 'static,
        P: IntoIterator<Item: Into<In>, IntoIter: Send + 'static>,
    {
        pipe::run_pipe(pipe, payloads, self.bound(RunOptions::new())).await
    }

    pub(super) async fn stream_pipe<In, Out, T, E, S>(
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
        pipe::try_stream_pipe(pipe, source, self.bound(options)).await
    }

    pub(super) async fn replay<In, Out, L>(
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
        pipe::replay(pipe, letters, self.bound(options)).await
    }
}
