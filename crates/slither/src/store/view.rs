//! [`View`]: a question that Python may ask a store, answered in Rust from one snapshot.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::panic_message;
use super::{Snapshot, ViewError};
use crate::codec;
use crate::context::{Context, SessionId};

/// How long a view may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

type Handler = dyn Fn(&[u8], bool, &ViewContext) -> Result<Vec<u8>, ViewError> + Send + Sync;

/// From where a view may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Only where there is a session: in a run, a dispatch, or a session that was opened. The default.
    #[default]
    Session,
    /// From anywhere.
    Global,
}

/// A question that Python may ask: a name, a handler, and from where and for how long it may be asked.
///
/// The handler's first argument is read from the keyword arguments of the Python call, so it is a struct with
/// their names; for a view that takes none, a struct without fields. What it returns is any `Serialize`;
/// [`Contents::get_arc`](super::Contents::get_arc) gives rows to return without copying them.
///
/// | | limit | default | when reached |
/// |---|---|---|---|
/// | `scope` | from where it may be called | `Session` | Python gets an exception, kind `scope` |
/// | `timeout` | time of one call, or of one `view_many` | 5 s | Python gets an exception, kind `timeout`; the handler runs on, its answer discarded |
///
/// A handler that panics costs its call, kind `panicked`, and nothing else.
#[derive(Clone)]
pub struct View {
    name: String,
    scope: Scope,
    timeout: Duration,
    handler: Arc<Handler>,
}

impl View {
    /// A view that answers one question at a time. `view_many` asks them one after the other of the same
    /// snapshot, and fails with the first that fails.
    pub fn scalar<A, R, F>(name: impl Into<String>, handler: F) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
        F: Fn(A, &ViewContext) -> Result<R, ViewError> + Send + Sync + 'static,
    {
        Self::erased(name.into(), move |args, many, context| {
            if !many {
                return encode(&handler(decode(args)?, context)?);
            }
            let questions: Vec<A> = decode(args)?;
            let answers: Result<Vec<R>, _> =
                questions.into_iter().map(|question| handler(question, context)).collect();
            encode(&answers?)
        })
    }

    /// A view that answers a list of questions together, by a list as long in the same order. A single call
    /// is a list of one.
    pub fn batch<A, R, F>(name: impl Into<String>, handler: F) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
        F: Fn(Vec<A>, &ViewContext) -> Result<Vec<R>, ViewError> + Send + Sync + 'static,
    {
        Self::erased(name.into(), move |args, many, context| {
            let questions: Vec<A> = if many { decode(args)? } else { vec![decode(args)?] };
            let asked = questions.len();
            let answers = handler(questions, context)?;
            match answers.as_slice() {
                answers if answers.len() != asked => Err(ViewError::new(format!(
                    "it was asked {asked} questions and gave {} answers",
                    answers.len()
                ))),
                [answer] if !many => encode(answer),
                answers => encode(answers),
            }
        })
    }

    fn erased(
        name: String,
        handler: impl Fn(&[u8], bool, &ViewContext) -> Result<Vec<u8>, ViewError> + Send + Sync + 'static,
    ) -> Self {
        Self { name, scope: Scope::default(), timeout: TIMEOUT, handler: Arc::new(handler) }
    }

    /// From where it may be called.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// How long one call may take; not zero.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn time(&self) -> Duration {
        self.timeout
    }

    /// Answers one call: msgpack in, msgpack out. With `many` both are arrays.
    pub(super) fn call(&self, args: &[u8], many: bool, context: &ViewContext) -> Result<Vec<u8>, ViewError> {
        if self.scope == Scope::Session && context.session().is_none() {
            return Err(ViewError::scope().of(&self.name));
        }
        let answer = catch_unwind(AssertUnwindSafe(|| (self.handler)(args, many, context)));
        answer
            .unwrap_or_else(|panic| Err(ViewError::panicked(panic_message(&*panic))))
            .map_err(|e| e.of(&self.name))
    }
}

fn decode<A: DeserializeOwned>(args: &[u8]) -> Result<A, ViewError> {
    codec::decode(args).map_err(ViewError::decode)
}

fn encode<R: Serialize + ?Sized>(answer: &R) -> Result<Vec<u8>, ViewError> {
    let mut bytes = Vec::new();
    match codec::encode(answer, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(ViewError::new(format!("its answer cannot travel: {error}"))),
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.name)
            .field("scope", &self.scope)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What a view's handler may know: the data, and who asks.
#[derive(Debug)]
pub struct ViewContext {
    snapshot: Snapshot,
    context: Context,
}

impl ViewContext {
    pub(super) fn new(snapshot: Snapshot, context: Context) -> Self {
        Self { snapshot, context }
    }

    /// The store that declares the view, as it was when the call came; the same for all of a `view_many`.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The run, stage and attempt that the calling batch belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The calling session; always there in a view of [`Scope::Session`].
    pub fn session(&self) -> Option<&SessionId> {
        self.context.session.as_ref()
    }
}
