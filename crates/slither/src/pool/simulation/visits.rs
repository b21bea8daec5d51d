//! A caller that opens a session and uses it, and one that calls each worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::book::Shared;
use super::dice::Dice;
use super::plan::Visits;
use crate::context::Context;
use crate::error::{ErrorKind, ItemError};
use crate::pool::station::lock;
use crate::pool::{Affinity, PoolSession, RunningPool, SessionEnd, Via, open_single};
use crate::wire;

/// A session that ends with its owner, as the public one does.
pub(super) struct Handle {
    pub(super) inner: Arc<PoolSession>,
    ended: Arc<AtomicUsize>,
}

impl Handle {
    /// None if the pool takes no session.
    pub(super) async fn open(
        pool: &Arc<RunningPool>,
        affinity: Affinity,
        ttl: Option<Duration>,
        book: &Shared,
    ) -> Option<Self> {
        let ended = Arc::new(AtomicUsize::new(0));
        let hook = ended.clone();
        let hook = move |_| {
            hook.fetch_add(1, Ordering::Relaxed);
        };
        let inner = match PoolSession::new(pool.clone(), affinity, ttl, Some(Box::new(hook))) {
            Ok(inner) => inner,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Pool);
                return None;
            }
        };
        let handle = Self { inner, ended };
        if handle.inner.pinned() {
            lock(book).strict.insert(handle.inner.id.as_str().to_owned());
        }
        let opened = handle.inner.open().await;
        // Behind the opening, as the public one does.
        handle.inner.watch();
        match opened {
            Ok(()) => {
                lock(book).tally.count("sessions opened");
                Some(handle)
            }
            Err(error) => {
                check_opening(&error);
                None
            }
        }
    }
}

pub(super) fn check_opening(error: &ItemError) {
    use ErrorKind::{Collateral, Crash, Exception, Pool, Protocol, SessionEnded, Timeout, Unavailable};
    let expected = [Crash, Timeout, Collateral, Protocol, Pool, Exception, SessionEnded, Unavailable];
    assert!(expected.contains(&error.kind()), "opening a session failed so: {}: {error}", error.kind());
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.end(SessionEnd::Dropped);
        let ends = self.ended.load(Ordering::Relaxed);
        assert!(ends == 1 || std::thread::panicking(), "a session ended {ends} times");
    }
}

/// Opens a session, calls in it, and opens it anew when it is lost.
pub(super) async fn visit(pool: Arc<RunningPool>, visits: Visits, book: Shared, mut dice: Dice) {
    let strict = visits.affinity != Affinity::Hint;
    let Some(handle) = Handle::open(&pool, visits.affinity, visits.ttl, &book).await else { return };
    let session = &handle.inner;
    // How often Python was called since the session was opened, as far as is known, and whether its worker died.
    let (mut state, mut dead, mut reopened) = (0, false, None);
    for _ in 0..visits.calls {
        if dice.permille(500) {
            tokio::time::sleep(dice.millis(0, visits.pause)).await;
        }
        let id = pool.next_id();
        let context = Context::none().in_session(&session.id);
        let frame = wire::single(id, "m:f", &context, &1u64, 1 << 20).expect("it can be encoded");
        let timeout = dice.millis(20, 100);
        let reply = pool.submit(id, frame, timeout, Arc::new(context), &Via::Session(session.clone())).await;
        let result = reply.and_then(|reply| open_single::<u64>(&reply));
        {
            let mut book = lock(&book);
            book.tally.count("calls in sessions");
            book.say(|| format!("session {}: {:?}", session.id, result.as_ref().map_err(ItemError::kind)));
        }
        match result {
            Ok(count) => {
                assert!(!dead, "a session goes on whose worker has died");
                assert!(
                    !strict || count > state,
                    "a session had {count} calls and has had {state}: its state was reset"
                );
                state = count;
            }
            Err(error) => match error.kind() {
                ErrorKind::Crash | ErrorKind::Timeout | ErrorKind::Collateral if strict => dead = true,
                ErrorKind::SessionLost => {
                    assert!(strict, "what has no state is not lost");
                    lock(&book).tally.count("calls of lost sessions");
                    let deaths = lock(&book).deaths;
                    assert_ne!(
                        reopened,
                        Some(deaths),
                        "a session is lost that was opened anew, and nobody died"
                    );
                    reopened = Some(deaths);
                    match session.reopen().await {
                        Ok(()) => lock(&book).tally.count("sessions opened anew"),
                        Err(error) => {
                            check_opening(&error);
                            return;
                        }
                    }
                    (state, dead) = (0, false);
                }
                ErrorKind::Crash
                | ErrorKind::Timeout
                | ErrorKind::Collateral
                | ErrorKind::Protocol
                | ErrorKind::Exception => {}
                ErrorKind::Unavailable => lock(&book).check_refusal(&error),
                ErrorKind::SessionBusy => {
                    assert_eq!(visits.affinity, Affinity::StrictFailFast);
                    assert!(!dead, "a dead worker is not busy");
                    lock(&book).tally.count("calls of busy sessions");
                }
                ErrorKind::SessionEnded => {
                    assert!(visits.ttl.is_some(), "nobody ended it");
                    lock(&book).tally.count("sessions that expired");
                    return;
                }
                ErrorKind::Pool => {
                    assert!(pool.queue.closed().is_some(), "a pool refuses that takes work: {error}");
                    return;
                }
                other => panic!("a call in a session failed so: {other}: {error}"),
            },
        }
    }
    if visits.closes
        && let Err(error) = session.close().await
    {
        let lost = error.kind() == ErrorKind::SessionLost;
        if !lost {
            check_opening(&error);
        }
    }
}

/// Calls until so many calls were answered: a pool that lives always works again.
pub(super) async fn knock(pool: Arc<RunningPool>, knocks: usize, book: Shared, mut dice: Dice) {
    let mut answered = 0;
    while answered < knocks {
        tokio::time::sleep(dice.millis(1, 60)).await;
        let (id, context) = (pool.next_id(), Arc::new(Context::none()));
        let frame = wire::single(id, "m:f", &context, &1u64, 1 << 20).expect("it can be encoded");
        let reply = pool.submit(id, frame, dice.millis(20, 100), context, &Via::Any).await;
        let error = match reply.and_then(|reply| open_single::<u64>(&reply)) {
            Ok(_) => {
                answered += 1;
                continue;
            }
            Err(error) => error,
        };
        check_opening(&error);
        lock(&book).check_refusal(&error);
        if error.kind() == ErrorKind::Pool {
            assert!(pool.queue.closed().is_some(), "a pool refuses that takes work: {error}");
            return;
        }
    }
    lock(&book).tally.count("callers who were answered in the end");
}

/// Calls each worker once, and has each import a function.
pub(super) async fn round(pool: Arc<RunningPool>, book: Shared, mut dice: Dice) {
    tokio::time::sleep(dice.millis(0, 60)).await;
    if dice.permille(500) {
        let bound = pool.bind("m:g").await;
        lock(&book).tally.count(if bound.is_ok() { "imports in each worker" } else { "imports that failed" });
        return;
    }
    let each = pool.call_each::<u64, u64>("m:f", &1, dice.millis(20, 100), Arc::new(Context::none())).await;
    match each {
        Ok(each) => {
            lock(&book).tally.count("calls of each worker");
            for reply in each.replies {
                if let Err(error) = reply.result {
                    check_opening(&error);
                }
            }
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Pool),
    }
}
