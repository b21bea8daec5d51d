//! When workers are started, replaced and given up: a state machine without I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::pool::clock::later;

/// How often workers may die without a batch to blame, and how long to wait before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartBudget {
    /// So many deaths that no batch is charged with (before ready, or idle) within `period` are borne; one
    /// more and the pool fails. Default 5.
    pub deaths: usize,
    /// The period they are counted over. Default 10 s.
    pub period: Duration,
    /// The wait before the first replacement of such a death; doubled for each further one in the period,
    /// up to a second. Default 50 ms.
    pub backoff: Duration,
}

impl Default for RestartBudget {
    fn default() -> Self {
        Self { deaths: 5, period: Duration::from_secs(10), backoff: Duration::from_millis(50) }
    }
}

/// Names one life of a worker in its pool.
pub(crate) type Epoch = u64;

/// What has happened in the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The nursery has preloaded, and can start workers.
    NurseryReady,
    /// The nursery cannot preload, or would not start: there is no use in trying again.
    NurseryFailed(String),
    /// The nursery died, and its workers with it; how.
    NurseryGone(String),
    /// A worker takes work.
    Ready(Epoch),
    /// A worker is gone. `charged` if a batch is blamed for it, or it was asked to go.
    Gone { epoch: Epoch, charged: bool, reason: String },
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
    /// Have a worker started.
    Start { slot: usize, epoch: Epoch },
    /// A worker did not become ready in time: kill it.
    Abort(Epoch),
    /// Report that the slot's worker is replaced after `delay`.
    Restarting { slot: usize, delay: Duration, deaths: usize, reason: String },
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
enum Slot {
    /// A worker is due at this time.
    Due(Instant),
    Starting {
        epoch: Epoch,
        since: Instant,
        aborted: bool,
    },
    Ready(Epoch),
    Vacant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the nursery.
    Boot {
        since: Instant,
    },
    Running,
    /// No worker is started any more.
    Ending {
        nursery_told: bool,
    },
    Finished,
}

/// A pool's slots and its nursery.
#[derive(Debug)]
pub(crate) struct Supervisor {
    phase: Phase,
    slots: Vec<Slot>,
    epochs: Epoch,
    deaths: VecDeque<Instant>,
    budget: RestartBudget,
    start_timeout: Duration,
}

impl Supervisor {
    pub(crate) fn new(size: usize, budget: RestartBudget, start_timeout: Duration, now: Instant) -> Self {
        Self {
            phase: Phase::Boot { since: now },
            slots: vec![Slot::Vacant; size],
            epochs: 0,
            deaths: VecDeque::new(),
            budget,
            start_timeout,
        }
    }

    /// Workers that take work.
    pub(crate) fn ready(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot, Slot::Ready(_))).count()
    }

    /// Whether it has a worker of that epoch, and replaces it.
    #[cfg(test)]
    pub(crate) fn knows(&self, epoch: Epoch) -> bool {
        self.phase == Phase::Running && self.find(epoch).is_some()
    }

    /// Whether it has not begun to end.
    #[cfg(test)]
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Boot { .. } | Phase::Running)
    }

    /// When the next [`Event::Tick`] is due.
    pub(crate) fn timer(&self) -> Option<Instant> {
        let boot = match self.phase {
            Phase::Boot { since } => Some(later(since, self.start_timeout)),
            _ => None,
        };
        let slots = self.slots.iter().filter_map(|slot| match *slot {
            Slot::Due(at) => Some(at),
            Slot::Starting { since, aborted: false, .. } => Some(later(since, self.start_timeout)),
            _ => None,
        });
        slots.chain(boot).min()
    }

    /// Takes in what happened at `now`; returns what has to be done.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::NurseryReady => {
                if let Phase::Boot { .. } = self.phase {
                    self.phase = Phase::Running;
                    self.slots.fill(Slot::Due(now));
                    self.start_due(now, &mut actions);
                }
            }
            Event::NurseryFailed(cause) => self.fail(cause, &mut actions),
            Event::NurseryGone(reason) => match self.phase {
                Phase::Boot { .. } | Phase::Running => {
                    self.slots.fill(Slot::Vacant);
                    if self.spend(now) {
                        self.phase = Phase::Boot { since: now };
                        actions.push(Action::StartNursery);
                    } else {
                        let cause = format!("its nursery {reason}, {}", self.spent());
                        self.fail(cause, &mut actions);
                    }
                }
                Phase::Ending { .. } => {
                    self.slots.fill(Slot::Vacant);
                    self.phase = Phase::Finished;
                    actions.push(Action::Finished);
                }
                Phase::Finished => {}
            },
            Event::Ready(epoch) => {
                if let Some(slot) = self.find(epoch) {
                    self.slots[slot] = Slot::Ready(epoch);
                }
            }
            Event::Gone { epoch, charged, reason } => self.gone(epoch, charged, reason, now, &mut actions),
            Event::Shutdown { deadline } => {
                if matches!(self.phase, Phase::Boot { .. } | Phase::Running | Phase::Ending { .. }) {
                    if !matches!(self.phase, Phase::Ending { .. }) {
                        self.phase = Phase::Ending { nursery_told: false };
                    }
                    for slot in &mut self.slots {
                        if matches!(slot, Slot::Due(_)) {
                            *slot = Slot::Vacant;
                        }
                    }
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

    fn find(&self, epoch: Epoch) -> Option<usize> {
        self.slots.iter().position(|slot| match *slot {
            Slot::Starting { epoch: other, .. } | Slot::Ready(other) => other == epoch,
            _ => false,
        })
    }

    fn gone(&mut self, epoch: Epoch, charged: bool, reason: String, now: Instant, actions: &mut Vec<Action>) {
        let Some(slot) = self.find(epoch) else { return };
        self.slots[slot] = Slot::Vacant;
        if self.phase != Phase::Running {
            self.end_if_empty(actions);
            return;
        }
        if charged {
            self.slots[slot] = Slot::Due(now);
            let deaths = self.deaths.len();
            actions.push(Action::Restarting { slot, delay: Duration::ZERO, deaths, reason });
            self.start_due(now, actions);
        } else if self.spend(now) {
            let deaths = self.deaths.len();
            let doublings = u32::try_from(deaths - 1).unwrap_or(u32::MAX).min(16);
            let delay = self.budget.backoff.saturating_mul(2u32.pow(doublings)).min(Duration::from_secs(1));
            self.slots[slot] = Slot::Due(now + delay);
            actions.push(Action::Restarting { slot, delay, deaths, reason });
        } else {
            let cause = format!("a worker {reason}, {}", self.spent());
            self.fail(cause, actions);
        }
    }

    /// Counts a death against the budget; false if it is beyond it.
    fn spend(&mut self, now: Instant) -> bool {
        while self
            .deaths
            .front()
            .is_some_and(|death| now.saturating_duration_since(*death) > self.budget.period)
        {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        self.deaths.len() <= self.budget.deaths
    }

    fn spent(&self) -> String {
        format!(
            "and the restart budget of {} deaths in {} s without a batch to blame is spent",
            self.budget.deaths,
            self.budget.period.as_secs_f64()
        )
    }

    fn fail(&mut self, cause: String, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Boot { .. } | Phase::Running) {
            return;
        }
        self.phase = Phase::Ending { nursery_told: false };
        for slot in &mut self.slots {
            if matches!(slot, Slot::Due(_)) {
                *slot = Slot::Vacant;
            }
        }
        actions.push(Action::Fail(cause));
        self.end_if_empty(actions);
    }

    fn end_if_empty(&mut self, actions: &mut Vec<Action>) {
        let empty = self.slots.iter().all(|slot| *slot == Slot::Vacant);
        if empty && self.phase == (Phase::Ending { nursery_told: false }) {
            self.phase = Phase::Ending { nursery_told: true };
            actions.push(Action::StopNursery);
        }
    }

    fn start_due(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if matches!(*slot, Slot::Due(at) if at <= now) {
                self.epochs += 1;
                *slot = Slot::Starting { epoch: self.epochs, since: now, aborted: false };
                actions.push(Action::Start { slot: number, epoch: self.epochs });
            }
        }
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Phase::Boot { since } = self.phase
            && now >= later(since, self.start_timeout)
        {
            let limit = self.start_timeout.as_secs_f64();
            self.fail(format!("its nursery was not ready after {limit} s"), actions);
        }
        if self.phase == Phase::Running {
            self.start_due(now, actions);
        }
        for slot in &mut self.slots {
            if let Slot::Starting { epoch, since, aborted } = slot
                && !*aborted
                && now >= later(*since, self.start_timeout)
            {
                *aborted = true;
                actions.push(Action::Abort(*epoch));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(actions: &[Action]) -> Vec<Epoch> {
        let epoch = |action: &Action| match action {
            Action::Start { epoch, .. } => Some(*epoch),
            _ => None,
        };
        actions.iter().filter_map(epoch).collect()
    }

    fn died(epoch: Epoch, charged: bool) -> Event {
        Event::Gone { epoch, charged, reason: "exited with code 3".into() }
    }

    #[test]
    fn a_worker_that_dies_at_import_is_started_budget_plus_one_times() {
        let mut now = Instant::now();
        let budget = RestartBudget::default();
        let mut supervisor = Supervisor::new(1, budget, Duration::from_secs(60), now);
        let mut spawned = starts(&supervisor.on(Event::NurseryReady, now));
        let mut failed = None;
        while failed.is_none() {
            let epoch = *spawned.last().unwrap();
            let actions = supervisor.on(died(epoch, false), now);
            failed = actions.iter().find_map(|action| match action {
                Action::Fail(cause) => Some(cause.clone()),
                _ => None,
            });
            if let Some(at) = supervisor.timer() {
                now = now.max(at);
                spawned.extend(starts(&supervisor.on(Event::Tick, now)));
            }
        }
        assert_eq!(spawned.len(), budget.deaths + 1);
        assert_eq!(
            failed.unwrap(),
            "a worker exited with code 3, and the restart budget of 5 deaths in 10 s without a batch to blame is spent"
        );
    }

    #[test]
    fn deaths_that_a_batch_is_charged_with_cost_no_budget() {
        let now = Instant::now();
        let mut supervisor = Supervisor::new(2, RestartBudget::default(), Duration::from_secs(60), now);
        let mut epoch = starts(&supervisor.on(Event::NurseryReady, now))[0];
        for _ in 0..100 {
            supervisor.on(Event::Ready(epoch), now);
            let started = starts(&supervisor.on(died(epoch, true), now));
            assert_eq!(started.len(), 1, "replaced at once");
            epoch = started[0];
        }
    }

    #[test]
    fn deaths_far_apart_are_forgiven() {
        let mut now = Instant::now();
        let mut supervisor = Supervisor::new(1, RestartBudget::default(), Duration::from_secs(60), now);
        let mut epoch = starts(&supervisor.on(Event::NurseryReady, now))[0];
        for _ in 0..50 {
            supervisor.on(died(epoch, false), now);
            now += Duration::from_secs(3);
            epoch = starts(&supervisor.on(Event::Tick, now))[0];
        }
    }

    #[test]
    fn a_start_that_takes_too_long_is_aborted_once() {
        let now = Instant::now();
        let limit = Duration::from_secs(60);
        let mut supervisor = Supervisor::new(1, RestartBudget::default(), limit, now);
        supervisor.on(Event::NurseryReady, now);
        assert_eq!(supervisor.timer(), Some(now + limit));
        assert_eq!(supervisor.on(Event::Tick, now + limit), [Action::Abort(1)]);
        assert_eq!(supervisor.timer(), None);
    }

    #[test]
    fn shutdown_waits_for_the_workers_then_ends_the_nursery() {
        let now = Instant::now();
        let mut supervisor = Supervisor::new(1, RestartBudget::default(), Duration::from_secs(60), now);
        supervisor.on(Event::NurseryReady, now);
        supervisor.on(Event::Ready(1), now);
        let deadline = now + Duration::from_secs(5);
        assert_eq!(supervisor.on(Event::Shutdown { deadline }, now), [Action::StopWorkers { deadline }]);
        assert_eq!(supervisor.on(died(1, true), now), [Action::StopNursery]);
        assert_eq!(supervisor.on(Event::NurseryEnded, now), [Action::Finished]);
    }
}
