//! A call on its way to a worker, and what comes back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::clock::now;
use super::progress::Progress;
use super::refs::Unread;
use super::running::RunningPool;
use super::sessions::Sessions;
use super::station::{Order, Sentence, Station, lock};
use super::supervisor::{Epoch, Note, Notes};
use super::worker::CallId;
use crate::context::{Context, SessionId};
use crate::error::{ErrorKind, ItemError, WorkerReport};
use crate::wire::{self, Kind};

/// How often a call that never began is put back before its workers' deaths are blamed on it.
pub(super) const MAX_REQUEUES: u8 = 3;

/// The answer to a call, still encoded.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) body: Bytes,
    /// The worker that answered.
    pub(super) from: Arc<Station>,
    /// The references in it, until it is known which of them are kept.
    pub(super) refs: Mutex<Option<Unread>>,
    pub(super) pool: Weak<RunningPool>,
}

impl Reply {
    /// The answer is not as the protocol says: has the worker killed, and returns the error of the call.
    pub(crate) fn broken(&self, reason: impl std::fmt::Display) -> ItemError {
        self.from.order(Order::Kill(Sentence::Distrust));
        let message = format!("the worker broke the protocol and is killed: {reason}");
        ItemError::new(ErrorKind::Protocol, message).with_worker(self.worker())
    }

    /// The worker that answered.
    pub(super) fn station(&self) -> &Arc<Station> {
        &self.from
    }

    /// What an error of this answer says of its worker, which lives.
    pub(crate) fn worker(&self) -> WorkerReport {
        self.from.report(None)
    }
}

/// Names a worker in messages: pool, slot and epoch, as `default/0#3`; and its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerName {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

/// Who may run a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Any worker.
    Any,
    /// The worker in this slot if it is idle, else any.
    Near(usize),
    /// The worker in this slot, or the one that replaces it.
    Slot(usize),
    /// This worker, and none that replaces it.
    Worker { slot: usize, epoch: Epoch },
}

impl Route {
    /// The slot that the call is bound to.
    pub(super) fn slot(self) -> Option<usize> {
        match self {
            Self::Any | Self::Near(_) => None,
            Self::Slot(slot) | Self::Worker { slot, .. } => Some(slot),
        }
    }
}

/// What a call is to its session: while it exists the session is not idle.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) session: SessionId,
    pub(super) sessions: Arc<Mutex<Sessions>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.sessions).done(&self.session, now());
    }
}

/// The call that an open breaker has let through: whoever tries the pool hears of its end.
#[derive(Debug)]
pub(super) struct Probe {
    round: u64,
    notes: Arc<Notes>,
    completed: bool,
}

impl Probe {
    pub(super) fn new(round: u64, notes: Arc<Notes>) -> Self {
        Self { round, notes, completed: false }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.notes.leave(Note::Probed { round: self.round, completed: self.completed });
    }
}

/// What only some calls have.
#[derive(Debug, Default)]
struct Rare {
    lease: Option<Lease>,
    portions: Option<Portions>,
    progress: Option<Progress>,
    probe: Option<Probe>,
}

/// A call, encoded, with whoever waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: CallId,
    /// The whole frame, kept until it is answered: a call that never began goes to another worker.
    pub(crate) frame: Vec<u8>,
    pub(crate) timeout: Duration,
    /// What views see when the call asks for one.
    pub(crate) context: Arc<Context>,
    pub(crate) requeues: u8,
    pub(super) route: Route,
    /// Handed to one worker past the queue: it fails with that worker and goes to no other.
    pub(crate) pinned: bool,
    /// To be run whether anybody waits for the answer or not.
    duty: bool,
    /// It is run again to find a culprit: its failure says little of the pool.
    pub(super) suspect: bool,
    /// Nobody waits for it any more, and its worker has been told so.
    pub(super) told_to_end: bool,
    /// Boxed, as few calls have any of it: a job is moved from hand to hand.
    rare: Option<Box<Rare>>,
    waiter: oneshot::Sender<Result<Reply, ItemError>>,
    /// The call's place in the bounded queue, free again before its answer is there.
    place: Option<OwnedSemaphorePermit>,
}

/// Takes what a call yields before its answer: runs of results, no more together than the call may still yield.
#[derive(Debug)]
pub(crate) struct Portions {
    sender: mpsc::Sender<Reply>,
    left: Arc<AtomicUsize>,
    begun: bool,
    stream: bool,
}

impl Portions {
    /// For a call of so many items, at least one. It holds a run for each of them at most.
    pub(crate) fn new(items: usize) -> (Self, mpsc::Receiver<Reply>) {
        let (sender, receiver) = mpsc::channel(items.max(1));
        (Self { sender, left: Arc::new(AtomicUsize::new(items)), begun: false, stream: false }, receiver)
    }

    /// For a call that may yield for ever; and the room that there is for values, which whoever takes some makes more
    /// of. As many runs are held as there are values that are not taken.
    pub(super) fn stream() -> (Self, mpsc::Receiver<Reply>, Arc<AtomicUsize>) {
        let (portions, receiver) = Self::new(wire::AHEAD_VALUES);
        let room = portions.left.clone();
        (Self { stream: true, ..portions }, receiver, room)
    }

    fn take(&mut self, portion: Reply) -> Result<(), String> {
        let count = wire::claimed(&portion.body, portion.flags)?;
        let left = self.left.load(Ordering::Acquire);
        if count == 0 || count > left {
            return Err(format!("it holds {count} results, and {left} are still open"));
        }
        self.begun = true;
        self.left.fetch_sub(count, Ordering::AcqRel);
        // Each run takes one of the items at least, so there is room; nobody may be there to take it.
        let _ = self.sender.try_send(portion);
        Ok(())
    }
}

/// Where the answer to a job arrives.
pub(crate) type Waiting = oneshot::Receiver<Result<Reply, ItemError>>;

impl Job {
    pub(crate) fn new(
        id: CallId,
        frame: Vec<u8>,
        timeout: Duration,
        context: Arc<Context>,
        place: Option<OwnedSemaphorePermit>,
    ) -> (Self, Waiting) {
        let (waiter, waiting) = oneshot::channel();
        let job = Self {
            id,
            frame,
            timeout,
            context,
            requeues: 0,
            route: Route::Any,
            pinned: false,
            duty: false,
            suspect: false,
            told_to_end: false,
            rare: None,
            waiter,
            place,
        };
        (job, waiting)
    }

    /// Says who may run it, and for which session.
    pub(super) fn bound(mut self, route: Route, lease: Option<Lease>) -> Self {
        self.route = route;
        if lease.is_some() {
            self.rare().lease = lease;
        }
        self
    }

    /// Has it run also when nobody waits for its answer.
    pub(super) fn on_duty(mut self) -> Self {
        self.duty = true;
        self
    }

    pub(super) fn is_duty(&self) -> bool {
        self.duty
    }

    /// Whether it runs a function, for which a caller waits.
    pub(super) fn is_call(&self) -> bool {
        wire::is_call(&self.frame)
    }

    /// Whether it may be sent to a worker that is to claim it before it begins.
    pub(super) fn may_be_ahead(&self) -> bool {
        wire::may_be_claimed(&self.frame)
    }

    /// Has it show whether the pool works again.
    pub(super) fn probe(&mut self, probe: Probe) {
        self.rare().probe = Some(probe);
    }

    pub(super) fn is_probe(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.probe.is_some())
    }

    /// Says that it is run again to find a culprit.
    pub(crate) fn suspected(mut self, suspect: bool) -> Self {
        self.suspect = suspect;
        self
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Notes how far it is, as it says.
    pub(super) fn note_progress(&mut self, progress: Progress) {
        self.rare().progress = Some(progress);
    }

    /// How far it is, if it has said so.
    pub(super) fn progress(&self) -> Option<&Progress> {
        self.rare.as_ref()?.progress.as_ref()
    }

    /// Takes what the call yields before its answer.
    pub(crate) fn yielding(mut self, portions: Option<Portions>) -> Self {
        if portions.is_some() {
            self.rare().portions = portions;
        }
        self
    }

    /// Hands on what the call has yielded.
    ///
    /// # Errors
    /// When it was not asked to, or it is more than there are items.
    pub(super) fn pass(&mut self, portion: Reply) -> Result<(), String> {
        match self.rare.as_mut().and_then(|rare| rare.portions.as_mut()) {
            Some(portions) => portions.take(portion),
            None => Err("the call was not asked to yield".to_owned()),
        }
    }

    /// Whether it is known to have begun, because it has yielded.
    pub(super) fn has_yielded(&self) -> bool {
        let portions = self.rare.as_ref().and_then(|rare| rare.portions.as_ref());
        portions.is_some_and(|portions| portions.begun)
    }

    /// Whether it waits, when enough values are on their way, until somebody takes some.
    pub(super) fn is_stream(&self) -> bool {
        let portions = self.rare.as_ref().and_then(|rare| rare.portions.as_ref());
        portions.is_some_and(|portions| portions.stream)
    }

    /// The session that it belongs to, if its worker keeps state for that, and so runs one call of it at a time.
    pub(super) fn session(&self) -> Option<&SessionId> {
        let lease = self.rare.as_ref()?.lease.as_ref()?;
        matches!(self.route, Route::Worker { .. }).then_some(&lease.session)
    }

    /// The call as others are told of it, with whom it shared a worker.
    pub(super) fn describe(&self) -> String {
        match &self.context.stage {
            Some(stage) => format!("call {} of stage `{stage}`", self.id),
            None => format!("call {}", self.id),
        }
    }

    /// Whether nobody waits any more.
    pub(crate) fn abandoned(&self) -> bool {
        !self.duty && self.waiter.is_closed()
    }

    /// Hands the answer over; it is dropped if nobody waits any more.
    pub(crate) fn finish(mut self, answer: Result<Reply, ItemError>) {
        if let Some(probe) = self.rare.as_mut().and_then(|rare| rare.probe.as_mut()) {
            probe.completed = answer.is_ok();
        }
        // Whoever has the answer may count on it: the next call finds room, and no more are in the pool than were let in.
        self.place = None;
        let _ = self.waiter.send(answer);
    }

    /// Fails it because the worker that it was bound to is gone.
    pub(super) fn lose(self, report: Option<&WorkerReport>) {
        let error =
            lost(self.rare.as_ref().and_then(|rare| rare.lease.as_ref()).map(|lease| &lease.session), report);
        self.finish(Err(error));
    }
}

/// The error of what needed Python state that is gone with its worker.
pub(super) fn lost(session: Option<&SessionId>, report: Option<&WorkerReport>) -> ItemError {
    let what = match session {
        Some(id) => format!("session {id} is lost, with what Python kept in it"),
        None => "the Python object is lost".to_owned(),
    };
    let how = match report {
        Some(WorkerReport { worker, pid, death: Some(death), .. }) => {
            format!("its worker {worker} (pid {pid}) {death}")
        }
        _ => "its worker is gone".to_owned(),
    };
    let hint = match session {
        Some(_) => "\nhint: open it anew with `Session::reopen`, and rebuild its state",
        None => "",
    };
    let error = ItemError::new(ErrorKind::SessionLost, format!("{what}: {how}{hint}"));
    match report {
        Some(report) => error.with_worker(report.clone()),
        None => error,
    }
}
