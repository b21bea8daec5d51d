//! What is left to do when a worker has died: to hear how, to give back what never began, to fail what did.

use std::time::Duration;

use super::keeper::Keeper;
use super::link::{End, Link};
use super::machine::{Action, CallId, Event};
use super::report::Autopsy;
use super::stacks::Stacks;
use crate::error::Death;
use crate::pool::clock::now;
use crate::pool::job::{Job, MAX_REQUEUES};
use crate::pool::station::{Sentence, lock};
use crate::pool::supervisor::{Cause, Note};

/// Characters of a stack that are told of an adapter that took too long.
const LONGEST_STACK: usize = 4096;

/// A call that is to blame for its worker's death.
struct Blamed {
    /// It was run again to find a culprit.
    suspect: bool,
}

impl<L: Link> Keeper<L> {
    /// The worker's process is gone, or is given up: nobody takes back what it has ahead any more, nor finds it
    /// idle. How it ended may still be heard of as an order.
    pub(crate) fn retire(&mut self) {
        self.closed = true;
        self.queue.leave(&self.station);
    }

    /// Ends the keeper that has retired.
    pub(crate) fn bury(mut self) {
        self.station.close();
        self.take_orders();
        if !self.unread {
            self.take_withheld();
        }

        let death = match (self.death.unwrap_or(Death::Unknown), self.recycled) {
            // It went as it was asked to.
            (Death::Code(0), Some(why)) => Death::Recycled(why),
            (death, _) => death,
        };
        let end = End { death, peak_rss: self.peak_rss, killed: self.killed.is_some() };
        let mut autopsy = self.link.autopsy(self.station.worker.clone(), end, self.breach.take());
        if self.machine.starting() && self.importing.is_none() {
            autopsy.starting = true;
        }
        autopsy.rss = self.station.memory.last().map(|sample| sample.rss);
        let reason = match &self.unfit {
            Some(why) => format!("could not be given its adapter: {why}"),
            None => reason(&autopsy, self.sentence.as_ref()),
        };
        // Before anyone hears of it by a failed call, so that asking what was lost never comes too early.
        lock(&self.graveyard).bury(&self.station.worker, &reason);
        let lost = self.queue.lose(&self.station, &autopsy.findings());
        if self.queue.closed().is_none() {
            self.service.sessions_lost(&self.station.worker, &lost, &reason);
        }
        // A death that was asked for, or that a call is blamed for, costs no restart budget.
        let excused = self.machine.excused() || self.sentence == Some(Sentence::Distrust);
        let cause = match self.settle(&autopsy) {
            Some(Blamed { suspect: true }) => Cause::Rerun,
            Some(Blamed { suspect: false }) => Cause::Call,
            None if excused => Cause::Asked,
            None if self.unfit.is_some() || late(&autopsy, self.sentence.as_ref()) => Cause::Unfit,
            None => Cause::Nobody,
        };
        for job in self.own.drain(..) {
            job.finish(Err(autopsy.lost()));
        }
        self.notes.leave(Note::Gone { epoch: self.station.epoch, cause, reason });
    }

    /// Fails what the worker had begun and gives the rest back.
    fn settle(&mut self, autopsy: &Autopsy) -> Option<Blamed> {
        let mut held = std::mem::take(&mut *lock(&self.station.held));
        let ahead: Vec<CallId> = held.ahead().map(|job| job.id).collect();
        // Its calls may be over for the worker, but for those that it has not claimed.
        let unclaimed = if self.unread { self.station.unclaimed().min(ahead.len()) } else { 0 };
        let unclaimed = &ahead[ahead.len() - unclaimed..];
        // Behind a breach it is not known which of them was still running.
        let culprit = autopsy.culprit().filter(|id| !self.unread && held.get(*id).is_some());
        let begun = held.iter().filter(|job| match self.unread {
            true => !unclaimed.contains(&job.id),
            false => {
                let suspect = culprit.is_none() && job.requeues >= MAX_REQUEUES;
                let likely = job.has_yielded() || suspect;
                autopsy.ran(job.id) || (likely && !ahead.contains(&job.id))
            }
        });
        let begun = begun.map(|job| job.id).collect();
        let mut blamed = None;
        let mut actions = Vec::new();
        self.machine.on(Event::Gone { begun, culprit }, now(), &mut actions);
        let mut named = None;
        for action in &actions {
            if let Action::Collateral { culprit, .. } = action {
                named = held.get(*culprit).map(Job::describe);
            }
        }
        for action in actions {
            match action {
                Action::Blame(id, verdict) => {
                    let Some(job) = held.remove(id) else { continue };
                    blamed = Some(Blamed { suspect: job.suspect });
                    job.finish(Err(autopsy.error(id, verdict)));
                }
                Action::Collateral { id, verdict, .. } => {
                    let Some(job) = held.remove(id) else { continue };
                    let culprit = named.as_deref().unwrap_or("another call");
                    job.finish(Err(autopsy.collateral(id, culprit, verdict)));
                }
                Action::Requeue(id) => {
                    let Some(mut job) = held.remove(id) else { continue };
                    if job.pinned {
                        job.finish(Err(autopsy.lost()));
                    } else {
                        job.requeues = job.requeues.saturating_add(1);
                        self.queue.put_back(job);
                    }
                }
                _ => {}
            }
        }
        blamed
    }
}

/// Whether its adapter took too long to be built.
fn late(autopsy: &Autopsy, sentence: Option<&Sentence>) -> bool {
    autopsy.building.is_some() && matches!(sentence, Some(Sentence::Late(_)))
}

/// What is said of that, with where it was in Python.
fn late_adapter(autopsy: &Autopsy, limit: Duration) -> String {
    let adapter = autopsy.building.as_deref().unwrap_or_default();
    let stack = autopsy.stacks.as_ref().map(Stacks::all).unwrap_or_default();
    let stack: String = stack.trim_end().chars().take(LONGEST_STACK).collect();
    let limit = limit.as_secs_f64();
    format!(
        "needs more than {limit} s to build its adapter `{adapter}`\nhint: see `Pool::start_timeout`\n{stack}"
    )
}

fn reason(autopsy: &Autopsy, sentence: Option<&Sentence>) -> String {
    let mut reason = match (&autopsy.breach, sentence) {
        (Some(breach), _) => format!("broke the protocol ({breach}) and {}", autopsy.death),
        (None, Some(Sentence::Late(limit))) if autopsy.building.is_some() => {
            return late_adapter(autopsy, *limit);
        }
        (None, Some(Sentence::Late(limit))) => {
            format!("was not ready after {} s and {}", limit.as_secs_f64(), autopsy.death)
        }
        (None, _) => autopsy.story(),
    };
    if let Some(last) = autopsy.stderr.last() {
        reason.push_str(&format!("; its last line was: {last}"));
    }
    reason
}

#[cfg(test)]
mod tests;
