//! Errors, by who has to act: [`ConfigError`] (mend the program), [`ItemError`] (this item or call),
//! [`RunError`] (this run).

mod death;
mod kind;
mod recycled;
mod worker;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use self::death::Death;
pub use self::kind::ErrorKind;
pub use self::recycled::Recycled;
pub use self::worker::{Phase, WorkerReport};
use crate::item::{Failure, ItemId, Ledger};

/// What is wrong with a pipe, a call, a pool or the environment, found before any item is pulled.
///
/// `Display` gives the message, then the hint on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    message: String,
    hint: Option<String>,
}

impl ConfigError {
    /// An error that names the thing, what was expected and what came; lower-case, no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds what would mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error for a name that is not among the known ones, with the nearest of them as a hint.
    pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("no {what} is defined"),
            None => format!("known: {}", known.join(", ")),
        };
        Self::new(format!("unknown {what} `{name}`")).hint(hint)
    }

    /// The message without its hint.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The known name nearest to `name`, when it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let budget = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (edit_distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= budget || candidate.starts_with(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The message that a panic was raised with, if it is text.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Inner {
    kind: ErrorKind,
    message: String,
    traceback: Option<String>,
    exception: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<Duration>,
    worker: Option<WorkerReport>,
}

/// Why an item failed, or a whole batch or call. Cheap to clone: the items of a batch share it.
#[derive(Clone, PartialEq, Eq)]
pub struct ItemError(Arc<Inner>);

impl ItemError {
    /// An error of `kind`; the message is lower-case and has no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (message, exception) = (message.into(), Vec::new());
        Self(Arc::new(Inner { kind, message, traceback: None, exception, retry_after: None, worker: None }))
    }

    /// The error of user code in Rust that panicked with this payload.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        Self::new(ErrorKind::Handler, format!("panicked: {}", panic_text(payload).unwrap_or("no message")))
    }

    /// Adds the Python traceback and the exception's classes, itself first.
    #[must_use]
    pub fn with_traceback(mut self, traceback: Option<String>, exception: Vec<String>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.traceback = traceback;
        inner.exception = exception;
        self
    }

    /// Adds how long to wait before the next attempt.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        Arc::make_mut(&mut self.0).retry_after = wait;
        self
    }

    /// Adds what is known of the worker.
    #[must_use]
    pub fn with_worker(mut self, worker: WorkerReport) -> Self {
        Arc::make_mut(&mut self.0).worker = Some(worker);
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// One sentence that says what went wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The Python traceback, or the stack of a worker that hung or crashed, where one could be had.
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_deref()
    }

    /// The classes of the Python exception, itself first; empty if there was none.
    pub fn exception(&self) -> &[String] {
        &self.0.exception
    }

    /// How long to wait before the next attempt, if `slither.Retry` asked for it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The worker that the error came from.
    pub fn worker(&self) -> Option<&WorkerReport> {
        self.0.worker.as_ref()
    }

    /// Names the items that died with the worker, if it died.
    pub(crate) fn naming_lost(mut self, items: impl Iterator<Item = ItemId>) -> Self {
        if self.worker().is_some_and(|worker| worker.death.is_some())
            && let Some(worker) = &mut Arc::make_mut(&mut self.0).worker
        {
            worker.items = items.collect();
        }
        self
    }

    /// Whether the worker died of itself while it ran the call: of a crash, or of the want of memory.
    pub(crate) fn is_crash(&self) -> bool {
        match self.kind() {
            ErrorKind::Crash => true,
            ErrorKind::OutOfMemory => self.worker().is_some_and(|worker| worker.death.is_some()),
            _ => false,
        }
    }

    /// Everything known, on several lines: the message; the worker, how it died, with which items and doing what,
    /// its memory, the end of its standard error; and Python's traceback or stack last.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        if let Some(worker) = self.worker() {
            worker.write(&mut text);
        }
        if let Some(traceback) = self.traceback() {
            text.push('\n');
            text.push_str(traceback.trim_end());
        }
        text
    }
}

impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for ItemError {}

impl Serialize for ItemError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Why a run of a pipe or a dispatch ended before its input did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RunError {
    /// The program or its environment has to be mended; no item was pulled.
    Config(ConfigError),
    /// A batch failed under the policy `halt`.
    Halted(Box<Failure>),
    /// The source of the items failed.
    Source(String),
    /// The counts do not balance: a fault of Slither itself, never reported as success.
    Imbalance(Ledger),
    /// A task of Slither itself panicked: a fault of Slither, never reported as success.
    Internal(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => fmt::Display::fmt(error, f),
            Self::Halted(failure) => write!(f, "halted: {failure}"),
            Self::Source(message) => write!(f, "the source of the items failed: {message}"),
            Self::Imbalance(ledger) => {
                write!(f, "internal error: the ledger does not balance: {ledger}; please report it")
            }
            Self::Internal(message) => write!(f, "internal error: {message}; please report it"),
        }
    }
}

impl std::error::Error for RunError {}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_suggests_its_neighbour() {
        let error = ConfigError::unknown("example", "text_analisys", ["text_analysis", "batch_stats"]);
        assert_eq!(
            error.to_string(),
            "unknown example `text_analisys`\n  hint: did you mean `text_analysis`?"
        );
        let error = ConfigError::unknown("pool", "zzz", ["default"]);
        assert_eq!(error.to_string(), "unknown pool `zzz`\n  hint: known: default");
    }
}
