//! One opened session: how its calls set out, how it is opened anew, and how it ends.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::answer::open_single;
use super::clock::{later, now};
use super::job::{Job, Lease, Reply, Route, Waiting, lost};
use super::running::RunningPool;
use super::sessions::{Closed, Home};
use super::station::lock;
use crate::context::{Context, SessionId};
use crate::error::{ErrorKind, ItemError};
use crate::telemetry::{self, Labels, SessionEnded, SessionOpened};
use crate::wire::{self, Kind};

/// Where a session's calls may run when its worker is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Affinity {
    /// They wait for the session's worker, and run on no other.
    #[default]
    StrictQueue,
    /// They run on the session's worker if it has nothing else to do at that moment, else they fail with
    /// [`ErrorKind::SessionBusy`].
    StrictFailFast,
    /// They run on the session's worker if it is idle, else on any. Python keeps no state for such a session:
    /// `slither.session()` raises in it.
    Hint,
}

impl fmt::Display for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StrictQueue => "strict_queue",
            Self::StrictFailFast => "strict_fail_fast",
            Self::Hint => "hint",
        })
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// It was closed.
    Closed,
    /// Its handle was dropped, by whatever ended the handle's owner.
    Dropped,
    /// It was idle for as long as its time to live.
    Expired,
    /// Its handle went away when its worker was dead already.
    Lost,
    /// Its pool had ended before.
    Pool,
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::Dropped => "its handle was dropped",
            Self::Expired => "it was idle for as long as its time to live",
            Self::Lost => "its worker was lost before",
            Self::Pool => "its pool ended",
        })
    }
}

/// What is called when the session has ended.
pub(crate) type EndHook = Box<dyn FnOnce(SessionEnd) + Send>;

/// A session of a pool. Whoever makes one ends it.
pub(crate) struct PoolSession {
    pub(crate) id: SessionId,
    pub(crate) pool: Arc<RunningPool>,
    affinity: Affinity,
    begun: Instant,
    /// Held while it is opened anew, so that two who ask open it once.
    opening: tokio::sync::Mutex<()>,
    end: OnceLock<SessionEnd>,
    hook: Mutex<Option<EndHook>>,
    expiry: OnceLock<AbortHandle>,
}

impl PoolSession {
    /// Takes a place for a session in the pool; it is to be opened next.
    pub(crate) fn new(
        pool: Arc<RunningPool>,
        affinity: Affinity,
        ttl: Option<Duration>,
        hook: Option<EndHook>,
    ) -> Result<Arc<Self>, ItemError> {
        let (id, begun) = (SessionId::fresh(), now());
        if let Some(cause) = pool.queue.closed() {
            return Err(cause);
        }
        {
            let mut sessions = lock(&pool.queue.sessions);
            if !sessions.add(&id, ttl, begun) {
                let message = format!(
                    "pool `{}` has {} sessions, as many as it may have\nhint: close some, or raise `Pool::max_sessions`",
                    pool.name,
                    sessions.max()
                );
                return Err(ItemError::new(ErrorKind::SessionLimit, message));
            }
        }
        let session = Self {
            id,
            pool,
            affinity,
            begun,
            opening: tokio::sync::Mutex::new(()),
            end: OnceLock::new(),
            hook: Mutex::new(hook),
            expiry: OnceLock::new(),
        };
        Ok(Arc::new(session))
    }

    /// Has the session live in a worker: the one with the fewest sessions, though it be only starting.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<(), ItemError> {
        let begun = now();
        let worker = loop {
            let occupied = self.pool.queue.occupied();
            let slot = lock(&self.pool.queue.sessions).place(&self.id, &occupied);
            let Some(slot) = slot else { return Err(self.over()) };
            if self.affinity == Affinity::Hint {
                lock(&self.pool.queue.sessions).opened(&self.id, None, now());
                break String::new();
            }
            let (job, waiting) = self.order(Kind::OpenSession)?;
            self.pool.queue.push(job.bound(Route::Slot(slot), None));
            let reply = self.pool.answer(waiting).await?;
            open_single::<u64>(&reply)?;
            if self.pool.queue.settle(&self.id, &reply.from) {
                break reply.from.worker.name.clone();
            }
            // The worker died after its answer; nothing of the session was in it yet.
        };
        let event = SessionOpened::new(
            begun.elapsed().as_secs_f64(),
            &self.pool.name,
            &self.id,
            &worker,
            &self.affinity,
        );
        telemetry::emit(self.labels(), &event);
        Ok(())
    }

    /// Ends the session when it has been idle for too long.
    pub(crate) fn watch(self: &Arc<Self>) {
        let now = now();
        if lock(&self.pool.queue.sessions).due(&self.id, now).is_some() {
            let watch = expire(Arc::downgrade(self));
            let task = self.pool.runtime().spawn(watch);
            let _ = self.expiry.set(task.abort_handle());
        }
    }

    /// Opens a lost session anew; a session that lives is left as it is.
    pub(crate) async fn reopen(self: &Arc<Self>) -> Result<(), ItemError> {
        let _alone = self.opening.lock().await;
        if lock(&self.pool.queue.sessions).loss(&self.id).is_some() {
            return self.open().await;
        }
        match self.end.get() {
            Some(_) => Err(self.over()),
            None => Ok(()),
        }
    }

    /// How the next call goes, or why it does not.
    pub(super) fn call(&self) -> Result<(Route, Lease), ItemError> {
        let sessions = &self.pool.queue.sessions;
        let called = lock(sessions).call(&self.id);
        let home = called.map_err(|closed| match closed {
            Closed::Lost(report) => lost(Some(&self.id), Some(&report)),
            Closed::Ended => self.over(),
        })?;
        let route = match home.epoch {
            Some(epoch) => Route::Worker { slot: home.slot, epoch },
            None => Route::Near(home.slot),
        };
        Ok((route, Lease { session: self.id.clone(), sessions: sessions.clone() }))
    }

    /// Whether its calls fail when its worker is busy.
    pub(super) fn fails_fast(&self) -> bool {
        self.affinity == Affinity::StrictFailFast
    }

    /// Whether Python keeps state for it.
    pub(crate) fn pinned(&self) -> bool {
        self.affinity != Affinity::Hint
    }

    /// The worker that it lives in, by name and process id.
    pub(crate) fn worker(&self) -> Option<(String, u32)> {
        let home = lock(&self.pool.queue.sessions).home(&self.id)?;
        let station = self.pool.queue.station(home.epoch?)?;
        Some((station.worker.name.clone(), station.worker.pid))
    }

    /// What a call gets that comes too late.
    fn over(&self) -> ItemError {
        let how = self.end.get().map_or_else(|| "it is not open".to_owned(), ToString::to_string);
        let message = format!("session {} has ended: {how}", self.id);
        ItemError::new(ErrorKind::SessionEnded, message)
    }

    /// A frame that opens or ends the session in its worker; it needs no place, because each session has one
    /// of them at a time.
    fn order(&self, kind: Kind) -> Result<(Job, Waiting), ItemError> {
        let id = self.pool.next_id();
        let context = Context { session: Some(self.id.clone()), ..Context::none() };
        let frame = wire::session(kind, id, &context, self.pool.max_frame)?;
        Ok(Job::new(id, frame, self.pool.call_timeout, Arc::new(context), None))
    }

    /// Takes no further call, and has Python run its hooks and forget the state when the calls before have
    /// ended. Only the first of those who say so gets the answer to wait for.
    fn begin_end(&self, how: SessionEnd) -> Option<Waiting> {
        let closed = self.pool.queue.closed().is_some();
        let home = {
            let mut sessions = lock(&self.pool.queue.sessions);
            let home = sessions.home(&self.id);
            let how = match sessions.loss(&self.id) {
                _ if closed => SessionEnd::Pool,
                Some(_) => SessionEnd::Lost,
                None => how,
            };
            // Before the entry goes: who finds none asks how it ended.
            let _ = self.end.set(how);
            if !sessions.end(&self.id) {
                return None;
            }
            home
        };
        let reason = self.end.get().unwrap_or(&how);
        let event = SessionEnded::new(self.begun.elapsed().as_secs_f64(), &self.pool.name, &self.id, reason);
        telemetry::emit(self.labels(), &event);
        let route = match home? {
            _ if !self.pinned() => return None,
            Home { slot, epoch: Some(epoch) } => Route::Worker { slot, epoch },
            // It is only being opened: should the frame for that have gone out, this one comes behind it.
            Home { slot, epoch: None } => Route::Slot(slot),
        };
        let (job, waiting) = self.order(Kind::EndSession).ok()?;
        self.pool.queue.push(job.on_duty().bound(route, None));
        Some(waiting)
    }

    /// Ends the session and waits until Python has.
    pub(crate) async fn close(&self) -> Result<(), ItemError> {
        let answer = match self.begin_end(SessionEnd::Closed) {
            Some(waiting) => {
                let answer = self.pool.answer(waiting).await;
                answer.and_then(|reply: Reply| open_single::<u64>(&reply)).map(drop)
            }
            None => Ok(()),
        };
        self.finish();
        answer
    }

    /// Ends the session without waiting for Python.
    pub(crate) fn end(&self, how: SessionEnd) {
        self.begin_end(how);
        self.finish();
    }

    /// Calls the hook, if it has not been called.
    fn finish(&self) {
        if let Some(task) = self.expiry.get() {
            task.abort();
        }
        let (hook, how) = (lock(&self.hook).take(), self.end.get());
        if let (Some(hook), Some(how)) = (hook, how)
            && catch_unwind(AssertUnwindSafe(|| hook(*how))).is_err()
        {
            // Whoever drops a handle cannot be failed by its hook, least of all while it panics itself.
            tracing::error!(target: "slither", session = %self.id, "the session's end hook panicked");
        }
    }

    fn labels(&self) -> Labels<'_> {
        Labels { pool: Some(&self.pool.name), ..Labels::default() }
    }
}

impl fmt::Debug for PoolSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSession")
            .field("id", &self.id)
            .field("pool", &self.pool.name)
            .field("affinity", &self.affinity)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Waits for the session to have been idle for too long, holding nothing meanwhile.
async fn expire(session: Weak<PoolSession>) {
    loop {
        let due = {
            let Some(session) = session.upgrade() else { return };
            let now = now();
            let due = lock(&session.pool.queue.sessions).due(&session.id, now);
            match due {
                None => return,
                Some(at) if at <= now => return session.end(SessionEnd::Expired),
                Some(at) => at,
            }
        };
        tokio::time::sleep_until(later(due, Duration::ZERO).into()).await;
    }
}
