//! What the router has decided: [`Decision`], for a person to read.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::candidate::{Candidate, Profile};
use super::subject::Subject;

/// Where a call goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Decision {
    /// `module:qualified.name`.
    pub function: Arc<str>,
    /// The pool.
    pub pool: Arc<str>,
    /// How its workers run calls.
    pub profile: Profile,
    /// Calls that it takes at once, as it stands.
    pub slots: usize,
    /// Why this one.
    pub reason: String,
    /// The other pools, the next best first.
    pub passed_over: Vec<PassedOver>,
}

impl Decision {
    /// One that others have made.
    pub(crate) fn settled(subject: &Subject, pool: &Candidate, reason: &str) -> Self {
        Self {
            function: subject.function.clone(),
            pool: pool.pool.clone(),
            profile: pool.profile,
            slots: pool.slots,
            reason: reason.to_owned(),
            passed_over: Vec::new(),
        }
    }
}

/// A pool that was not chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PassedOver {
    /// The pool.
    pub pool: Arc<str>,
    /// How its workers run calls.
    pub profile: Profile,
    /// Whether the call could go there, if the chosen one were not.
    pub possible: bool,
    /// Why not.
    pub why_not: String,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, pool, profile, reason, .. } = self;
        write!(f, "{function} goes to pool `{pool}` ({profile}): {reason}")?;
        self.passed_over.iter().try_for_each(|other| write!(f, "\n  {other}"))
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, profile, why_not, .. } = self;
        write!(f, "not to `{pool}` ({profile}): {why_not}")
    }
}
