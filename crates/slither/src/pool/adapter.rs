//! Adapters: which class the workers of a pool build, whether its threads are watched, and what it has counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::Pool;
use crate::error::ConfigError;
use crate::wire::SetupAdapter;

/// What is done about an adapter whose class is not made for several threads; see
/// [`Pool::thread_safety_check`](super::Pool::thread_safety_check).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThreadSafetyCheck {
    /// Nothing is watched, and nothing costs anything. A class that does not say `__thread_safe__ = True` has one slot in each
    /// worker all the same.
    #[default]
    Off,
    /// A `slither.ThreadSafetyChecker` watches the adapter in each worker: what several of its threads write without a lock in
    /// common is logged, and in [`Adapter::report`](crate::Adapter::report). Reading or writing an attribute of the adapter
    /// takes some microseconds more. A class that does not say `__thread_safe__` at all is warned about.
    Warn,
    /// As `Warn`, and a class that does not say `__thread_safe__` is refused: the pool does not start.
    Strict,
}

impl Pool {
    /// The adapter of the pool: a Python class, as `package.module:Class` or `package.module.Class`, that each worker
    /// imports and builds once, without arguments, before it is ready. Its methods that are marked as tools are called by
    /// their names, with [`Slither::call`](crate::Slither::call) and its kin. Default: none.
    ///
    /// Its `initialize()` is called when it has been built, and its `cleanup()` when the worker stops; either may be
    /// `async`. A worker whose adapter cannot be imported or built, or not within [`start_timeout`](Self::start_timeout), is
    /// not ready: the pool does not start, with Python's traceback in the error; later its death counts as one without a
    /// call to blame.
    ///
    /// A class that does not say `__thread_safe__ = True` is used by one thread at a time: each worker has one slot.
    ///
    /// The pool's workers also find a package `snakepit_bridge` of Slither's own, so that adapters written for it
    /// run as they are. It comes before one that is installed for the interpreter; one in a folder of
    /// [`python_path`](Self::python_path) comes before it.
    #[must_use]
    pub fn adapter(mut self, class: impl Into<String>) -> Self {
        self.adapter = Some(AdapterSpec { class: class.into() });
        self
    }

    /// What is done about an [`adapter`](Self::adapter) that is not made for several threads. Default:
    /// [`ThreadSafetyCheck::Off`].
    #[must_use]
    pub fn thread_safety_check(mut self, check: ThreadSafetyCheck) -> Self {
        self.thread_safety = check;
        self
    }

    pub(super) fn validate_adapter(&self) -> Result<(), ConfigError> {
        match &self.adapter {
            Some(adapter) => adapter.validate(&self.name),
            None if self.thread_safety != ThreadSafetyCheck::Off => {
                let message =
                    format!("pool `{}`: thread_safety_check is set, and there is no adapter", self.name);
                Err(ConfigError::new(message).hint("it is about the class of `Pool::adapter`"))
            }
            None => Ok(()),
        }
    }
}

/// The class that each worker of a pool builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdapterSpec {
    pub(crate) class: String,
}

impl AdapterSpec {
    pub(crate) fn validate(&self, pool: &str) -> Result<(), ConfigError> {
        let dotted = |text: &str| !text.is_empty() && text.split('.').all(is_identifier);
        let named = match self.class.split_once(':') {
            Some((module, class)) => dotted(module) && dotted(class),
            None => self.class.contains('.') && dotted(&self.class),
        };
        match named {
            true => Ok(()),
            false => {
                let message = format!("pool `{pool}`: `{}` does not name an adapter's class", self.class);
                Err(ConfigError::new(message)
                    .hint("expected `package.module:Class`, or `package.module.Class`"))
            }
        }
    }

    pub(crate) fn setup(&self, check: ThreadSafetyCheck) -> SetupAdapter {
        let check = match check {
            ThreadSafetyCheck::Off => "off",
            ThreadSafetyCheck::Warn => "warn",
            ThreadSafetyCheck::Strict => "strict",
        };
        SetupAdapter { name: self.class.clone(), check }
    }
}

/// As far as Python is of another opinion, it says so itself.
fn is_identifier(text: &str) -> bool {
    let good = |letter: char| letter == '_' || letter.is_alphanumeric();
    text.chars().all(good) && text.chars().next().is_some_and(|first| !first.is_numeric())
}

/// The requests that an adapter has had in one worker, as Python's `ThreadSafeAdapter.get_stats` counts them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct AdapterStats {
    /// Calls of its tools since it was built, those that are running included.
    pub total_requests: u64,
    /// Those that are running.
    pub active_requests: u64,
    /// How many calls the worker may run at once.
    pub max_workers: Option<u64>,
    /// What each thread has done, by its name; beyond 256 of them the rest together as `others`.
    pub thread_utilization: BTreeMap<String, ThreadUse>,
}

/// What one thread has done for an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ThreadUse {
    /// Requests that it has had.
    pub requests: u64,
    /// Requests that it is running.
    pub active: u64,
}

/// What a `ThreadSafetyChecker` has seen in one worker.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ThreadSafetyReport {
    /// Whether anything was watched: not with [`ThreadSafetyCheck::Off`].
    pub enabled: bool,
    /// Whether a class that says nothing is refused.
    pub strict: bool,
    /// What has to be mended, as text to read. Empty means that nothing was found.
    pub warnings: Vec<String>,
    /// The writes among it that no lock protects.
    pub violations: Vec<UnsafeWrite>,
    /// The classes that were watched.
    pub adapters: Vec<String>,
    /// Those of them that do not say `__thread_safe__`.
    pub undeclared: Vec<String>,
    /// For each method the most threads that were in it at once, if more than one. That alone is nothing wrong.
    pub concurrent: BTreeMap<String, u64>,
    /// What could not be watched, and why.
    pub unwatched: BTreeMap<String, String>,
}

/// Something that several threads have written without a lock in common.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct UnsafeWrite {
    /// What was written, as `Class.attribute`.
    pub subject: String,
    /// What was done to it, as `set` or `append`.
    pub actions: Vec<String>,
    /// Where.
    pub places: Vec<SourcePlace>,
    /// The names of the threads.
    pub threads: Vec<String>,
    /// How often.
    pub writes: u64,
    /// Each thread held a lock, and no two of them the same.
    pub locked: bool,
}

/// A line of Python.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct SourcePlace {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// The function that it belongs to.
    pub function: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_a_module() {
        let valid = |class: &str| AdapterSpec { class: class.to_owned() }.validate("p");
        for class in ["m.C", "a.b.C", "m:C", "a.b:C.D", "módulo:Çlass", "_m._C"] {
            assert_eq!(valid(class), Ok(()), "{class}");
        }
        for class in ["", "C", "m:", ":C", "m..C", "m:C:D", "m.3C", "m C.D", "m/C"] {
            let error = valid(class).unwrap_err().to_string();
            let expected = format!(
                "pool `p`: `{class}` does not name an adapter's class\n  hint: expected `package.module:Class`, or \
                 `package.module.Class`"
            );
            assert_eq!(error, expected);
        }
    }
}
