//! How far running calls are, as Python says it with `slither.progress`.

use serde::Serialize;
use tokio::sync::broadcast;

/// Reports that a feed keeps for a reader that is slow; the oldest are dropped first.
pub(super) const KEPT: usize = 256;

/// How far a call is, as its function has last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// The worker that runs it: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Identifies the call within its pool.
    pub call: u64,
    /// The run, if it belongs to one.
    pub run: Option<String>,
    /// The stage, if it belongs to one.
    pub stage: Option<String>,
    /// What is done, in units of the function's choice.
    pub done: u64,
    /// What will be done at the end, if the function knows.
    pub total: Option<u64>,
}

/// Reports of progress from one pool, as they come; made by [`Slither::progress`](crate::Slither::progress).
///
/// A worker sends at most one report each 100 ms, and one when everything is done. A reader that falls behind by 256
/// loses the oldest: how far a call is, its latest report says.
#[derive(Debug)]
pub struct ProgressFeed {
    reports: broadcast::Receiver<Progress>,
}

impl ProgressFeed {
    pub(super) fn new(reports: broadcast::Receiver<Progress>) -> Self {
        Self { reports }
    }

    /// The next report; none when the pool has ended.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Progress> {
        loop {
            match self.reports.recv().await {
                Ok(report) => return Some(report),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
