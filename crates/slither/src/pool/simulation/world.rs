//! One simulated pool: what can happen next, in which order chance has it happen, and what must hold meanwhile.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use super::book::{Book, Shared};
use super::dice::Dice;
use super::kept::Kept;
use super::overseer::Overseer;
use super::plan::{Ending, Plan, QUIET};
use super::visits::Handle;
use super::{objects, runs, visits};
use crate::error::Death;
use crate::pool::clock::now;
use crate::pool::graveyard::Graveyard;
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::lock;
use crate::pool::supervisor::{Epoch, Life, Note, Notes};
use crate::pool::worker::{Keeper, Want};
use crate::pool::{Affinity, RunningPool, Via};
use crate::store::Views;

/// What happens in a simulated pool is less than this, unless somebody runs in circles.
const MOST_STEPS: usize = 60_000;
/// After the last fault everything has ended by then.
const LIVENESS: Duration = Duration::from_secs(20);
/// What may be left at the deadline of a shutdown is gone by then: a process that no signal ends is given up
/// after 5 s, its nursery after 2 s, and how it ended is waited for 2 s.
const LAST: Duration = Duration::from_secs(10);

/// Says that a caller is to be polled.
struct Flag {
    up: AtomicBool,
    woken: Arc<Notify>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.up.store(true, Ordering::Relaxed);
        self.woken.notify_one();
    }
}

/// Somebody who uses the pool.
struct Caller {
    name: &'static str,
    work: Option<Pin<Box<dyn Future<Output = ()>>>>,
    flag: Arc<Flag>,
    dropped: Option<Instant>,
}

/// What can happen now.
#[derive(Debug, Clone, Copy)]
enum Ready {
    Keeper(Epoch),
    Worker(Epoch),
    Supervisor,
    Caller(usize),
    Drop(usize),
    KillWorker,
    KillNursery,
    Shutdown,
}

pub(super) struct World {
    plan: Plan,
    pub(super) book: Shared,
    dice: Dice,
    pool: Option<Arc<RunningPool>>,
    queue: Arc<Queue>,
    notes: Arc<Notes>,
    overseer: Overseer,
    callers: Vec<Caller>,
    woken: Arc<Notify>,
    began: Instant,
    kills: Vec<Instant>,
    nursery_kills: Vec<Instant>,
    shutdown: Option<Instant>,
    deadline: Option<Instant>,
    steps: Cell<usize>,
}

impl World {
    pub(super) fn new(seed: u64, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(&mut dice);
        let mut book = Book::new(traced);
        book.say(|| format!("{plan:?}"));
        let began = book.began();
        let book: Shared = Arc::new(Mutex::new(book));
        let queue = Arc::new(Queue::new(plan.queue, plan.size, 8));
        let notes = Arc::new(Notes::new().expect("a bell"));
        let handle = tokio::runtime::Handle::current();
        let service = Arc::new(Service::new("p".into(), Views::default(), handle));
        let graveyard = Arc::new(Mutex::new(Graveyard::default()));
        let bound = if plan.bound { vec!["m:f".to_owned()] } else { Vec::new() };
        let bound = Arc::new(Mutex::new(bound));
        let (sender, life) = watch::channel(Life::Starting);
        let overseer =
            Overseer::new(&plan, &book, dice.split(), &queue, &notes, &service, &graveyard, &bound, sender);
        let pool =
            RunningPool::around(plan.size, queue.clone(), notes.clone(), service, bound, graveyard, life);
        let after = |times: &[Duration]| times.iter().map(|after| began + *after).collect();
        let mut world = Self {
            kills: after(&plan.worker_dies),
            nursery_kills: after(&plan.nursery_dies),
            shutdown: plan.shutdown.map(|after| began + after),
            plan,
            book,
            dice,
            pool: Some(pool),
            queue,
            notes,
            overseer,
            callers: Vec::new(),
            woken: Arc::new(Notify::new()),
            began,
            deadline: None,
            steps: Cell::new(0),
        };
        world.send_callers();
        world
    }

    fn send_callers(&mut self) {
        let Some(pool) = self.pool.clone() else { return };
        for (number, run) in self.plan.runs.clone().into_iter().enumerate() {
            let dropped = match run.ending {
                Ending::Drop(after) => Some(after),
                _ => None,
            };
            let (pool, book, dice) = (pool.clone(), self.book.clone(), self.dice.split());
            self.call("run", dropped, async move {
                let number = number as u64 + 1;
                if !run.in_session {
                    return runs::dispatch(pool, Via::Any, run, number, book, dice).await;
                }
                if let Some(handle) = Handle::open(&pool, Affinity::StrictQueue, None, &book).await {
                    let via = Via::Session(handle.inner.clone());
                    runs::dispatch(pool, via, run, number, book, dice).await;
                }
            });
        }
        for session in self.plan.sessions.clone() {
            let dropped = session.dropped;
            let work = visits::visit(pool.clone(), session, self.book.clone(), self.dice.split());
            self.call("session", dropped, work);
        }
        if self.plan.knocks > 0 {
            let work = visits::knock(pool.clone(), self.plan.knocks, self.book.clone(), self.dice.split());
            self.call("knock", None, work);
        }
        if self.plan.objects > 0 {
            let work = objects::hold(pool.clone(), self.plan.objects, self.book.clone(), self.dice.split());
            self.call("holder", None, work);
        }
        for _ in 0..self.plan.rounds {
            let work = visits::round(pool.clone(), self.book.clone(), self.dice.split());
            self.call("round", None, work);
        }
    }

    fn call(
        &mut self,
        name: &'static str,
        dropped: Option<Duration>,
        work: impl Future<Output = ()> + 'static,
    ) {
        let flag = Arc::new(Flag { up: AtomicBool::new(true), woken: self.woken.clone() });
        let dropped = dropped.map(|after| self.began + after);
        self.callers.push(Caller { name, work: Some(Box::pin(work)), flag, dropped });
    }

    /// Plays the schedule to its end.
    pub(super) async fn play(&mut self) {
        let mut ready = Vec::new();
        while !self.overseer.ended || self.callers.iter().any(|caller| caller.work.is_some()) {
            ready.clear();
            self.gather(&mut ready);
            if ready.is_empty() {
                self.check_at_rest();
                self.wait().await;
                continue;
            }
            let next = *self.dice.pick(&ready);
            self.perform(next);
            self.steps.set(self.steps.get() + 1);
            assert!(self.steps.get() < MOST_STEPS, "it runs in circles");
            let violation = lock(&self.book).violation.take();
            assert!(violation.is_none(), "{}", violation.unwrap_or_default());
        }
        self.check_end();
    }

    fn gather(&self, ready: &mut Vec<Ready>) {
        let now = now();
        for (epoch, kept) in &self.overseer.kept {
            if kept.stirs() {
                ready.push(Ready::Keeper(*epoch));
            }
            if kept.worker.borrow().due().is_some_and(|at| at <= now) {
                ready.push(Ready::Worker(*epoch));
            }
        }
        if self.overseer.stirs() {
            ready.push(Ready::Supervisor);
        }
        for (at, caller) in self.callers.iter().enumerate().filter(|(_, caller)| caller.work.is_some()) {
            if caller.flag.up.load(Ordering::Relaxed) {
                ready.push(Ready::Caller(at));
            }
            if caller.dropped.is_some_and(|at| at <= now) {
                ready.push(Ready::Drop(at));
            }
        }
        if self.kills.iter().any(|at| *at <= now) {
            ready.push(Ready::KillWorker);
        }
        if self.nursery_kills.iter().any(|at| *at <= now) {
            ready.push(Ready::KillNursery);
        }
        let idle = self.callers.iter().all(|caller| caller.work.is_none());
        if self.shutdown.is_some_and(|at| at <= now) || (idle && self.deadline.is_none()) {
            ready.push(Ready::Shutdown);
        }
    }

    fn perform(&mut self, next: Ready) {
        lock(&self.book).mix(match next {
            Ready::Keeper(epoch) => epoch << 4,
            Ready::Worker(epoch) => epoch << 4 | 1,
            Ready::Supervisor => 2,
            Ready::Caller(at) => (at as u64) << 4 | 3,
            Ready::Drop(at) => (at as u64) << 4 | 4,
            Ready::KillWorker => 5,
            Ready::KillNursery => 6,
            Ready::Shutdown => 7,
        });
        match next {
            Ready::Keeper(epoch) => {
                if let Some(kept) = self.overseer.kept.get_mut(&epoch) {
                    kept.step(&self.book);
                }
            }
            Ready::Worker(epoch) => self.step_worker(epoch, |worker| worker.step()),
            Ready::Supervisor => self.overseer.step(),
            Ready::Caller(at) => self.poll(at),
            Ready::Drop(at) => {
                let caller = &mut self.callers[at];
                lock(&self.book).say(|| format!("{} {at} is dropped", caller.name));
                lock(&self.book).tally.count("callers dropped");
                caller.work = None;
            }
            Ready::KillWorker => {
                let now = now();
                self.kills.retain(|at| *at > now);
                let living: Vec<Epoch> = self.overseer.kept.keys().copied().collect();
                if !living.is_empty() {
                    let epoch = *self.dice.pick(&living);
                    self.step_worker(epoch, |worker| worker.die(Death::Signal(9)));
                }
            }
            Ready::KillNursery => {
                let now = now();
                self.nursery_kills.retain(|at| *at > now);
                self.overseer.kill_nursery();
            }
            Ready::Shutdown => self.shut_down(),
        }
    }

    fn step_worker(&mut self, epoch: Epoch, step: impl FnOnce(&mut super::worker::FakeWorker)) {
        let Some(kept) = self.overseer.kept.get(&epoch) else { return };
        let died = {
            let mut worker = kept.worker.borrow_mut();
            let lived = worker.dead.is_none();
            step(&mut worker);
            lived && worker.dead.is_some()
        };
        if died {
            self.overseer.reap(epoch);
        }
    }

    fn poll(&mut self, at: usize) {
        let caller = &mut self.callers[at];
        caller.flag.up.store(false, Ordering::Relaxed);
        let waker = Waker::from(caller.flag.clone());
        let done = caller
            .work
            .as_mut()
            .is_some_and(|work| matches!(work.as_mut().poll(&mut Task::from_waker(&waker)), Poll::Ready(())));
        if done {
            lock(&self.book).say(|| format!("{} {at} has ended", caller.name));
            caller.work = None;
        }
    }

    /// The first is to finish what was begun; a second one may cut it short.
    fn shut_down(&mut self) {
        let again = self.deadline.is_some();
        let grace = if again || self.dice.permille(250) { Duration::ZERO } else { self.plan.grace };
        let deadline = now() + grace;
        lock(&self.book).say(|| format!("the pool is shut down within {grace:?}"));
        lock(&self.book).tally.count(if again { "shutdowns cut short" } else { "shutdowns" });
        self.notes.leave(Note::Shutdown { deadline });
        let earlier = self.deadline.map_or(deadline, |before| before.min(deadline));
        self.deadline = Some(earlier);
        let cut = !again && !grace.is_zero() && self.dice.permille(300);
        self.shutdown = cut.then(|| now() + self.dice.millis(0, 100));
    }

    /// Sleeps until something is due, or somebody is woken.
    async fn wait(&mut self) {
        let keepers = self.overseer.kept.values().filter_map(|kept| kept.due());
        let workers = self.overseer.kept.values().filter_map(|kept| kept.worker.borrow().due());
        let drops =
            self.callers.iter().filter(|caller| caller.work.is_some()).filter_map(|caller| caller.dropped);
        let others = self.kills.iter().chain(&self.nursery_kills).chain(&self.shutdown).copied();
        let due = keepers.chain(workers).chain(drops).chain(others).chain(self.overseer.due()).min();
        let limit = self.limit();
        assert!(now() < limit, "it has not ended {:?} after the last fault: {}", LIVENESS, self.state());
        // Should nothing be due, time comes to this limit at once.
        let due = due.unwrap_or(limit).min(limit);
        tokio::select! {
            biased;
            () = self.woken.notified() => {}
            () = sleep_until(due.into()) => {}
        }
    }

    fn limit(&self) -> Instant {
        let liveness = self.began + QUIET + LIVENESS;
        // Behind the end of the pool its callers have still to hear of it.
        self.deadline.filter(|_| !self.overseer.ended).map_or(liveness, |deadline| deadline + LAST)
    }

    fn state(&self) -> String {
        let callers: Vec<&str> =
            self.callers.iter().filter(|caller| caller.work.is_some()).map(|caller| caller.name).collect();
        let kept: Vec<&Epoch> = self.overseer.kept.keys().collect();
        format!("{} calls wait, callers {callers:?}, workers {kept:?}", self.queue.depth())
    }

    /// When nothing can happen but by the passing of time, nobody idles beside work that he may do.
    fn check_at_rest(&self) {
        assert!(!self.queue.holds_abandoned(), "a call waits that nobody wants any more");
        let idle = |kept: &&Kept| {
            kept.retired.is_none() && kept.keeper.as_ref().is_some_and(|keeper| keeper.wants() == Want::Call)
        };
        for kept in self.overseer.kept.values().filter(idle) {
            let epoch = kept.station.epoch;
            assert!(!self.queue.waits_for(&kept.station), "worker {epoch} idles, and a call waits for it");
            if kept.worker.borrow().is_free_of_work() && lock(&self.book).handles_in(epoch) == 0 {
                let empty = kept.worker.borrow().shelf.is_empty();
                assert!(empty, "worker {epoch} keeps objects that nobody has a handle to");
            }
            if self.overseer.recycled.contains(&epoch) {
                // It takes nothing but what is for it alone, and waits for the session that lives in it.
                let busy = !lock(&kept.station.held).is_empty();
                assert!(
                    busy || self.queue.is_pinned(&kept.station),
                    "worker {epoch} was replaced, and does not go"
                );
                continue;
            }
            for other in self.overseer.kept.values().filter(|other| other.retired.is_none()) {
                let held = lock(&other.station.held);
                let stealable = held.ahead().any(|job| job.route.slot().is_none() && !job.pinned)
                    && other.worker.borrow().dead.is_none()
                    && other.station.token_is_down();
                // One that has just answered keeps it for a moment, and then gives it away.
                let due = other.keeper.as_ref().and_then(Keeper::due);
                let gives =
                    !other.station.is_slow() && due.is_some_and(|at| at <= now() + Duration::from_millis(1));
                assert!(
                    !stealable || gives,
                    "worker {epoch} idles, and a call waits behind another in worker {}",
                    other.station.epoch
                );
            }
        }
    }

    fn check_end(&mut self) {
        self.pool = None;
        assert_eq!(self.queue.depth(), 0, "calls are left in the queue");
        assert_eq!(self.queue.free_places(), self.plan.queue, "places of the queue are lost");
        assert_eq!(lock(&self.queue.sessions).len(), 0, "sessions are left");
        assert_eq!(self.overseer.living(), 0, "workers are left");
    }
}
