//! What other threads may touch of a worker: its inbox, the calls it holds, and the tokens of those ahead.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::held::Held;
use super::job::{Job, WorkerName};
use super::memory::Memory;
use super::stats::WorkerUsage;
use super::supervisor::Epoch;
use super::worker::CallId;
use crate::context::SessionId;
use crate::error::{Death, Recycled, WorkerReport};
use crate::python::Gil;

/// Locks without caring whether another thread panicked: what is behind these locks is valid at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a thread that polls its descriptor.
#[derive(Debug)]
pub(super) struct Bell {
    fd: OwnedFd,
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> Result<Self, Errno> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd, rung: AtomicBool::new(false) })
    }

    /// Wakes the thread; a bell that already rings costs no system call.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // The counter cannot overflow: it is written once between two silences.
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }

    /// Whether it rang since the last silence, without a system call.
    pub(super) fn rang(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }

    /// Stops it. What was put down before the bell rang is visible afterwards.
    pub(super) fn silence(&self) {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.fd, &mut count);
        self.rung.store(false, Ordering::Release);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What others want of a keeper.
#[derive(Debug)]
pub(super) enum Order {
    /// Run this call: it came while the worker was idle.
    Job(Job),
    /// Run this call, which is meant for this worker alone, when there is time.
    Own(Job),
    /// The call ahead went to another worker.
    TakenBack(CallId),
    /// A view has answered.
    View { id: u64, answer: Result<Vec<u8>, (String, String)> },
    /// Send this frame, which nobody answers.
    Tell(Vec<u8>),
    /// Help to empty the queue, then stop.
    Drain { deadline: Instant },
    /// Take nothing new, finish what is for this worker alone, then stop: another one is in its place.
    Recycle(Recycled),
    /// Die now.
    Kill(Sentence),
    /// The nursery has reaped the worker; with the most bytes of memory that it ever occupied, if it said so.
    Died(Death, Option<u64>),
}

/// Why a worker has to die.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sentence {
    /// The pool ends.
    Shutdown,
    /// The process that forked it is gone, and would not hear of its death.
    Nursery,
    /// It was not ready in time; how long it had.
    Late(Duration),
    /// It answered with what cannot be read, and its call has failed of that already.
    Distrust,
}

/// Orders for a keeper, until it has gone.
#[derive(Debug, Default)]
struct Inbox {
    orders: Vec<Order>,
    closed: bool,
}

impl Inbox {
    /// Whether a call of the session was handed over.
    fn has(&self, session: &SessionId) -> bool {
        let of = |order: &Order| matches!(order, Order::Job(job) | Order::Own(job) if job.session() == Some(session));
        self.orders.iter().any(of)
    }
}

/// One worker as the rest of the pool sees it.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) worker: Arc<WorkerName>,
    /// Its place in the pool, which its replacement takes over.
    pub(super) slot: usize,
    pub(super) epoch: Epoch,
    pub(super) bell: Bell,
    pub(super) memory: Memory,
    /// How many calls it takes at once; 1 until it has said more.
    slots: AtomicUsize,
    /// Its calls are long, as far as is known: what is ahead is better done by another.
    slow: AtomicBool,
    /// What it has said of its interpreter; none before its hello.
    gil: Mutex<Option<Gil>>,
    /// Calls that it has completed; its keeper counts them.
    completed: AtomicU64,
    /// References to objects in it that somebody has, or may get.
    pins: AtomicUsize,
    /// The eventfd of `docs/PROTOCOL.md`: whoever reads it owns one of the calls ahead, the worker the first, others the last.
    pub(super) token: OwnedFd,
    /// Filled by whoever hands over a call (one while idle, one for each `call_each` and bind, which hold
    /// places of the bounded queue), by a reference that is dropped (of which a worker makes only so many), by a view's answer (at most as many as were asked) and by the supervisor.
    inbox: Mutex<Inbox>,
    /// The calls in the worker. Locked after the queue's state and before the inbox.
    pub(super) held: Mutex<Held>,
}

impl Station {
    pub(super) fn new(worker: WorkerName, slot: usize, epoch: Epoch, token: OwnedFd) -> Result<Self, Errno> {
        Ok(Self {
            memory: Memory::of(worker.pid),
            slots: AtomicUsize::new(1),
            slow: AtomicBool::new(true),
            gil: Mutex::default(),
            completed: AtomicU64::new(0),
            pins: AtomicUsize::new(0),
            worker: Arc::new(worker),
            slot,
            epoch,
            bell: Bell::new()?,
            token,
            inbox: Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// Leaves an order and wakes the keeper. A keeper that has gone needs none.
    pub(super) fn order(&self, order: Order) {
        let _ = self.leave(order, |order| order);
    }

    /// Hands over a call because the worker is idle; gives it back if the keeper has gone.
    pub(super) fn hand(&self, job: Job) -> Result<(), Job> {
        self.leave(job, Order::Job)
    }

    /// Hands over a call meant for this worker alone; gives it back if the keeper has gone.
    pub(super) fn hand_own(&self, mut job: Job) -> Result<(), Job> {
        job.pinned = true;
        self.leave(job, Order::Own)
    }

    fn leave<T>(&self, what: T, order: impl FnOnce(T) -> Order) -> Result<(), T> {
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return Err(what);
        }
        inbox.orders.push(order(what));
        drop(inbox);
        self.bell.ring();
        Ok(())
    }

    /// Whether a call was handed over that the keeper has not taken yet.
    pub(super) fn was_handed(&self) -> bool {
        lock(&self.inbox).orders.iter().any(|order| matches!(order, Order::Job(_)))
    }

    /// Takes all orders into `orders`.
    pub(super) fn take_orders(&self, orders: &mut Vec<Order>) {
        orders.append(&mut lock(&self.inbox).orders);
    }

    /// Takes no more orders; what comes later goes back to who sends it.
    pub(super) fn close(&self) {
        lock(&self.inbox).closed = true;
    }

    /// Takes back the last call ahead, if the worker has not claimed it.
    ///
    /// The keeper is told before `held` is unlocked: whoever sees in `held` that the call is gone, finds the
    /// order, too.
    pub(super) fn take_back(&self) -> Option<Job> {
        self.take_ahead(|_| true)
    }

    /// Takes back the last call ahead for another worker; not one that is bound to this one.
    pub(super) fn yield_ahead(&self) -> Option<Job> {
        self.take_ahead(|job| job.route.slot().is_none())
    }

    /// Takes back the calls ahead for which nobody waits any more. Those behind them come along, and are to be put back.
    pub(super) fn sweep(&self) -> Vec<Job> {
        let mut wanted = Vec::new();
        while lock(&self.held).ahead().any(Job::abandoned) {
            match self.take_back() {
                Some(job) if job.abandoned() => {}
                Some(job) => wanted.push(job),
                None => break,
            }
        }
        wanted
    }

    fn take_ahead(&self, may: impl Fn(&Job) -> bool) -> Option<Job> {
        let mut held = lock(&self.held);
        if !held.ahead().next_back().is_some_and(may) || !self.win_token() {
            return None;
        }
        let job = held.take_ahead()?;
        self.order(Order::TakenBack(job.id));
        Some(job)
    }

    /// How many of the calls ahead its worker has not claimed, and never will: it is dead, or breaks the rules.
    pub(super) fn unclaimed(&self) -> usize {
        std::iter::repeat_with(|| self.win_token()).take_while(|won| *won).count()
    }

    /// Whether it has no call, and none was handed to it.
    pub(super) fn is_free(&self) -> bool {
        let handed = |order: &Order| matches!(order, Order::Job(_) | Order::Own(_));
        lock(&self.held).is_empty() && !lock(&self.inbox).orders.iter().any(handed)
    }

    /// Whether it would begin this call at once: it has a slot left, and no other call of the call's session.
    pub(super) fn has_room_for(&self, job: &Job) -> bool {
        let held = lock(&self.held);
        let inbox = lock(&self.inbox);
        let handed = inbox.orders.iter().filter(|order| matches!(order, Order::Job(_) | Order::Own(_)));
        held.len() + handed.count() < self.slots()
            && job.session().is_none_or(|session| !held.has(session) && !inbox.has(session))
    }

    /// Whether it may be given this call: of a session it runs one at a time.
    pub(super) fn may_take(&self, job: &Job) -> bool {
        match job.session() {
            Some(session) if self.slots() > 1 => {
                !lock(&self.held).has(session) && !lock(&self.inbox).has(session)
            }
            _ => true,
        }
    }

    /// How many calls it takes at once.
    pub(super) fn slots(&self) -> usize {
        self.slots.load(Ordering::Relaxed)
    }

    /// Whether what it has ahead is better done by another, if one is idle.
    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// Whether it has just answered a call, or is silent. For its keeper alone.
    pub(super) fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// It has said how many calls it takes at once, and why.
    pub(super) fn learn(&self, slots: usize, gil: Gil) {
        self.slots.store(slots, Ordering::Relaxed);
        *lock(&self.gil) = Some(gil);
    }

    /// What it has said of its interpreter.
    pub(super) fn gil(&self) -> Option<Gil> {
        lock(&self.gil).clone()
    }

    /// Counts a call that it has completed; returns how many it has. For its keeper alone.
    pub(super) fn count(&self) -> u64 {
        let completed = self.completed() + 1;
        self.completed.store(completed, Ordering::Relaxed);
        completed
    }

    /// Calls that it has completed.
    pub(super) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    /// Somebody has a reference to an object in it, or may get one.
    pub(super) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes back one [`pin`](Self::pin).
    pub(super) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }

    /// What errors say of it when nothing was found out.
    pub(super) fn report(&self, death: Option<Death>) -> WorkerReport {
        WorkerReport { death, ..WorkerReport::new(self.worker.name.clone(), self.worker.pid) }
    }

    /// What it takes, as far as is known without asking it.
    pub(super) fn usage(&self) -> WorkerUsage {
        let sample = self.memory.last();
        let running = lock(&self.held).begun();
        WorkerUsage {
            worker: self.worker.name.clone(),
            pid: self.worker.pid,
            age: self.memory.born().elapsed(),
            rss: sample.map(|sample| sample.rss),
            sampled: sample.map(|sample| sample.age),
            growth: self.memory.growth(),
            requests: self.completed(),
            slots: self.slots(),
            running,
            gil: self.gil(),
        }
    }

    /// Puts a token down for each of so many calls that are sent ahead.
    pub(super) fn put_tokens(&self, count: u64) {
        if count > 0 {
            let _ = rustix::io::write(&self.token, &count.to_ne_bytes());
        }
    }

    /// Whether a token lies there that nobody has taken.
    pub(super) fn token_is_down(&self) -> bool {
        let mut fds = [PollFd::new(&self.token, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn win_token(&self) -> bool {
        rustix::io::read(&self.token, &mut [0; 8]).is_ok()
    }
}
