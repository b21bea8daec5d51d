//! Calls that wait for a worker, by who may take them: any worker, the one in a slot, or one alone.

use std::collections::VecDeque;
use std::sync::Arc;

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
    /// For whoever is in the slot.
    waiting: VecDeque<Job>,
    /// The workers of the slot, until their deaths have been dealt with: one, or two while one replaces the other.
    workers: Vec<Own>,
    /// How the last worker in it ended.
    last: Option<Arc<WorkerReport>>,
}

/// What waits for one worker alone.
#[derive(Debug)]
struct Own {
    epoch: Epoch,
    calls: VecDeque<Job>,
    /// It was replaced, and takes nothing else.
    outgoing: bool,
}

impl Lane {
    fn own(&mut self, epoch: Epoch) -> Option<&mut Own> {
        self.workers.iter_mut().find(|own| own.epoch == epoch)
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut VecDeque<Job>> {
        self.workers.iter_mut().map(|own| &mut own.calls).chain([&mut self.waiting])
    }
}

impl Lanes {
    pub(super) fn new(slots: usize) -> Self {
        Self { any: VecDeque::new(), slots: (0..slots).map(|_| Lane::default()).collect() }
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut VecDeque<Job>> {
        self.slots.iter_mut().flat_map(Lane::lines).chain([&mut self.any])
    }

    /// Adds a call, at the back or at the front. One for a worker that is gone comes back.
    pub(super) fn add(&mut self, job: Job, front: bool) -> Result<(), Job> {
        let line = match job.route {
            Route::Any | Route::Near(_) => &mut self.any,
            Route::Slot(slot) => &mut self.slots[slot].waiting,
            Route::Worker { slot, epoch } => match self.slots[slot].own(epoch) {
                Some(own) => &mut own.calls,
                None => return Err(job),
            },
        };
        match front {
            true => line.push_front(job),
            false => line.push_back(job),
        }
        Ok(())
    }

    /// The oldest call that this worker of the slot may run, if it fits. Of what is for this worker alone, calls that it
    /// may not run now are passed over.
    pub(super) fn take(
        &mut self,
        slot: usize,
        epoch: Epoch,
        may: impl Fn(&Job) -> bool,
        fits: impl Fn(&Job) -> bool,
    ) -> Option<Job> {
        let lane = &mut self.slots[slot];
        let own = lane.workers.iter_mut().find(|own| own.epoch == epoch)?;
        let lines = match own.outgoing {
            true => [Some(&mut own.calls), None, None],
            false => [Some(&mut own.calls), Some(&mut lane.waiting), Some(&mut self.any)],
        };
        let mut oldest: Option<(&mut VecDeque<Job>, usize)> = None;
        for line in lines.into_iter().flatten() {
            while line.front().is_some_and(Job::abandoned) {
                line.pop_front();
            }
            let Some(at) = line.iter().position(&may) else { continue };
            // Ids are given in the order in which calls are made.
            if oldest.as_ref().is_none_or(|(oldest, first)| line[at].id < oldest[*first].id) {
                oldest = Some((line, at));
            }
        }
        let (line, at) = oldest?;
        if fits(&line[at]) { line.remove(at) } else { None }
    }

    /// How many calls wait that any worker may run.
    pub(super) fn for_any(&self) -> usize {
        self.any.len()
    }

    /// Whether no call waits that this worker of the slot may run.
    pub(super) fn is_empty(&self, slot: usize, epoch: Epoch) -> bool {
        let lane = &self.slots[slot];
        lane.workers.iter().find(|own| own.epoch == epoch).is_none_or(|own| {
            own.calls.is_empty() && (own.outgoing || (lane.waiting.is_empty() && self.any.is_empty()))
        })
    }

    /// Whether a call waits that this worker of the slot may run now.
    #[cfg(test)]
    pub(super) fn has(&self, slot: usize, epoch: Epoch, may: impl Fn(&Job) -> bool) -> bool {
        let lane = &self.slots[slot];
        lane.workers.iter().find(|own| own.epoch == epoch).is_some_and(|own| {
            own.calls.iter().any(may) || !(own.outgoing || (lane.waiting.is_empty() && self.any.is_empty()))
        })
    }

    /// A worker takes work in the slot.
    pub(super) fn join(&mut self, slot: usize, epoch: Epoch) {
        self.slots[slot].workers.push(Own { epoch, calls: VecDeque::new(), outgoing: false });
    }

    /// From now on the worker takes only what is for it alone.
    pub(super) fn retire(&mut self, slot: usize, epoch: Epoch) {
        if let Some(own) = self.slots[slot].own(epoch) {
            own.outgoing = true;
        }
    }

    /// Whether that worker is in the slot.
    pub(super) fn holds(&self, slot: usize, epoch: Epoch) -> bool {
        self.slots[slot].workers.iter().any(|own| own.epoch == epoch)
    }

    /// The worker of the slot is dead, or as good as dead: the calls that were for it alone come back.
    pub(super) fn lose(&mut self, slot: usize, epoch: Epoch, report: Arc<WorkerReport>) -> VecDeque<Job> {
        self.slots[slot].last = Some(report);
        self.forget(slot, epoch)
    }

    /// The worker takes nothing any more: the calls that were for it alone come back.
    pub(super) fn forget(&mut self, slot: usize, epoch: Epoch) -> VecDeque<Job> {
        let lane = &mut self.slots[slot];
        match lane.workers.iter().position(|own| own.epoch == epoch) {
            Some(at) => lane.workers.remove(at).calls,
            None => VecDeque::new(),
        }
    }

    /// How the last worker in the slot ended.
    pub(super) fn last(&self, slot: usize) -> Option<Arc<WorkerReport>> {
        self.slots[slot].last.clone()
    }

    /// Takes out the calls that nobody waits for any more.
    pub(super) fn sweep(&mut self) -> Vec<Job> {
        self.extract(Job::abandoned)
    }

    /// Takes out everything but what has to be done in any case.
    pub(super) fn flush(&mut self) -> Vec<Job> {
        self.extract(|job| !job.is_duty())
    }

    fn extract(&mut self, which: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut out = Vec::new();
        for line in self.lines() {
            if line.iter().any(&which) {
                let (taken, kept) = std::mem::take(line).into_iter().partition::<Vec<_>, _>(&which);
                *line = kept.into();
                out.extend(taken);
            }
        }
        out
    }

    /// Whether a call waits that nobody wants any more.
    #[cfg(test)]
    pub(super) fn holds_abandoned(&self) -> bool {
        let mut lines = self.slots.iter().map(|lane| &lane.waiting).chain([&self.any]);
        lines.any(|line| line.iter().any(Job::abandoned))
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<Job> {
        self.lines().flat_map(std::mem::take).collect()
    }

    /// How many calls wait.
    pub(super) fn depth(&self) -> usize {
        let own = |lane: &Lane| lane.workers.iter().map(|own| own.calls.len()).sum::<usize>();
        self.any.len() + self.slots.iter().map(|lane| lane.waiting.len() + own(lane)).sum::<usize>()
    }
}
