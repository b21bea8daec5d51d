//! The pool's supervisor with a nursery that never was a process: what `supervisor::driver` does, on a fake clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;
use tokio::sync::watch;

use super::book::Shared;
use super::dice::Dice;
use super::kept::Kept;
use super::link::FakeLink;
use super::plan::Plan;
use super::worker::FakeWorker;
use crate::error::Death;
use crate::pool::clock::{later, now};
use crate::pool::graveyard::Graveyard;
use crate::pool::job::WorkerName;
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::{Order, Sentence, Station, lock};
use crate::pool::supervisor::machine::{Action, Event, Supervisor};
use crate::pool::supervisor::recycling::Seen;
use crate::pool::supervisor::{Cause, Epoch, Life, NURSERY_GRACE, Note, Notes, ending, refusal};
use crate::pool::worker::{Keeper, Parts};
use crate::wire;

mod act;

/// The process that forks workers.
#[derive(Debug)]
struct Nursery {
    up: bool,
    /// When it says that it is ready, fails or dies; never if it hangs.
    at: Option<Instant>,
    how: Boot,
    dead: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Boot {
    Ready,
    Fails,
    Dies,
}

/// A worker that was asked for.
#[derive(Debug)]
struct Birth {
    slot: usize,
    /// Never if the nursery forgets it.
    at: Option<Instant>,
    fails: bool,
}

/// Whether the breaker lets calls through, as the machine has said last.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Door {
    Closed,
    Open,
    HalfOpen,
}

pub(super) struct Overseer {
    plan: Plan,
    book: Shared,
    dice: Dice,
    machine: Supervisor,
    queue: Arc<Queue>,
    notes: Arc<Notes>,
    service: Arc<Service>,
    graveyard: Arc<Mutex<Graveyard>>,
    bound: Arc<Mutex<Vec<String>>>,
    life: watch::Sender<Life>,
    nursery: Option<Nursery>,
    births: BTreeMap<Epoch, Birth>,
    pub(super) kept: BTreeMap<Epoch, Kept>,
    nursery_deadline: Option<Instant>,
    ending: Option<Instant>,
    failure: Option<String>,
    door: Door,
    /// The last worker that was started to try whether the pool works again, until it is ready.
    tried: Option<Epoch>,
    /// Calls that workers had completed that are gone.
    completed: u64,
    finished: bool,
    pub(super) ended: bool,
    /// Deaths that nothing was charged with, as they were reported.
    uncharged: Vec<Instant>,
    /// Replaced before their time, and asked to go.
    pub(super) recycled: BTreeSet<Epoch>,
    starts: usize,
    nurseries: usize,
    deaths: usize,
}

impl Overseer {
    #[allow(clippy::too_many_arguments, reason = "called once, by the world that makes all of these")]
    pub(super) fn new(
        plan: &Plan,
        book: &Shared,
        dice: Dice,
        queue: &Arc<Queue>,
        notes: &Arc<Notes>,
        service: &Arc<Service>,
        graveyard: &Arc<Mutex<Graveyard>>,
        bound: &Arc<Mutex<Vec<String>>>,
        life: watch::Sender<Life>,
    ) -> Self {
        let mut overseer = Self {
            machine: Supervisor::new(&plan.supervised(), now()),
            plan: plan.clone(),
            book: book.clone(),
            dice,
            queue: queue.clone(),
            notes: notes.clone(),
            service: service.clone(),
            graveyard: graveyard.clone(),
            bound: bound.clone(),
            life,
            nursery: None,
            births: BTreeMap::new(),
            kept: BTreeMap::new(),
            nursery_deadline: None,
            ending: None,
            failure: None,
            door: Door::Closed,
            tried: None,
            completed: 0,
            finished: false,
            ended: false,
            uncharged: Vec::new(),
            recycled: BTreeSet::new(),
            starts: 0,
            nurseries: 0,
            deaths: 0,
        };
        overseer.act(Action::StartNursery);
        overseer
    }

    /// When it is woken, should no note come before.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.finished {
            return None;
        }
        let nursery =
            self.nursery.as_ref().and_then(|nursery| if nursery.dead { Some(now()) } else { nursery.at });
        let births = self.births.values().filter_map(|birth| birth.at).min();
        let births =
            births.filter(|_| self.nursery.as_ref().is_some_and(|nursery| nursery.up && !nursery.dead));
        let exits = self.kept.values().filter_map(|kept| kept.exit).min();
        let timers =
            [self.machine.timer(), self.nursery_deadline, self.starting_until(), nursery, births, exits];
        timers.into_iter().flatten().min()
    }

    pub(super) fn stirs(&self) -> bool {
        if self.ended {
            return false;
        }
        if self.finished {
            return self.kept.values().all(|kept| kept.keeper.is_none());
        }
        self.notes.bell.rang() || self.due().is_some_and(|at| at <= now())
    }

    /// What its thread does between two sleeps.
    pub(super) fn step(&mut self) {
        if self.finished {
            // Every keeper has ended.
            self.ended = true;
            self.life.send_replace(Life::Ended(self.failure.clone()));
            return;
        }
        self.hear();
        for note in self.notes.take() {
            self.heed(note);
        }
        if self.plan.limits.any() {
            let epochs: Vec<Epoch> = self.kept.keys().copied().collect();
            epochs.into_iter().for_each(|epoch| self.look_at(epoch));
        }
        let now = now();
        if self.machine.timer().is_some_and(|at| at <= now) {
            self.on(Event::Tick);
        }
        if self.nursery_deadline.is_some_and(|at| at <= now) {
            self.end_nursery();
        }
        if self.starting_until().is_some_and(|at| at <= now) {
            self.lose_nursery();
        }
        if self.finished {
            let cause = self.failure.clone().unwrap_or_else(|| "it was shut down".to_owned());
            self.queue.close(&refusal("p", &cause), true);
        }
    }

    /// Has the nursery die, if it lives.
    pub(super) fn kill_nursery(&mut self) {
        if let Some(nursery) = &mut self.nursery {
            lock(&self.book).say(|| "the nursery is killed");
            lock(&self.book).tally.count("nurseries that died");
            nursery.dead = true;
        }
    }

    /// A worker has died, and its nursery will say so.
    pub(super) fn reap(&mut self, epoch: Epoch) {
        let lives = self.nursery.as_ref().is_some_and(|nursery| !nursery.dead);
        let after = self.dice.millis(0, 4);
        if let Some(kept) = self.kept.get_mut(&epoch).filter(|kept| kept.nursed && lives) {
            kept.nursed = false;
            kept.exit = Some(now() + after);
        }
    }

    /// Processes that are there, and were not sent the signal that cannot be ignored.
    pub(super) fn living(&self) -> usize {
        let lives = |kept: &&Kept| {
            let worker = kept.worker.borrow();
            worker.dead.is_none() && !worker.killed
        };
        self.kept.values().filter(lives).count()
    }

    fn hear(&mut self) {
        let now = now();
        let Some(nursery) = &mut self.nursery else { return };
        if nursery.dead {
            return self.lose_nursery();
        }
        if nursery.at.is_some_and(|at| at <= now) {
            nursery.at = None;
            match nursery.how {
                Boot::Ready => {
                    nursery.up = true;
                    self.on(Event::NurseryReady);
                }
                Boot::Fails => self.on(Event::NurseryFailed("it cannot preload".to_owned())),
                Boot::Dies => {
                    nursery.dead = true;
                    return self.lose_nursery();
                }
            }
        }
        let due: Vec<Epoch> = self
            .births
            .iter()
            .filter(|(_, birth)| birth.at.is_some_and(|at| at <= now))
            .map(|(epoch, _)| *epoch)
            .collect();
        for epoch in due {
            let Some(birth) = self.births.remove(&epoch) else { continue };
            match birth.fails {
                true => self.gone(epoch, Cause::Nobody, "could not be started".to_owned()),
                false => self.keep(epoch, birth.slot),
            }
        }
        for kept in self.kept.values_mut().filter(|kept| kept.exit.is_some_and(|at| at <= now)) {
            kept.exit = None;
            kept.reaped = true;
            let death = kept.worker.borrow().dead.unwrap_or(Death::Unknown);
            kept.station.order(Order::Died(death, None));
        }
    }

    fn keep(&mut self, epoch: Epoch, slot: usize) {
        let token = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE);
        let name = WorkerName { name: format!("p/{slot}#{epoch}"), pid: epoch as u32 };
        let station = Station::new(name, slot, epoch, token.expect("an eventfd"));
        let station = Arc::new(station.expect("a bell"));
        let bound = lock(&self.bound).clone();
        let binds = bound.iter().enumerate();
        let binds = binds
            .filter_map(|(number, function)| wire::bind(number as u64 + 1, function, 1 << 20).ok())
            .collect();
        let (faults, short) = (self.plan.faults, self.plan.short);
        let (slots, in_order) = (self.plan.slots, self.plan.in_order);
        let worker = FakeWorker::new(&station, &self.book, self.dice.split(), faults, short, slots, in_order);
        let worker = Rc::new(RefCell::new(worker));
        let keeper = Keeper::new(Parts {
            station: station.clone(),
            link: FakeLink::new(&worker),
            queue: self.queue.clone(),
            notes: self.notes.clone(),
            service: self.service.clone(),
            graveyard: self.graveyard.clone(),
            max_frame: 1 << 20,
            max_requests: self.plan.limits.max_requests,
            most_slots: self.plan.slots,
            in_order: self.plan.in_order,
            cancels: false,
            binds,
        });
        if let Some(deadline) = self.ending {
            worker.borrow_mut().condemned = true;
            station.order(ending(deadline));
        }
        lock(&self.book).say(|| format!("worker {epoch} is started in slot {slot}"));
        lock(&self.book).tally.count("workers");
        let kept = Kept {
            station,
            worker,
            keeper: Some(keeper),
            retired: None,
            awake: true,
            nursed: true,
            reaped: false,
            exit: None,
        };
        self.kept.insert(epoch, kept);
        let living = self.living();
        // In each slot one may wait, when it was replaced, for a session that came at the last moment.
        let most = if self.plan.limits.any() { 2 * self.plan.size + 1 } else { self.plan.size };
        assert!(living <= most, "{living} workers live, in a pool of {}", self.plan.size);
    }

    fn recent(&self) -> usize {
        let period = self.plan.budget.period;
        self.uncharged.iter().filter(|at| now().saturating_duration_since(**at) <= period).count()
    }

    fn check_failure(&self, cause: &str) {
        let spent = cause.contains("budget");
        assert_eq!(spent, self.recent() > self.plan.budget.deaths, "{cause}: {} deaths", self.recent());
    }

    fn end_workers(&mut self, deadline: Instant) {
        self.ending = Some(deadline);
        lock(&self.book).ending = true;
        for kept in self.kept.values() {
            kept.worker.borrow_mut().condemned = true;
            kept.station.order(ending(deadline));
        }
    }

    fn starting_until(&self) -> Option<Instant> {
        self.ending.filter(|_| !self.births.is_empty()).map(|ending| later(ending, NURSERY_GRACE))
    }

    fn heed(&mut self, note: Note) {
        match note {
            Note::Ready(epoch) => {
                lock(&self.book).say(|| format!("worker {epoch} is ready"));
                self.tried = self.tried.filter(|tried| *tried != epoch);
                self.on(Event::Ready(epoch));
            }
            Note::Gone { epoch, cause, reason } => {
                if let Some(kept) = self.kept.remove(&epoch) {
                    self.completed += kept.station.completed();
                    self.check_charge(&kept, cause != Cause::Nobody);
                }
                self.gone(epoch, cause, reason);
            }
            Note::Spent(epoch) => self.look_at(epoch),
            Note::Probed { round, completed } => self.on(Event::Probed { round, completed }),
            Note::Shutdown { deadline } => self.on(Event::Shutdown { deadline }),
        }
    }

    /// Tells the machine how far a worker's life has gone.
    fn look_at(&mut self, epoch: Epoch) {
        if let Some(kept) = self.kept.get(&epoch) {
            let (requests, pinned) = (kept.station.completed(), self.queue.is_pinned(&kept.station));
            self.on(Event::Seen { epoch, seen: Seen { requests, growth: requests, pinned } });
        }
    }

    fn gone(&mut self, epoch: Epoch, cause: Cause, reason: String) {
        let charged = cause != Cause::Nobody;
        self.deaths += 1;
        lock(&self.book).tally.count(if charged {
            "deaths that cost no budget"
        } else {
            "deaths that cost budget"
        });
        if !charged && self.machine.knows(epoch) && self.door == Door::Closed {
            self.uncharged.push(now());
        }
        let living: u64 = self.kept.values().map(|kept| kept.station.completed()).sum();
        self.on(Event::Gone { epoch, cause, completed: self.completed + living, reason });
    }

    /// A death is charged if a call ran when it came, or it was asked for.
    fn check_charge(&self, kept: &Kept, charged: bool) {
        let worker = kept.worker.borrow();
        assert!(worker.dead.is_some() || worker.immortal, "worker {} was given up alive", worker.epoch);
        let book = lock(&self.book);
        let running = worker.lanes.iter().filter_map(|lane| lane.running);
        let ran = running.into_iter().any(|(call, _)| book.is_running(call));
        let epoch = worker.epoch;
        if ran && !worker.provoked && !worker.broke {
            assert!(charged, "worker {epoch} died of a call, and its death is charged to nothing");
        }
        // At the end of the pool every worker is excused, and one that is recycled before.
        let asked = self.ending.is_some() || self.recycled.contains(&epoch);
        if charged && !worker.provoked && !worker.broke && !asked {
            let suspect = worker.suspects().any(|call| book.is_suspect(call));
            assert!(ran || suspect, "worker {epoch} died idle, and its death is charged to a call");
        }
    }

    fn lose_nursery(&mut self) {
        let Some(_) = self.nursery.take() else { return };
        self.nursery_deadline = None;
        self.births.clear();
        for kept in self.kept.values_mut().filter(|kept| !kept.reaped) {
            kept.nursed = false;
            kept.exit = None;
            kept.worker.borrow_mut().condemned = true;
            kept.worker.borrow_mut().signal(Signal::KILL);
            kept.station.order(Order::Kill(Sentence::Nursery));
            kept.station.order(Order::Died(Death::Unknown, None));
        }
        if self.machine.is_running() && self.door == Door::Closed {
            self.uncharged.push(now());
        }
        self.on(Event::NurseryGone("was killed by SIGKILL (signal 9)".to_owned()));
    }

    fn end_nursery(&mut self) {
        self.nursery_deadline = None;
        self.nursery = None;
        self.on(Event::NurseryEnded);
    }
}
