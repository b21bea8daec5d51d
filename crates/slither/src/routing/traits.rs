//! What is said of a function, so that a pool can be chosen for it: [`Traits`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// What a function's calls do most of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// They compute.
    Cpu,
    /// They wait: for a network, a disk, another process.
    Io,
}

/// What is said of a function; nothing unless it is set. As text a list, as `cpu_bound,thread_safe`.
///
/// ```
/// use slither::Traits;
///
/// let traits = Traits::new().cpu_bound().thread_safe();
/// assert_eq!(traits.to_string(), "cpu_bound,thread_safe");
/// assert_eq!("cpu_bound, thread_safe".parse(), Ok(traits));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Traits {
    /// What its calls do; none if nobody said.
    pub work: Option<Work>,
    /// Whether several threads may run it at once; none if nobody said.
    pub thread_safe: Option<bool>,
    /// Whether it depends on what earlier calls have left in its process.
    pub stateful: bool,
    /// Whether it runs native code that may crash, or that expects a process of its own.
    pub unsafe_native: bool,
}

const NAMES: [&str; 6] =
    ["cpu_bound", "io_bound", "thread_safe", "not_thread_safe", "stateful", "unsafe_native"];

impl Traits {
    /// Nothing said.
    pub fn new() -> Self {
        Self::default()
    }

    /// It computes.
    #[must_use]
    pub fn cpu_bound(mut self) -> Self {
        self.work = Some(Work::Cpu);
        self
    }

    /// It waits more than it computes.
    #[must_use]
    pub fn io_bound(mut self) -> Self {
        self.work = Some(Work::Io);
        self
    }

    /// Several threads may run it at once.
    #[must_use]
    pub fn thread_safe(mut self) -> Self {
        self.thread_safe = Some(true);
        self
    }

    /// Only one thread may run it at a time.
    #[must_use]
    pub fn not_thread_safe(mut self) -> Self {
        self.thread_safe = Some(false);
        self
    }

    /// It depends on what earlier calls have left in its process.
    #[must_use]
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// It runs native code that may crash, or that expects a process of its own.
    #[must_use]
    pub fn unsafe_native(mut self) -> Self {
        self.unsafe_native = true;
        self
    }

    /// These, and of the others what is not said here. Where the two disagree on safety, the cautious one counts.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        let thread_safe = match (self.thread_safe, others.thread_safe) {
            (Some(one), Some(other)) => Some(one && other),
            (one, other) => one.or(other),
        };
        Self {
            work: self.work.or(others.work),
            thread_safe,
            stateful: self.stateful || others.stateful,
            unsafe_native: self.unsafe_native || others.unsafe_native,
        }
    }

    fn named(self, name: &str) -> Option<Self> {
        Some(match name {
            "cpu_bound" => self.cpu_bound(),
            "io_bound" => self.io_bound(),
            "thread_safe" => self.thread_safe(),
            "not_thread_safe" => self.not_thread_safe(),
            "stateful" => self.stateful(),
            "unsafe_native" => self.unsafe_native(),
            _ => return None,
        })
    }
}

impl fmt::Display for Traits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [
            (self.work == Some(Work::Cpu), NAMES[0]),
            (self.work == Some(Work::Io), NAMES[1]),
            (self.thread_safe == Some(true), NAMES[2]),
            (self.thread_safe == Some(false), NAMES[3]),
            (self.stateful, NAMES[4]),
            (self.unsafe_native, NAMES[5]),
        ];
        let names: Vec<&str> = said.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Traits {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.into_iter().try_fold(Self::new(), |traits, name| {
            traits.named(name).ok_or_else(|| ConfigError::unknown("trait", name, NAMES))
        })
    }
}

impl From<Traits> for String {
    fn from(traits: Traits) -> Self {
        traits.to_string()
    }
}

impl TryFrom<String> for Traits {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_traits_are_the_same_thing() {
        for name in NAMES {
            assert_eq!(name.parse::<Traits>().unwrap().to_string(), name);
        }
        assert_eq!("".parse(), Ok(Traits::new()));
        let error = "cpu_bund".parse::<Traits>().unwrap_err();
        assert_eq!(error.to_string(), "unknown trait `cpu_bund`\n  hint: did you mean `cpu_bound`?");
    }

    #[test]
    fn a_denial_outweighs_a_claim() {
        let claimed = Traits::new().cpu_bound().thread_safe();
        let both = claimed.or(Traits::new().io_bound().not_thread_safe().stateful());
        assert_eq!(both, Traits::new().cpu_bound().not_thread_safe().stateful());
    }
}
