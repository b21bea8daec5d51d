//! Adapters: which class the workers of a pool build, whether its threads are watched, and what it has counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
