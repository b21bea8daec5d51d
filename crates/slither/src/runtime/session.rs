//! Sessions: [`OpenSession`], which opens one, and its handle [`Session`].

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::adapter::Adapter;
use super::call::Call;
use super::caller::Caller;
use super::slither::Slither;
use crate::context::SessionId;
use crate::dispatch::{DispatchError, DispatchStream, Dispatched};
use crate::error::{ConfigError, ErrorKind, ItemError, RunError};
use crate::item::Item;
use crate::pipe::{Outputs, Pipe, PipeError, PipeStream, RunOptions};
use crate::pool::{Affinity, EndHook, PoolSession, SessionEnd};

/// A session to be opened; made by [`Slither::open_session`]. Awaiting it opens the session.
///
/// # Errors
/// Of kind [`Import`](ErrorKind::Import) if the pool is unknown, [`SessionLimit`](ErrorKind::SessionLimit) if it
/// has as many sessions as it may have, [`Pool`](ErrorKind::Pool) if it takes no more work.
///
/// # Cancellation
/// Dropping the future opens nothing; where the worker has opened it already, it is ended there.
#[must_use = "a session is opened by awaiting this"]
pub struct OpenSession {
    slither: Slither,
    pool: String,
    affinity: Affinity,
    ttl: Option<Duration>,
    hook: Option<EndHook>,
}

impl OpenSession {
    pub(super) fn new(slither: Slither, pool: String) -> Self {
        Self { slither, pool, affinity: Affinity::default(), ttl: None, hook: None }
    }

    /// Where calls run when the session's worker is busy. Default: [`Affinity::StrictQueue`].
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.affinity = affinity;
        self
    }

    /// Ends the session when it has been idle for this long: when no call of it has been waiting or running
    /// since. A call whose caller went away counts until Python has finished it; opening counts as a call; what
    /// happens beside calls, such as holding the handle, does not count. Default: never.
    pub fn ttl(mut self, idle: Duration) -> Self {
        self.ttl = Some(idle);
        self
    }

    /// Is called exactly once, when the session has ended for good: closed, dropped or expired. It runs in the
    /// thread that ends the session, and a panic in it is logged. A worker's death alone does not end it for
    /// good, because the session can be opened anew.
    pub fn on_end(mut self, hook: impl FnOnce(SessionEnd) + Send + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }
}

impl IntoFuture for OpenSession {
    type Output = Result<Session, ItemError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { slither, pool, affinity, ttl, hook } = self;
            let pool =
                slither.pool(&pool).map_err(|error| ItemError::new(ErrorKind::Import, error.to_string()));
            let inner = PoolSession::new(pool?.clone(), affinity, ttl, hook)?;
            // From here on whatever ends this future ends the session, too.
            let session = Session { caller: Caller::new(slither, inner.clone()), inner };
            session.inner.open().await?;
            session.inner.watch();
            Ok(session)
        })
    }
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSession")
            .field("pool", &self.pool)
            .field("affinity", &self.affinity)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// An opened session: what is called through it runs in one worker, where Python keeps state for it.
///
/// ```no_run
/// use slither::{Affinity, Call, Slither};
/// use std::time::Duration;
///
/// # async fn serve(slither: Slither) -> Result<(), Box<dyn std::error::Error>> {
/// let session = slither
///     .open_session("default")
///     .ttl(Duration::from_secs(600))
///     .on_end(|how| println!("ended: {how}"))
///     .await?;
/// session.execute::<_, ()>("my_model:train", &["first", "second"]).await?;
/// let scored = session.dispatch::<_, f64>(["third"], Call::new("my_model:score")).await?;
/// session.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Guarantees
/// - A strict session never moves: its calls run in the worker that keeps its state, or fail.
/// - When that worker dies, the call that it ran fails as that death says, and every other call fails with
///   [`ErrorKind::SessionLost`], until [`reopen`](Self::reopen). No call ever finds fresh state unasked.
/// - Dropping the handle, by whatever ends its owner, ends the session: calls made before are finished or
///   withdrawn like any other, then Python's hooks run and its state is gone.
///
/// It holds a clone of its [`Slither`], whose workers live on with it.
pub struct Session {
    caller: Caller,
    inner: Arc<PoolSession>,
}

impl Session {
    /// Its id: what views, `slither.context().session_id` and telemetry show. It stays when the session is opened
    /// anew.
    pub fn id(&self) -> &SessionId {
        &self.inner.id
    }

    /// The name of its pool, for [`Call::pool`]. Calls through the session to other pools go to any worker.
    pub fn pool(&self) -> &str {
        &self.inner.pool.name
    }

    /// The worker that keeps its state, by name and process id; none while it is lost, and with
    /// [`Affinity::Hint`].
    pub fn worker(&self) -> Option<(String, u32)> {
        self.inner.worker()
    }

    /// Calls a Python function once, in the session's worker; as [`Slither::execute`] does.
    ///
    /// # Errors
    /// As the function failed, or of kind [`SessionLost`](ErrorKind::SessionLost),
    /// [`SessionBusy`](ErrorKind::SessionBusy) or [`SessionEnded`](ErrorKind::SessionEnded).
    ///
    /// # Cancellation
    /// As for [`Slither::execute`].
    pub async fn execute<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        function: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        self.caller.execute(self.pool(), function, args).await
    }

    /// The adapter of the session's pool: its calls go to the session's worker. [`Adapter::stats`] and
    /// [`Adapter::report`] ask all of the pool's workers all the same.
    ///
    /// # Errors
    /// If the pool has no adapter.
    pub fn adapter(&self) -> Result<Adapter, ConfigError> {
        Adapter::of(self.caller.clone(), &self.inner.pool)
    }

    /// Runs payloads through a Python function, in batches; as [`Slither::dispatch`] does. `isolate` and `retry`
    /// apply only to failures that the worker survived.
    ///
    /// With [`Affinity::StrictFailFast`] a batch that finds the worker with the one before it fails: let
    /// `max_in_flight` be 1, or retry.
    ///
    /// # Errors
    /// As for [`Slither::dispatch`].
    ///
    /// # Cancellation
    /// As for [`Slither::dispatch`].
    pub async fn dispatch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Dispatched<O>, DispatchError<O>>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        self.caller.dispatch(payloads, call).await
    }

    /// Runs all payloads as one batch of a Python function; as [`Slither::call_batch`] does.
    ///
    /// # Errors
    /// As for [`Slither::call_batch`].
    ///
    /// # Cancellation
    /// As for [`Slither::call_batch`].
    pub async fn call_batch<I, O>(
        &self,
        payloads: impl IntoIterator<Item = I>,
        call: Call<I>,
    ) -> Result<Vec<Result<O, ItemError>>, RunError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        self.caller.call_batch(payloads, call).await
    }

    /// Runs a stream of items through a Python function; as [`Slither::dispatch_stream`] does.
    ///
    /// # Errors
    /// As for [`Slither::dispatch_stream`].
    pub async fn dispatch_stream<I, O>(
        &self,
        source: impl Stream<Item = Item<I>> + Send + 'static,
        call: Call<I>,
    ) -> Result<DispatchStream<I, O>, ConfigError>
    where
        I: Serialize,
        O: DeserializeOwned + Send + 'static,
    {
        self.caller.dispatch_stream(source, call).await
    }

    /// Runs a pipe over a collection; as [`Slither::run_pipe`] does. Its Python stages in the session's pool run
    /// in the session's worker, and its context shows the session's id.
    ///
    /// # Errors
    /// As for [`Slither::run_pipe`].
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
        self.caller.run_pipe(pipe, payloads).await
    }

    /// Starts a run of a pipe over a stream; as [`Slither::stream_pipe`] does, in the session.
    ///
    /// # Errors
    /// As for [`Slither::stream_pipe`].
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
        self.caller.stream_pipe(pipe, source, options).await
    }

    /// Opens a lost session anew, in the worker with the fewest sessions, for which it waits if that is only being
    /// started: the id and the hook of the host stay, what Python kept is gone and `slither.session()` is empty. A
    /// session that is not lost is left as it is.
    ///
    /// # Errors
    /// Of kind [`SessionEnded`](ErrorKind::SessionEnded) after its time to live, [`Pool`](ErrorKind::Pool) if the
    /// pool takes no more work.
    ///
    /// # Cancellation
    /// The session stays lost, or is open.
    pub async fn reopen(&self) -> Result<(), ItemError> {
        self.inner.reopen().await
    }

    /// Ends the session, and waits until the calls made before are over, Python's hooks have run and its state
    /// is gone.
    ///
    /// # Errors
    /// If Python's hooks did not run to their end: one killed the worker, ran past the pool's `call_timeout`, or
    /// the pool ended. Exceptions of hooks are logged, and no error. The session has ended all the same.
    ///
    /// # Cancellation
    /// The session ends without being waited for.
    pub async fn close(self) -> Result<(), ItemError> {
        self.inner.close().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.end(SessionEnd::Dropped);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}
