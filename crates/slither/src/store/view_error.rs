//! [`ViewError`]: why a view gave no answer, as Python gets to know it.

use std::fmt;
use std::time::Duration;

use super::{BoxError, StoreError};
use crate::error::ConfigError;

/// Why a view gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ViewErrorKind {
    /// No store declares a view of that name.
    Unknown,
    /// The view is of [`Scope::Session`](super::Scope::Session), and the caller has no session.
    Scope,
    /// The arguments do not fit the handler's type.
    Decode,
    /// The handler returned an error, an answer that cannot travel, or answers of another number.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The view took longer than it may.
    Timeout,
    /// The view called into a pool whose worker waits for it, and no other worker was free.
    Refused,
}

impl ViewErrorKind {
    /// The kind as one word, as it goes to Python.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Scope => "scope",
            Self::Decode => "decode",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
        }
    }
}

/// Why a view gave no answer: a kind, which decides Python's exception, and a message.
///
/// A handler makes one with [`new`](Self::new), or with `?` from a text, a [`StoreError`] or a boxed error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewError {
    kind: ViewErrorKind,
    message: String,
}

impl ViewError {
    /// The error of a handler; its message is lower-case and has no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: ViewErrorKind::Failed, message: message.into() }
    }

    /// What went wrong.
    pub fn kind(&self) -> ViewErrorKind {
        self.kind
    }

    /// One sentence that names the view.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let message = ConfigError::unknown("view", name, known).to_string();
        Self { kind: ViewErrorKind::Unknown, message }
    }

    pub(super) fn scope() -> Self {
        Self { kind: ViewErrorKind::Scope, message: String::new() }
    }

    pub(super) fn decode(message: String) -> Self {
        Self { kind: ViewErrorKind::Decode, message }
    }

    pub(super) fn panicked(message: String) -> Self {
        Self { kind: ViewErrorKind::Panicked, message }
    }

    /// The error for a view that had `timeout` to answer and did not.
    pub(crate) fn timeout(name: &str, timeout: Duration) -> Self {
        let message = format!("view `{name}` did not answer within {timeout:?}");
        Self { kind: ViewErrorKind::Timeout, message }
    }

    /// The error of a view that may not wait for what waits for it.
    pub(crate) fn refused(name: &str, why: &str) -> Self {
        Self { kind: ViewErrorKind::Refused, message: format!("view `{name}` was refused: {why}") }
    }

    /// The same, with the view's name in the message.
    pub(super) fn of(mut self, name: &str) -> Self {
        let why = &self.message;
        self.message = match self.kind {
            ViewErrorKind::Unknown | ViewErrorKind::Timeout | ViewErrorKind::Refused => return self,
            ViewErrorKind::Scope => format!(
                "view `{name}` is for callers in a session, and this call has none\n  \
                 hint: declare it with `Scope::Global`"
            ),
            ViewErrorKind::Decode => format!("arguments of view `{name}`: {why}"),
            ViewErrorKind::Failed => format!("view `{name}` failed: {why}"),
            ViewErrorKind::Panicked => format!("view `{name}` panicked: {why}"),
        };
        self
    }
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ViewError {}

impl From<String> for ViewError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for ViewError {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<BoxError> for ViewError {
    fn from(error: BoxError) -> Self {
        Self::new(error.to_string())
    }
}
