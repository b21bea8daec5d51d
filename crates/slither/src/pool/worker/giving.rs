//! What a worker is given: a call when it has none, short ones ahead while it has, and nothing when it is to end.

use std::time::{Duration, Instant};

use super::keeper::Keeper;
use super::link::Link;
use super::machine::{Action, Event, Want};
use crate::pool::clock::{later, now};
use crate::pool::job::Job;
use crate::pool::station::lock;
use crate::wire;

/// How long a replaced worker may take to exit.
const RECYCLE_GRACE: Duration = Duration::from_secs(5);

impl<L: Link> Keeper<L> {
    pub(crate) fn wants(&self) -> Want {
        if self.closed || self.link.ended().is_some() {
            return Want::Nothing;
        }
        match self.machine.wants() {
            // An earlier one waits in the worker for a session or a thread: a token is for one call at a time.
            Want::Ahead(_) if !self.in_order && self.station.token_is_down() => Want::Nothing,
            want => want,
        }
    }

    pub(super) fn find_work(&mut self) {
        loop {
            let jobs = match self.wants() {
                Want::Nothing => return,
                Want::Ahead(_) if !self.own.is_empty() => return,
                Want::Ahead(room) => self.queue.take_ahead(room, &self.station),
                Want::Call => {
                    let own = self.own.pop_front();
                    own.or_else(|| self.queue.take_or_wait(&self.station)).into_iter().collect()
                }
            };
            match self.draining {
                _ if !jobs.is_empty() => self.give(jobs),
                Some(deadline) if self.machine.idle() => return self.stop(deadline),
                None if self.recycled.is_some() && self.machine.idle() => {
                    if self.queue.release(&self.station) {
                        self.stop(later(now(), RECYCLE_GRACE));
                    }
                    return;
                }
                _ => return,
            }
        }
    }

    pub(super) fn stop(&mut self, deadline: Instant) {
        self.draining = None;
        self.queue.leave(&self.station);
        self.on(Event::Stop { deadline });
    }

    /// Sends calls to the worker.
    ///
    /// All of it happens under the lock of `held`, so that who takes a call back finds one that is sent, or will be, and has
    /// its token, or none.
    pub(super) fn give(&mut self, jobs: Vec<Job>) {
        let station = self.station.clone();
        let mut held = lock(&station.held);
        if held.len() != self.machine.load() {
            // A call that these were to follow has been taken back, which changes what may be sent.
            drop(held);
            for job in jobs.into_iter().rev() {
                self.queue.put_back(job);
            }
            return self.take_orders();
        }
        let (now, mut tokens) = (now(), 0);
        self.withheld.arm(now);
        for mut job in jobs {
            self.machine.on(Event::Given { id: job.id, timeout: job.timeout }, now, &mut self.actions);
            let mut sent_ahead = false;
            for action in self.actions.drain(..) {
                if let Action::Send { ahead, .. } = action {
                    sent_ahead = ahead;
                    tokens += u64::from(ahead);
                    wire::set_claim(&mut job.frame, ahead);
                    self.link.write(&job.frame);
                }
            }
            held.push(job, sent_ahead);
        }
        station.put_tokens(tokens);
    }
}
