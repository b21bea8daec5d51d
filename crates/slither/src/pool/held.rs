//! The calls that a worker holds.

use std::collections::VecDeque;

use super::job::Job;
use super::worker::CallId;
use crate::context::SessionId;

/// Calls in a worker, in the order in which they were sent. Whoever wins one of the worker's tokens may take the last of
/// those ahead.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: VecDeque<Job>,
    /// So many at the end were sent ahead, and no answer has come since that gave the worker another one of them.
    ahead: usize,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many of them are the worker's own: all but those ahead, which still wait.
    pub(super) fn begun(&self) -> usize {
        self.len().saturating_sub(self.ahead)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.jobs.iter_mut()
    }

    pub(super) fn get(&self, id: CallId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn get_mut(&mut self, id: CallId) -> Option<&mut Job> {
        self.jobs.iter_mut().find(|job| job.id == id)
    }

    /// The calls that were sent ahead.
    pub(super) fn ahead(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.range(self.begun()..)
    }

    /// Whether the worker has a call of the session.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.jobs.iter().any(|job| job.session() == Some(session))
    }

    pub(super) fn push(&mut self, job: Job, ahead: bool) {
        self.jobs.push_back(job);
        self.ahead = if ahead { self.ahead + 1 } else { 0 };
    }

    /// Takes out a call that was answered; the next of those ahead takes its place.
    pub(super) fn answered(&mut self, id: CallId) -> Option<Job> {
        let job = self.remove(id)?;
        self.ahead = self.ahead.saturating_sub(1);
        Some(job)
    }

    /// Takes out the call that was sent ahead last.
    pub(super) fn take_ahead(&mut self) -> Option<Job> {
        self.ahead = self.ahead.checked_sub(1)?;
        self.jobs.pop_back()
    }

    /// Takes out a call that dies with the worker.
    pub(super) fn remove(&mut self, id: CallId) -> Option<Job> {
        let at = self.jobs.iter().position(|job| job.id == id)?;
        self.jobs.remove(at)
    }
}
