//! Why a worker was recycled.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Which limit of its pool a worker had reached when it was replaced in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recycled {
    /// [`Pool::max_requests`](crate::Pool::max_requests): it had completed so many calls.
    MaxRequests {
        /// The calls that it may complete.
        limit: u64,
    },
    /// [`Pool::ttl`](crate::Pool::ttl): it had been ready for so long.
    Ttl {
        /// The longest that it may.
        limit: Duration,
    },
    /// [`Pool::max_rss`](crate::Pool::max_rss): its memory had grown by so much.
    MaxRss {
        /// By how many bytes it had grown since it was ready.
        growth: u64,
        /// By how many it may.
        limit: u64,
    },
}

impl Recycled {
    /// Whether it ends the sessions that are in the worker, where the others wait for them.
    pub(crate) fn is_hard(self) -> bool {
        matches!(self, Self::MaxRss { .. })
    }
}

impl fmt::Display for Recycled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        match *self {
            Self::MaxRequests { limit } => write!(f, "max_requests of {limit} was reached"),
            Self::Ttl { limit } => write!(f, "its ttl of {} s was over", limit.as_secs_f64()),
            Self::MaxRss { growth, limit } => write!(
                f,
                "its memory had grown by {:.1} MiB, and max_rss is {:.1} MiB",
                megabytes(growth),
                megabytes(limit)
            ),
        }
    }
}
