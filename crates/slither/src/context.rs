//! Who asks: the run, pipe, stage and session that a call belongs to.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::metadata::Metadata;
use crate::waits::Waits;

fn fresh(prefix: char) -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // `RandomState` is seeded by the operating system once a thread: enough to keep ids of different
    // processes apart, without a dependency on a generator.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(COUNT.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    format!("{prefix}-{:016x}", hasher.finish()).into()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(Arc<str>);

        impl $name {
            pub(crate) fn fresh() -> Self {
                Self(fresh($prefix))
            }

            #[cfg(test)]
            #[allow(dead_code, reason = "one of the two is enough for the tests")]
            pub(crate) fn of(text: &str) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Identifies one run of a pipe or one dispatch.
    RunId,
    'r'
);
id!(
    /// Identifies a session: what scopes views, context and cleanup. Every run has one of its own.
    SessionId,
    's'
);

/// What a stage may know of the run it works for. Python sees the same as `slither.context()`.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The run.
    pub run: Option<RunId>,
    /// The pipe's name; none for a dispatch or a single call.
    pub pipe: Option<Arc<str>>,
    /// The stage's name; none outside a pipe.
    pub stage: Option<Arc<str>>,
    /// The session; none for a single call outside a run.
    pub session: Option<SessionId>,
    /// Which attempt at this batch it is, from 1.
    pub attempt: u32,
    /// What the caller attached to the run.
    pub metadata: Metadata,
    /// The pools whose workers wait for this, if a view does it.
    pub(crate) waits: Option<Arc<Waits>>,
}

impl Context {
    /// The context of a call that belongs to no run.
    pub fn none() -> Self {
        Self {
            run: None,
            pipe: None,
            stage: None,
            session: None,
            attempt: 1,
            metadata: Metadata::new(),
            waits: Waits::here(),
        }
    }

    /// The context of a fresh run, with a session of its own.
    pub fn run() -> Self {
        Self { run: Some(RunId::fresh()), session: Some(SessionId::fresh()), ..Self::none() }
    }

    /// The same in another session.
    #[must_use]
    pub(crate) fn in_session(self, session: &SessionId) -> Self {
        Self { session: Some(session.clone()), ..self }
    }

    /// The same run seen from a stage of a pipe.
    #[must_use]
    pub fn in_stage(&self, pipe: &Arc<str>, stage: &Arc<str>) -> Self {
        Self { pipe: Some(pipe.clone()), stage: Some(stage.clone()), ..self.clone() }
    }
}
