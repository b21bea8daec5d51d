//! What happens when a batch fails: [`OnError`].

use std::fmt;
use std::sync::Arc;

use super::retry::Retry;
use crate::error::ConfigError;

/// What happens when a batch fails as a whole. An item that fails alone, in a batch that came back, never
/// halts a dispatch: it ends in `failures`, or where `Route` says.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum OnError {
    /// Pull no more, cancel what is in flight, and end with the error and everything finished so far.
    #[default]
    Halt,
    /// All items of the batch end in `failures`, and the run goes on.
    Skip,
    /// The batch is split and its halves are run again, until only the culprits fail; the run goes on.
    ///
    /// k culprits among n items cost at most 2k(1+⌈log₂ n⌉)+1 dispatches. The halves run one at a time, under
    /// the permit of the batch. A single item whose worker died is run once more before it is blamed. The
    /// executor must bear to see an item again. When the pool itself has failed nothing is split.
    Isolate,
    /// What can succeed the next time is run again later; see [`Retry`].
    Retry(Retry),
    /// Items that fail, alone or with their batch, leave the pipe by this output, as they entered the stage,
    /// with the error as `error` in their metadata. Only in a pipe; its output must have the stage's input type.
    Route(Arc<str>),
}

impl OnError {
    /// The policy for what is not run again.
    pub(crate) fn last(&self) -> &Self {
        match self {
            Self::Retry(retry) => retry.last(),
            other => other,
        }
    }

    /// The output that failed items go to.
    pub(crate) fn output(&self) -> Option<&Arc<str>> {
        match self.last() {
            Self::Route(output) => Some(output),
            _ => None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Retry(retry) => retry.validate(),
            _ => Ok(()),
        }
    }
}

impl From<Retry> for OnError {
    fn from(retry: Retry) -> Self {
        Self::Retry(retry)
    }
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halt => f.write_str("halt"),
            Self::Skip => f.write_str("skip"),
            Self::Isolate => f.write_str("isolate"),
            Self::Retry(retry) => fmt::Display::fmt(retry, f),
            Self::Route(output) => write!(f, "route to `{output}`"),
        }
    }
}
