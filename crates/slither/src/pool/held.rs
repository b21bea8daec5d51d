//! The calls that a worker holds.

use std::collections::VecDeque;

use super::job::Job;
use super::worker::CallId;
use crate::context::SessionId;

/// Calls in a worker, in the order in which they were sent. Whoever wins the worker's token may take the one ahead.
#[derive(Debug, Default)]
pub(super) struct Held {
    jobs: VecDeque<Job>,
    /// The last was sent ahead, and nothing was answered since.
    ahead: bool,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many of them are the worker's own: all but the one ahead, which still waits.
    pub(super) fn begun(&self) -> usize {
        self.len() - usize::from(self.ahead().is_some())
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

    /// The call that was sent ahead.
    pub(super) fn ahead(&self) -> Option<&Job> {
        self.jobs.back().filter(|_| self.ahead)
    }

    /// Whether the worker has a call of the session.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.jobs.iter().any(|job| job.session() == Some(session))
    }

    pub(super) fn push(&mut self, job: Job, ahead: bool) {
        self.jobs.push_back(job);
        self.ahead = ahead;
    }

    /// Takes out a call that was answered; the one ahead is at the front now.
    pub(super) fn answered(&mut self, id: CallId) -> Option<Job> {
        let job = self.remove(id)?;
        self.ahead = false;
        Some(job)
    }

    /// Takes out the call that was sent ahead.
    pub(super) fn take_ahead(&mut self) -> Option<Job> {
        if !std::mem::take(&mut self.ahead) {
            return None;
        }
        self.jobs.pop_back()
    }

    /// Takes out a call that dies with the worker.
    pub(super) fn remove(&mut self, id: CallId) -> Option<Job> {
        let at = self.jobs.iter().position(|job| job.id == id)?;
        self.jobs.remove(at)
    }
}
