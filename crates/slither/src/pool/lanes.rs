//! Calls that wait for a worker, by who may take them: any worker, or the one in a slot.

use std::collections::VecDeque;

use super::job::{Job, Route};
use super::supervisor::Epoch;
use crate::error::WorkerReport;

/// The waiting calls of a pool: one line for all workers, and a lane for each slot beside it.
#[derive(Debug)]
pub(super) struct Lanes {
    any: VecDeque<Job>,
    slots: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Job>,
    /// The worker that is in the slot, until its death has been dealt with.
    at: Option<Epoch>,
    /// How the last worker in it ended.
    last: Option<Box<WorkerReport>>,
}

impl Lanes {
    pub(super) fn new(slots: usize) -> Self {
        Self { any: VecDeque::new(), slots: (0..slots).map(|_| Lane::default()).collect() }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Adds a call, at the back or at the front. One for a worker that is gone comes back.
    pub(super) fn add(&mut self, job: Job, front: bool) -> Result<(), Job> {
        let line = match job.route {
            Route::Any | Route::Near(_) => &mut self.any,
            Route::Slot(slot) => &mut self.slots[slot].waiting,
            Route::Worker { slot, epoch } => match &mut self.slots[slot] {
                lane if lane.at == Some(epoch) => &mut lane.waiting,
                _ => return Err(job),
            },
        };
        match front {
            true => line.push_front(job),
            false => line.push_back(job),
        }
        Ok(())
    }

    /// The oldest call that a worker in the slot may run, if its frame is no longer than `longest`.
    pub(super) fn take(&mut self, slot: usize, longest: usize) -> Option<Job> {
        let lane = &mut self.slots[slot].waiting;
        for line in [&mut *lane, &mut self.any] {
            while line.front().is_some_and(Job::abandoned) {
                line.pop_front();
            }
        }
        // Ids are given in the order in which calls are made.
        let line = match (lane.front(), self.any.front()) {
            (Some(bound), Some(any)) if any.id < bound.id => &mut self.any,
            (Some(_), _) => lane,
            (None, _) => &mut self.any,
        };
        match line.front() {
            Some(job) if job.frame.len() <= longest => line.pop_front(),
            _ => None,
        }
    }

    /// Whether no call waits that a worker in the slot may run.
    pub(super) fn is_empty(&self, slot: usize) -> bool {
        self.any.is_empty() && self.slots[slot].waiting.is_empty()
    }

    /// A worker takes work in the slot.
    pub(super) fn join(&mut self, slot: usize, epoch: Epoch) {
        self.slots[slot].at = Some(epoch);
    }

    /// Whether that worker is in the slot.
    pub(super) fn holds(&self, slot: usize, epoch: Epoch) -> bool {
        self.slots[slot].at == Some(epoch)
    }

    /// The worker of the slot is dead: the calls that were for it alone come back.
    pub(super) fn lose(&mut self, slot: usize, report: &WorkerReport) -> Vec<Job> {
        let lane = &mut self.slots[slot];
        lane.at = None;
        lane.last = Some(Box::new(report.clone()));
        let alone = |job: &Job| matches!(job.route, Route::Worker { .. });
        let (lost, kept) = std::mem::take(&mut lane.waiting).into_iter().partition::<Vec<_>, _>(alone);
        lane.waiting = kept.into();
        lost
    }

    /// How the last worker in the slot ended.
    pub(super) fn last(&self, slot: usize) -> Option<WorkerReport> {
        self.slots[slot].last.as_deref().cloned()
    }

    /// Takes out the calls that nobody waits for any more.
    pub(super) fn sweep(&mut self) -> Vec<Job> {
        let mut abandoned = Vec::new();
        for line in self.slots.iter_mut().map(|lane| &mut lane.waiting).chain([&mut self.any]) {
            if line.iter().any(Job::abandoned) {
                let (gone, kept) = std::mem::take(line).into_iter().partition::<Vec<_>, _>(Job::abandoned);
                *line = kept.into();
                abandoned.extend(gone);
            }
        }
        abandoned
    }

    /// Whether a call waits that nobody wants any more.
    #[cfg(test)]
    pub(super) fn holds_abandoned(&self) -> bool {
        let mut lines = self.slots.iter().map(|lane| &lane.waiting).chain([&self.any]);
        lines.any(|line| line.iter().any(Job::abandoned))
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        let mut all: Vec<Job> = self.any.drain(..).collect();
        for lane in &mut self.slots {
            all.extend(lane.waiting.drain(..));
        }
        all
    }

    /// How many calls wait.
    pub(super) fn depth(&self) -> usize {
        self.any.len() + self.slots.iter().map(|lane| lane.waiting.len()).sum::<usize>()
    }
}
