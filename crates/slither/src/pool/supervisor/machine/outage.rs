//! A pool that cannot work: its nursery is gone, its breaker opens and is tried, or it fails for good.

use std::time::Instant;

use super::{Action, Phase, Supervisor, Trial};
use crate::pool::supervisor::slots::{Holder, Slot};

impl Supervisor {
    /// The nursery is gone, and all workers are.
    pub(super) fn orphaned(&mut self, reason: &str, now: Instant, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Boot { .. } | Phase::Running => {
                self.slots.fill(Slot::default());
                if self.circuit.is_closed() {
                    if self.budget.spend(now) {
                        self.phase = Phase::Boot { since: now };
                        return actions.push(Action::StartNursery);
                    }
                    let cause = format!("its nursery {reason}, {}", self.budget.spent());
                    self.trip(cause, Trial::Start, now, actions);
                } else if self.circuit.is_half_open() {
                    let cause = format!("when it was tried again its nursery {reason}");
                    self.trip(cause, Trial::Start, now, actions);
                }
                if matches!(self.phase, Phase::Boot { .. } | Phase::Running) {
                    self.phase = Phase::Down;
                }
            }
            Phase::Ending { .. } => {
                self.slots.fill(Slot::default());
                self.phase = Phase::Finished;
                actions.push(Action::Finished);
            }
            Phase::Down | Phase::Finished => {}
        }
    }

    /// The nursery cannot do its work.
    pub(super) fn useless(&mut self, cause: String, now: Instant, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Boot { .. } | Phase::Running) {
            return;
        }
        if self.can_break() {
            self.slots.fill(Slot::default());
            self.phase = Phase::Down;
            actions.push(Action::KillNursery);
        }
        self.trip(cause, Trial::Start, now, actions);
    }

    fn can_break(&self) -> bool {
        self.begun && self.circuit.exists()
    }

    /// Opens the breaker, if there is one; else the pool fails for good.
    pub(super) fn trip(&mut self, cause: String, trial: Trial, now: Instant, actions: &mut Vec<Action>) {
        if !self.can_break() {
            return self.fail(cause, actions);
        }
        let cooldown = self.circuit.open(trial, now);
        self.slots.iter_mut().for_each(Slot::cancel);
        actions.push(Action::Open { cause, cooldown });
    }

    /// Tries whether the pool works again.
    pub(super) fn half_open(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let trial = self.circuit.half_open();
        actions.push(Action::HalfOpen);
        match self.phase {
            Phase::Down => {
                self.phase = Phase::Boot { since: now };
                actions.push(Action::StartNursery);
            }
            _ => self.try_one(trial, now, actions),
        }
    }

    /// Has one worker show whether it can be started, or whether it survives a call.
    pub(super) fn try_one(&mut self, trial: Trial, now: Instant, actions: &mut Vec<Action>) {
        if !self.is_starting() {
            // Also for a call: the workers that are ready may be at work for long.
            match self.slots.iter_mut().find(|slot| slot.holder == Holder::Nobody) {
                Some(slot) => slot.holder = Holder::Due(now),
                // Every place is taken by a worker that is ready: there is nothing left to be tried.
                None if trial == Trial::Start => return self.close(now, actions),
                None => {}
            }
            self.start_these(now, actions);
        }
        if trial == Trial::Call {
            actions.push(Action::Admit { round: self.circuit.round });
        }
    }

    /// Whether a worker is on the way to a place that is empty.
    pub(super) fn is_starting(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.holder, Holder::Starting(_)))
    }

    pub(super) fn close(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.circuit.close();
        self.budget.forgive();
        actions.push(Action::Close);
        // What is tried may turn out to work when everything ends already.
        if self.phase == Phase::Running {
            for slot in self.slots.iter_mut().filter(|slot| slot.holder == Holder::Nobody) {
                slot.holder = Holder::Due(now);
            }
            self.start_due(now, actions);
        }
    }

    fn fail(&mut self, cause: String, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Boot { .. } | Phase::Running) {
            return;
        }
        self.phase = Phase::Ending { nursery_told: false };
        self.slots.iter_mut().for_each(Slot::cancel);
        actions.push(Action::Fail(cause));
        self.end_if_empty(actions);
    }
}
