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
///
/// A handler may call Python through a runtime that it holds, by blocking on it, also in the pool that asks: its calls then
/// take workers that are free at once, and go ahead of what waits there. If there is none, they fail as
/// [`Refused`](crate::ErrorKind::Refused), and so does the view when its handler then returns an error: it would wait for
/// itself. The same holds through any number of views and pools in between.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::stores::Stores;
    use super::super::views::Views;
    use super::super::{BoxError, Store, StoreHandle, Table, Tables, Transaction};
    use super::*;

    const SQUARES: Table<u32, u32> = Table::set("squares");

    #[derive(Deserialize)]
    struct Ask {
        n: u32,
    }

    struct Squares;

    fn square(ask: &Ask, view: &ViewContext) -> Result<u32, ViewError> {
        view.snapshot().get(&SQUARES, &ask.n).copied().ok_or_else(|| format!("no square of {}", ask.n).into())
    }

    impl Store for Squares {
        fn tables(&self) -> Tables {
            Tables::new().with(&SQUARES)
        }

        fn views(&self) -> Vec<View> {
            vec![
                View::scalar("one", |ask: Ask, view| square(&ask, view)).scope(Scope::Global),
                View::batch("all", |asks: Vec<Ask>, view| asks.iter().map(|ask| square(ask, view)).collect())
                    .scope(Scope::Global),
                View::batch("short", |_: Vec<Ask>, _| Ok(vec![1u32; 3])).scope(Scope::Global),
                View::scalar("who", |_: Ask, view| Ok(view.session().map(|id| id.to_string()))),
                View::scalar("panics", |ask: Ask, _| -> Result<(), ViewError> {
                    std::panic::resume_unwind(Box::new(format!("boom {}", ask.n)))
                })
                .scope(Scope::Global),
                View::scalar("version", |_: Ask, view| {
                    Ok((view.snapshot().version(), view.context().attempt))
                })
                .timeout(Duration::from_millis(10))
                .scope(Scope::Global),
            ]
        }

        fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
            Ok(tx.bulk_insert(&SQUARES, (0..10).map(|n| (n, n * n)))?)
        }
    }

    fn views() -> Views {
        Stores::open(vec![Box::new(Squares)]).unwrap().views().clone()
    }

    fn ask(n: u32) -> BTreeMap<&'static str, u32> {
        BTreeMap::from([("n", n)])
    }

    fn call(
        name: &str,
        args: &impl Serialize,
        many: bool,
        context: &Context,
    ) -> Result<Vec<u8>, (String, String)> {
        let mut bytes = Vec::new();
        codec::encode(args, &mut bytes).unwrap();
        let failed = |error: ViewError| (error.kind().as_str().to_owned(), error.to_string());
        views().call(name, &bytes, many, context).map_err(failed)
    }

    #[test]
    fn both_modes_answer_single_and_many() {
        for name in ["one", "all"] {
            let single = call(name, &ask(3), false, &Context::none()).unwrap();
            assert_eq!(codec::decode::<u32>(&single).unwrap(), 9);
            let many = call(name, &[ask(3), ask(1), ask(3)], true, &Context::none()).unwrap();
            assert_eq!(codec::decode::<Vec<u32>>(&many).unwrap(), [9, 1, 9]);
            let none = call(name, &[(); 0], true, &Context::none()).unwrap();
            assert_eq!(codec::decode::<Vec<u32>>(&none).unwrap(), [0; 0]);
            let failed = call(name, &[ask(3), ask(99)], true, &Context::none()).unwrap_err();
            assert_eq!(failed, ("failed".into(), format!("view `{name}` failed: no square of 99")));
        }
    }

    #[test]
    fn a_batch_of_another_length_is_an_error() {
        let message = |asked| format!("view `short` failed: it was asked {asked} and gave 3 answers");
        let failed = call("short", &ask(1), false, &Context::none()).unwrap_err();
        assert_eq!(failed, ("failed".into(), message("1 questions")));
        let failed = call("short", &[ask(1), ask(2)], true, &Context::none()).unwrap_err();
        assert_eq!(failed, ("failed".into(), message("2 questions")));
    }

    #[test]
    fn a_view_of_scope_session_needs_one() {
        let context = Context::run();
        let answer = call("who", &ask(0), false, &context).unwrap();
        let session = context.session.unwrap().to_string();
        assert_eq!(codec::decode::<Option<String>>(&answer).unwrap(), Some(session));
        let (kind, message) = call("who", &ask(0), false, &Context::none()).unwrap_err();
        assert_eq!(kind, "scope");
        assert!(message.starts_with("view `who` is for callers in a session"), "{message}");
    }

    #[test]
    fn a_panic_costs_its_call_alone() {
        let panicked = call("panics", &ask(7), false, &Context::none()).unwrap_err();
        assert_eq!(panicked, ("panicked".into(), "view `panics` panicked: boom 7".into()));
        assert!(call("one", &ask(7), false, &Context::none()).is_ok());
    }

    #[test]
    fn arguments_that_do_not_fit_are_an_error() {
        let args = BTreeMap::from([("m", 1)]);
        let (kind, message) = call("one", &args, false, &Context::none()).unwrap_err();
        assert_eq!(
            (kind.as_str(), message.as_str()),
            ("decode", "arguments of view `one`: missing field `n`")
        );
        assert_eq!(call("one", &ask(1), true, &Context::none()).unwrap_err().0, "decode");
    }

    #[test]
    fn a_handle_calls_views_as_python_does() {
        let store = StoreHandle::open(Squares).unwrap();
        store.put(&SQUARES, 3, 10).unwrap();
        assert_eq!(store.call_view::<u32>("one", &ask(3), &Context::none()).unwrap(), 10);
        let told: (u64, u32) = store.call_view("version", &ask(0), &Context::none()).unwrap();
        assert_eq!(told, (2, 1));
        let unknown = store.call_view::<u32>("once", &ask(3), &Context::none()).unwrap_err();
        assert_eq!(unknown.message(), "unknown view `once`\n  hint: did you mean `one`?");
        assert_eq!(views().timeout("version"), Some(Duration::from_millis(10)));
        let late = ViewError::timeout("version", Duration::from_millis(10));
        assert_eq!(late.message(), "view `version` did not answer within 10ms");
    }
}
