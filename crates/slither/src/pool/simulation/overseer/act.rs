//! How the supervisor's decisions are carried out.

use super::{Birth, Boot, Door, Nursery, Overseer};
use crate::pool::clock::now;
use crate::pool::station::{Order, Sentence, lock};
use crate::pool::supervisor::machine::{Action, Event};
use crate::pool::supervisor::{Epoch, Life, NURSERY_GRACE, refusal, unavailable};

impl Overseer {
    pub(super) fn on(&mut self, event: Event) {
        for action in self.machine.on(event, now()) {
            self.act(action);
        }
    }

    pub(super) fn act(&mut self, action: Action) {
        lock(&self.book).say(|| format!("supervisor: {action:?}"));
        match action {
            Action::StartNursery => {
                let quiet = lock(&self.book).quiet();
                let fails = !quiet && self.dice.permille(self.plan.faults.nursery);
                let at = now() + self.dice.millis(0, 20);
                let (at, how) = match (fails, self.dice.below(3)) {
                    (false, _) => (Some(at), Boot::Ready),
                    (true, 0) => (Some(at), Boot::Fails),
                    (true, 1) => (Some(at), Boot::Dies),
                    (true, _) => (None, Boot::Ready),
                };
                self.nurseries += 1;
                self.nursery = Some(Nursery { up: false, at, how, dead: false });
            }
            Action::Start { slot, epoch } => self.start(slot, epoch),
            Action::Abort(epoch) => match self.kept.get(&epoch) {
                Some(kept) => {
                    lock(&self.book).tally.count("workers not ready in time");
                    kept.worker.borrow_mut().condemned = true;
                    kept.station.order(Order::Kill(Sentence::Late(self.plan.start_timeout)));
                }
                None => self.lose_nursery(),
            },
            Action::KillNursery => self.lose_nursery(),
            Action::Retire { epoch, why } => {
                if let Some(kept) = self.kept.get(&epoch) {
                    let lost = self.queue.retire(&kept.station, why);
                    assert!(
                        why.is_hard() || lost.is_empty(),
                        "sessions are lost that would have been waited for"
                    );
                    if why.is_hard() {
                        lock(&self.book).deaths += 1;
                        lock(&self.book).spent.insert(epoch);
                        lock(&self.book).tally.count("workers recycled with all that lived in them");
                    }
                    kept.station.order(Order::Recycle(why));
                    // Should it not go when it is asked to.
                    kept.worker.borrow_mut().condemned = true;
                    lock(&self.book).tally.count("workers recycled");
                    self.recycled.insert(epoch);
                }
            }
            Action::Open { cause, .. } => {
                lock(&self.book).tally.count("breakers that opened");
                lock(&self.book).opened += 1;
                if self.door == Door::Closed {
                    self.check_failure(&cause);
                }
                self.door = Door::Open;
                self.queue.shut(unavailable("p", &cause));
            }
            Action::HalfOpen => {
                assert_eq!(self.door, Door::Open, "only what is open is tried");
                self.door = Door::HalfOpen;
                self.tried = None;
                self.queue.half_open();
            }
            Action::Admit { round } => {
                assert_eq!(
                    self.door,
                    Door::HalfOpen,
                    "a call is let through to try, and nothing is being tried"
                );
                lock(&self.book).tally.count("calls let through a breaker");
                self.queue.admit_one(round, &self.notes);
            }
            Action::Close => {
                lock(&self.book).tally.count("breakers that closed");
                self.door = Door::Closed;
                self.uncharged.clear();
                self.queue.admit_all();
            }
            Action::Restarting { .. } => lock(&self.book).tally.count("replacements"),
            Action::Fail(cause) => {
                lock(&self.book).tally.count("pools that failed");
                self.check_failure(&cause);
                self.queue.close(&refusal("p", &cause), true);
                self.life.send_replace(Life::Failed(cause.clone()));
                self.failure = Some(cause);
                self.end_workers(now());
            }
            Action::StopWorkers { deadline } => {
                self.queue.close(&refusal("p", "it is shut down"), deadline <= now());
                self.end_workers(deadline);
            }
            Action::StopNursery => {
                let quiet = lock(&self.book).quiet();
                let stubborn = !quiet && self.dice.permille(self.plan.faults.stubborn);
                self.nursery_deadline = Some(now() + NURSERY_GRACE);
                match &mut self.nursery {
                    Some(nursery) if !nursery.dead => nursery.dead = !stubborn,
                    _ => self.end_nursery(),
                }
            }
            Action::Finished => self.finished = true,
        }
    }

    fn start(&mut self, slot: usize, epoch: Epoch) {
        assert!(self.failure.is_none() && self.ending.is_none(), "a worker is started after the end");
        match self.door {
            Door::Closed => {
                let recent = self.recent();
                let most = self.plan.budget.deaths;
                assert!(recent <= most, "a worker is started with the budget spent: {recent}");
            }
            Door::Open => panic!("a worker is started while the breaker is open"),
            Door::HalfOpen => {
                let last = self.tried.replace(epoch);
                let there =
                    last.is_some_and(|last| self.births.contains_key(&last) || self.kept.contains_key(&last));
                assert!(!there, "worker {epoch} is started to try, and so was {last:?}");
            }
        }
        self.starts += 1;
        let early = if self.plan.limits.any() { self.plan.size + 1 } else { 0 };
        let most = self.nurseries * self.plan.size + self.deaths + early;
        assert!(self.starts <= most, "{} workers were started where {most} were owed", self.starts);
        let quiet = lock(&self.book).quiet();
        let fails = !quiet && self.dice.permille(self.plan.faults.start);
        let forgotten = fails && self.dice.permille(200);
        let at = (!forgotten).then(|| now() + self.dice.millis(0, 3));
        self.births.insert(epoch, Birth { slot, at, fails });
    }
}
