//! When workers are started, replaced and given up: a state machine without I/O.
//!
//! What it decides by stands beside it: the budget of deaths, the circuit breaker, the limits of a worker's life.

mod outage;

use std::time::{Duration, Instant};

use super::breaker::{Breaker, Circuit, Trial};
use super::budget::{Budget, RestartBudget};
use super::recycling::{Limits, Seen, Serving};
use super::slots::{Holder, Outgoing, Role, Slot, Starting};
use crate::error::Recycled;
use crate::pool::clock::later;

/// Names one life of a worker in its pool.
pub(crate) type Epoch = u64;

/// Why a worker died, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It was asked to go.
    Asked,
    /// A call is to blame.
    Call,
    /// A call is to blame that was run again to find a culprit.
    Rerun,
    /// Nobody is: it was idle, or not ready yet.
    Nobody,
    /// Nobody is, but it said why it will never be ready. If no other was before, the next will say the same.
    Unfit,
}

/// What has happened in the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The nursery has preloaded, and can start workers.
    NurseryReady,
    /// The nursery cannot preload, or would not start.
    NurseryFailed(String),
    /// The nursery died, and its workers with it; how.
    NurseryGone(String),
    /// A worker takes work.
    Ready(Epoch),
    /// A worker was looked at.
    Seen { epoch: Epoch, seen: Seen },
    /// A worker is gone; the pool had `completed` so many calls before.
    Gone { epoch: Epoch, cause: Cause, completed: u64, reason: String },
    /// The call that was let through is over: completed, or withdrawn before.
    Probed { round: u64, completed: bool },
    /// Everything should end by the deadline.
    Shutdown { deadline: Instant },
    /// The last worker has gone and the nursery with it.
    NurseryEnded,
    /// A timer fired.
    Tick,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a nursery.
    StartNursery,
    /// The nursery is of no use: kill it. There is no need to tell of its end.
    KillNursery,
    /// Have a worker started.
    Start { slot: usize, epoch: Epoch },
    /// A worker did not become ready in time: kill it.
    Abort(Epoch),
    /// Report that the slot's worker is replaced after `delay`.
    Restarting { slot: usize, delay: Duration, deaths: usize, reason: String },
    /// Its replacement is at work: have the worker finish what it has and stop.
    Retire { epoch: Epoch, why: Recycled },
    /// The breaker opens: everything that waits and comes fails with this cause.
    Open { cause: String, cooldown: Duration },
    /// The breaker is half-open.
    HalfOpen,
    /// Let one call through.
    Admit { round: u64 },
    /// The breaker closes: all calls go through.
    Close,
    /// Give up: everything that waits comes back with this cause.
    Fail(String),
    /// Let the workers finish and stop.
    StopWorkers { deadline: Instant },
    /// No worker is left: let the nursery end.
    StopNursery,
    /// Nothing is left.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the nursery.
    Boot {
        since: Instant,
    },
    Running,
    /// There is no nursery, and none is started before the breaker is half-open.
    Down,
    /// No worker is started any more.
    Ending {
        nursery_told: bool,
    },
    Finished,
}

/// What a pool is to be, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) size: usize,
    pub(crate) budget: RestartBudget,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) limits: Limits,
    pub(crate) start_timeout: Duration,
}

/// A pool's slots and its nursery.
#[derive(Debug)]
pub(crate) struct Supervisor {
    phase: Phase,
    slots: Vec<Slot>,
    epochs: Epoch,
    budget: Budget,
    circuit: Circuit,
    limits: Limits,
    /// A replacement could not be started: no other is tried before.
    recycling_from: Option<Instant>,
    start_timeout: Duration,
    /// All workers have been ready once: until then the pool is not started, and fails for good.
    begun: bool,
}

impl Supervisor {
    pub(crate) fn new(plan: &Plan, now: Instant) -> Self {
        Self {
            phase: Phase::Boot { since: now },
            slots: vec![Slot::default(); plan.size],
            epochs: 0,
            budget: Budget::new(plan.budget),
            circuit: Circuit::new(plan.breaker),
            limits: plan.limits,
            recycling_from: None,
            start_timeout: plan.start_timeout,
            begun: false,
        }
    }

    /// Workers that take work and are not to go.
    #[cfg(test)]
    pub(crate) fn ready(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_ready()).count()
    }

    /// Whether it has a worker of that epoch, and replaces it.
    #[cfg(test)]
    pub(crate) fn knows(&self, epoch: Epoch) -> bool {
        let takes_a_place = |(_, role)| role != Role::Outgoing;
        self.phase == Phase::Running && self.find(epoch).is_some_and(takes_a_place)
    }

    /// Whether it has not begun to end.
    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Boot { .. } | Phase::Running)
    }

    /// Whether all workers have been ready once.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// When the next [`Event::Tick`] is due.
    pub(crate) fn timer(&self) -> Option<Instant> {
        let boot = match self.phase {
            Phase::Boot { since } => Some(later(since, self.start_timeout)),
            Phase::Ending { .. } | Phase::Finished => return self.starts().min(),
            Phase::Running | Phase::Down => None,
        };
        self.starts().chain(boot).chain(self.circuit.due()).chain(self.recycling_from).min()
    }

    fn starts(&self) -> impl Iterator<Item = Instant> {
        self.slots.iter().filter_map(|slot| slot.timer(self.start_timeout))
    }

    /// Takes in what happened at `now`; returns what has to be done.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::NurseryReady => {
                if let Phase::Boot { .. } = self.phase {
                    self.phase = Phase::Running;
                    match self.circuit.trial() {
                        Some(trial) => self.try_one(trial, now, &mut actions),
                        None => {
                            self.slots.fill(Slot::due(now));
                            self.start_due(now, &mut actions);
                        }
                    }
                }
            }
            Event::NurseryFailed(cause) => self.useless(cause, now, &mut actions),
            Event::NurseryGone(reason) => self.orphaned(&reason, now, &mut actions),
            Event::Ready(epoch) => self.ready_now(epoch, now, &mut actions),
            Event::Seen { epoch, seen } => {
                for slot in &mut self.slots {
                    match (&mut slot.holder, &mut slot.outgoing) {
                        (Holder::Ready(serving), _) if serving.epoch == epoch => {
                            serving.see(seen, &self.limits, now);
                        }
                        (_, Some(outgoing)) if outgoing.epoch == epoch => outgoing.pinned = seen.pinned,
                        _ => {}
                    }
                }
                self.recycle(now, &mut actions);
            }
            Event::Gone { epoch, cause, completed, reason } => {
                self.gone(epoch, cause, completed, reason, now, &mut actions);
                self.recycle(now, &mut actions);
            }
            Event::Probed { round, completed } => {
                if self.circuit.trial() == Some(Trial::Call) && self.circuit.round == round {
                    match completed {
                        true => self.close(now, &mut actions),
                        false => actions.push(Action::Admit { round }),
                    }
                }
            }
            Event::Shutdown { deadline } => {
                if let Phase::Boot { .. } = self.phase {
                    // A nursery that imports would not hear that it is to end, and has nothing to finish.
                    self.phase = Phase::Finished;
                    actions.extend([Action::StopWorkers { deadline }, Action::KillNursery, Action::Finished]);
                } else if self.phase != Phase::Finished {
                    if !matches!(self.phase, Phase::Ending { .. }) {
                        self.phase = Phase::Ending { nursery_told: false };
                    }
                    self.slots.iter_mut().for_each(Slot::cancel);
                    actions.push(Action::StopWorkers { deadline });
                    self.end_if_empty(&mut actions);
                }
            }
            Event::NurseryEnded => {
                if self.phase != Phase::Finished {
                    self.phase = Phase::Finished;
                    actions.push(Action::Finished);
                }
            }
            Event::Tick => self.tick(now, &mut actions),
        }
        actions
    }

    fn find(&self, epoch: Epoch) -> Option<(usize, Role)> {
        let mut slots = self.slots.iter().enumerate();
        slots.find_map(|(number, slot)| Some((number, slot.role(epoch)?)))
    }

    fn ready_now(&mut self, epoch: Epoch, now: Instant, actions: &mut Vec<Action>) {
        let Some((number, role)) = self.find(epoch) else { return };
        let slot = &mut self.slots[number];
        let serving = Holder::Ready(Serving::new(epoch, &self.limits, now));
        match role {
            Role::Holder => slot.holder = serving,
            Role::Next => {
                slot.next = None;
                let before = std::mem::replace(&mut slot.holder, serving);
                if let Holder::Ready(old) = before
                    && let Some(why) = old.why()
                {
                    slot.outgoing = Some(Outgoing { epoch: old.epoch, pinned: false });
                    actions.push(Action::Retire { epoch: old.epoch, why });
                }
            }
            Role::Outgoing => {}
        }
        self.begun |= self.slots.iter().all(Slot::is_ready);
        if self.circuit.trial() == Some(Trial::Start) {
            self.close(now, actions);
        }
        self.recycle(now, actions);
    }

    fn gone(
        &mut self,
        epoch: Epoch,
        cause: Cause,
        completed: u64,
        reason: String,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some((number, role)) = self.find(epoch) else { return };
        let slot = &mut self.slots[number];
        match role {
            Role::Outgoing => slot.outgoing = None,
            Role::Next => slot.next = None,
            // Its replacement is on the way, if it was to be replaced anyway.
            Role::Holder => slot.holder = slot.next.take().map_or(Holder::Nobody, Holder::Starting),
        }
        if self.phase != Phase::Running {
            return self.end_if_empty(actions);
        }
        let row = self.circuit.count(cause, completed);
        if self.circuit.is_half_open() {
            if role == Role::Holder && cause != Cause::Asked {
                self.trip(format!("when it was tried again a worker {reason}"), Trial::Start, now, actions);
            } else if role == Role::Holder && !self.is_starting() {
                // Nothing was shown yet, so that another one has to.
                self.slots[number].holder = Holder::Due(now);
                self.start_these(now, actions);
            }
            return;
        }
        if !self.circuit.is_closed() {
            return;
        }
        if let Some(row) = row {
            let calls = if row == 1 { "a call has".to_owned() } else { format!("{row} calls in a row have") };
            let cause = format!("{calls} killed the worker; the last worker {reason}");
            return self.trip(cause, Trial::Call, now, actions);
        }
        if cause == Cause::Unfit && !self.begun {
            return self.trip(format!("a worker {reason}"), Trial::Start, now, actions);
        }
        let delay = match (cause, role) {
            // It was to go, and its place is taken.
            (_, Role::Outgoing) => return,
            (Cause::Nobody | Cause::Unfit, _) => {
                if !self.budget.spend(now) {
                    let cause = format!("a worker {reason}, {}", self.budget.spent());
                    return self.trip(cause, Trial::Start, now, actions);
                }
                match role {
                    // The old one goes on meanwhile. So long a wait that replacing alone never spends the budget.
                    Role::Next => self.budget.limits.period,
                    _ => self.budget.delay(),
                }
            }
            _ => Duration::ZERO,
        };
        let slot = &mut self.slots[number];
        match role {
            Role::Next => self.recycling_from = Some(later(now, delay)),
            _ if slot.holder == Holder::Nobody => slot.holder = Holder::Due(later(now, delay)),
            _ => {}
        }
        actions.push(Action::Restarting { slot: number, delay, deaths: self.budget.deaths(), reason });
        self.start_due(now, actions);
    }

    fn end_if_empty(&mut self, actions: &mut Vec<Action>) {
        let empty = self.slots.iter().all(Slot::is_empty);
        if empty && self.phase == (Phase::Ending { nursery_told: false }) {
            self.phase = Phase::Ending { nursery_told: true };
            actions.push(Action::StopNursery);
        }
    }

    fn start_due(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.phase == Phase::Running && self.circuit.is_closed() {
            self.start_these(now, actions);
        }
    }

    fn start_these(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot.holder, Holder::Due(at) if at <= now) {
                self.epochs += 1;
                slot.holder = Holder::Starting(Starting::new(self.epochs, now));
                actions.push(Action::Start { slot: number, epoch: self.epochs });
            }
        }
    }

    /// Starts the replacement of a worker that has lived long enough: of one at a time, so that no more than one is
    /// short of warmth, and no more than one process is there beyond the pool's size.
    fn recycle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let paused = self.recycling_from.is_some_and(|at| at > now);
        let busy = self.slots.iter().any(Slot::is_recycling);
        if self.phase != Phase::Running || !self.circuit.is_closed() || paused || busy {
            return;
        }
        let claims = self.slots.iter().enumerate().filter_map(|(number, slot)| match &slot.holder {
            Holder::Ready(serving) if slot.outgoing.is_none() => Some((serving.claim()?, number)),
            _ => None,
        });
        if let Some((_, slot)) = claims.min() {
            self.epochs += 1;
            self.slots[slot].next = Some(Starting::new(self.epochs, now));
            actions.push(Action::Start { slot, epoch: self.epochs });
        }
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.recycling_from = self.recycling_from.filter(|at| *at > now);
        if let Phase::Boot { since } = self.phase
            && now >= later(since, self.start_timeout)
        {
            let limit = self.start_timeout.as_secs_f64();
            self.useless(
                format!("its nursery was not ready within the start_timeout of {limit} s"),
                now,
                actions,
            );
        }
        let alive = matches!(self.phase, Phase::Running | Phase::Down);
        if alive && self.circuit.due().is_some_and(|at| at <= now) {
            self.half_open(now, actions);
        }
        self.start_due(now, actions);
        for slot in &mut self.slots {
            if let Holder::Ready(serving) = &mut slot.holder {
                serving.tick(&self.limits, now);
            }
            actions.extend(slot.late(self.start_timeout, now).map(Action::Abort));
        }
        self.recycle(now, actions);
    }
}

#[cfg(test)]
mod tests;
