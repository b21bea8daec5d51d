//! The decisions of a dispatch, without time, threads or wakers: what to pull, start and emit, and when.
//!
//! Driven by calls: `offer` and `end_input` from the input, `start` and `complete` around the executor, `next`
//! towards the reader. An item passes batcher → permits → reorder → reader, and is counted where it leaves. A
//! batch that failed may pass the executor several times, in parts, before it goes on to the reader. What a batch
//! yields before its end goes on at once: see `returns`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::batcher::{Batcher, Formed};
use super::executor::{Batch, BatchId, Reply};
use super::limits::{Bounds, DEFAULT_MAX_IN_FLIGHT, MaxInFlight, Order};
use super::outcome::{self, Ended, Finished};
use super::permits::{Permit, Permits};
use super::rate::Bucket;
use super::recovery::{Attempt, Policy, Recovery};
use super::sticky::Sticky;
use super::window::Window;
use crate::error::ItemError;
use crate::item::{Failure, Item, Keep, Ledger};

mod returns;

pub(super) use returns::Partial;

/// An admitted batch on its way.
struct Running<I, O, K> {
    sequence: u64,
    started: Instant,
    /// What of it is at the executor, or goes there next.
    batch: Batch<I>,
    attempt: Attempt,
    /// Of its items; they are with the recovery when there is one.
    tags: Vec<K>,
    /// Items of `batch` that were sent to the executor, and results that came of them before the reply. Those
    /// items are in `batch` no more.
    sent: usize,
    yielded: usize,
    yielded_failed: usize,
    /// Since something of it failed that does not stay so.
    recovery: Option<Box<Recovery<I, O, K>>>,
}

/// A batch that goes to the executor now.
pub(super) struct Started<'a, I> {
    pub(super) permit: Permit,
    pub(super) batch: &'a Batch<I>,
    /// From 1.
    pub(super) attempt: u32,
}

/// What telemetry is told of a batch that came back.
pub(super) struct Completed {
    pub(super) batch: BatchId,
    /// With an error those that it fails: what was yielded before stays.
    pub(super) items: usize,
    pub(super) failed: usize,
    pub(super) duration: Duration,
    pub(super) error: Option<ItemError>,
}

/// `K` is a tag that travels beside each item and is given back with its outcome, or dropped when the item
/// is cancelled.
pub(super) struct Core<I, O, K> {
    batcher: Batcher<I, K>,
    permits: Permits<Running<I, O, K>>,
    /// Twice the executor's slots may be in flight.
    auto_in_flight: bool,
    /// Batches that hold a permit and have a part to run.
    parts: VecDeque<Permit>,
    /// Batches that wait for their next attempt, by the time it is due; they keep their place in the window.
    waiting: BTreeMap<(Instant, u64), Running<I, O, K>>,
    sticky: Sticky<I, K>,
    window: Window<I, O, K>,
    /// None for 4 × `max_in_flight`.
    max_window: Option<usize>,
    bucket: Option<Bucket>,
    policy: Policy,
    order: Order,
    ids: Arc<AtomicU64>,
    stage: Option<Arc<str>>,
    /// What is kept of items that fail.
    keep: Option<Keep<I>>,
    input_ended: bool,
    halted: Option<Failure>,
    ledger: Ledger,
}

impl<I, O, K> Core<I, O, K> {
    /// `ids` numbers the batches; the stages of one run share it.
    pub(super) fn new(bounds: Bounds<I>, ids: Arc<AtomicU64>, stage: Option<Arc<str>>) -> Self {
        let batcher = Batcher::new(bounds.batching);
        let max_in_flight = match bounds.max_in_flight {
            MaxInFlight::Batches(batches) => batches,
            MaxInFlight::Auto => DEFAULT_MAX_IN_FLIGHT,
        };
        Self {
            permits: Permits::new(max_in_flight),
            auto_in_flight: bounds.max_in_flight == MaxInFlight::Auto,
            parts: VecDeque::new(),
            waiting: BTreeMap::new(),
            sticky: Sticky::new(),
            window: Window::new(bounds.order, batcher.is_keyed()),
            batcher,
            max_window: bounds.window,
            bucket: bounds.rate.map(Bucket::new),
            policy: Policy::new(bounds.on_error, bounds.stateful),
            order: bounds.order,
            ids,
            stage,
            keep: bounds.keep,
            input_ended: false,
            halted: None,
            ledger: Ledger::default(),
        }
    }

    /// Whether the batches in flight, or their sizes, follow the executor's slots, so that `follow` has to be told of them.
    pub(super) fn follows_slots(&self) -> bool {
        self.auto_in_flight || self.batcher.shares()
    }

    /// The executor has so many slots, and so much is to be offered, if that is known. What is in flight beyond fewer of
    /// them is a debt: no batch starts until as many have come back.
    pub(super) fn follow(&mut self, slots: usize, left: Option<usize>) {
        if self.auto_in_flight {
            self.permits.set_max(slots.saturating_mul(2));
        }
        self.batcher.share(slots, left);
    }

    fn max_window(&self) -> usize {
        self.max_window.unwrap_or(self.permits.max().saturating_mul(4))
    }

    /// Whether there is space for one item more. The window counts batches; where a batch holds items from here
    /// and there it counts as many items instead: batches that have to wait for an item of another one must not
    /// keep that other one from starting.
    #[inline]
    fn has_space(&self) -> bool {
        if self.batcher.is_keyed() {
            self.inside() < (self.max_window() as u64).saturating_mul(self.batcher.max_items() as u64)
        } else {
            self.window.admitted() < self.max_window()
        }
    }

    /// Items pulled and not yet read.
    fn inside(&self) -> u64 {
        let Ledger { pulled, emitted, failed, cancelled, .. } = self.ledger;
        pulled - emitted - failed - cancelled
    }

    /// Whether an item may be pulled. A batch may be gathered while all permits are taken, so that it is
    /// ready for the next one, but no second behind it.
    #[inline]
    pub(super) fn wants_input(&self) -> bool {
        !self.input_ended && self.batcher.has_room() && self.has_space()
    }

    /// Takes an item in.
    #[inline]
    pub(super) fn offer(&mut self, item: Item<I>, tag: K, now: Instant) {
        self.ledger.pulled += 1;
        let batch = self.batcher.push(item, tag, now);
        self.window.expect(batch);
    }

    /// There will be no more input: what is gathered is started as it is.
    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
    }

    /// Starts the oldest batch that can be: a part of one that failed, then one whose wait is over, then a
    /// new one. None of them overtakes another that the rate holds back.
    pub(super) fn start(&mut self, now: Instant) -> Option<Started<'_, I>> {
        let permit = match self.parts.front() {
            Some(&permit) => {
                let items = self.permits.get(permit).map_or(0, |running| running.batch.items.len());
                if self.held_until(items, now).is_some() {
                    return None;
                }
                self.parts.pop_front();
                permit
            }
            None if self.is_due(now) => self.resume(now)?,
            None => self.begin(now)?,
        };
        let running = self.permits.get_mut(permit)?;
        running.batch.id = BatchId(self.ids.fetch_add(1, Relaxed));
        running.batch.suspect = running.attempt.is_splitting();
        running.started = now;
        (running.sent, running.yielded, running.yielded_failed) = (running.batch.items.len(), 0, 0);
        if let Some(bucket) = &mut self.bucket {
            bucket.take(running.batch.items.len(), now);
        }
        Some(Started { permit, batch: &running.batch, attempt: running.attempt.number })
    }

    /// When the rate allows so many items, if not now.
    fn held_until(&self, items: usize, now: Instant) -> Option<Instant> {
        self.bucket.as_ref()?.held_until(items, now)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.waiting.first_key_value().is_some_and(|((due, _), _)| *due <= now)
    }

    /// Gives a permit to the batch whose wait was over first.
    fn resume(&mut self, now: Instant) -> Option<Permit> {
        let (_, next) = self.waiting.first_key_value()?;
        if !self.permits.has_room() || self.held_until(next.batch.items.len(), now).is_some() {
            return None;
        }
        let (_, next) = self.waiting.pop_first()?;
        Some(self.permits.take(next))
    }

    /// Admits the oldest batch that is closed, or that is to be closed now, if a permit and a place in the window
    /// are free.
    fn begin(&mut self, now: Instant) -> Option<Permit> {
        if let Some(next) = self.sticky.front() {
            if !self.permits.has_room() || self.held_until(next.items.len(), now).is_some() {
                return None;
            }
            let formed = self.sticky.pop()?;
            return Some(self.admit(formed, now));
        }
        while self.has_place() {
            let Some(front) = self.batcher.front() else {
                let items = self.batcher.oldest_len();
                if !self.permits.has_room() || !self.closes(now) || self.held_until(items, now).is_some() {
                    return None;
                }
                self.batcher.close_oldest();
                continue;
            };
            if front.refused.is_some() {
                self.refuse(now);
                continue;
            }
            if !self.permits.has_room() {
                return None;
            }
            if self.sticky.is_busy(front.key) {
                // Others may overtake it, and items of other keys may come.
                let formed = self.batcher.pop()?;
                self.sticky.hold(formed);
                continue;
            }
            if self.held_until(front.items.len(), now).is_some() {
                return None;
            }
            let formed = self.batcher.pop()?;
            return Some(self.admit(formed, now));
        }
        None
    }

    /// Whether a batch may be admitted.
    fn has_place(&self) -> bool {
        self.batcher.is_keyed() || self.window.admitted() < self.max_window()
    }

    /// Whether the open batch with the oldest item is to be closed before it is full: there is no more input, it
    /// has waited for long enough, or no item can come for lack of space and the reader has nothing to read.
    fn closes(&self, now: Instant) -> bool {
        self.batcher.oldest_len() > 0
            && (self.input_ended
                || self.batcher.overdue_at().is_some_and(|at| at <= now)
                || (!self.has_space() && !self.window.is_ready()))
    }

    /// An item without a weight or a key keeps its place in the order, and never reaches the executor.
    fn refuse(&mut self, now: Instant) {
        let Some(mut formed) = self.batcher.pop() else { return };
        let reply = Ok(formed.refused.take().into_iter().map(Err).collect());
        let Running { sequence, batch, tags, .. } = self.set_out(formed, now);
        let finished = Finished::new(batch.items, tags, reply, 0, self.keep, self.stage.clone());
        self.window.insert(sequence, finished, true);
    }

    fn admit(&mut self, formed: Formed<I, K>, now: Instant) -> Permit {
        self.sticky.begin(formed.key);
        let running = self.set_out(formed, now);
        self.permits.take(running)
    }

    fn set_out(&mut self, formed: Formed<I, K>, now: Instant) -> Running<I, O, K> {
        let Formed { sequence, items, tags, key, .. } = formed;
        self.window.admit();
        // The batch is numbered, and its clock runs, when it is started.
        let batch = Batch { id: BatchId(0), items, key, suspect: false };
        Running {
            sequence,
            started: now,
            batch,
            attempt: Attempt::first(),
            tags,
            sent: 0,
            yielded: 0,
            yielded_failed: 0,
            recovery: None,
        }
    }

    /// A batch, or a part of one, came back: it is settled, or the policy has some of it run again. A failure
    /// under `halt` halts the dispatch.
    pub(super) fn complete(&mut self, permit: Permit, reply: Reply<O>, now: Instant) -> Option<Completed> {
        let running = self.permits.get_mut(permit)?;
        let rest = running.batch.items.len();
        let mut reply = outcome::complete(reply, running.sent, running.yielded)
            .map_err(|error| error.naming_lost(running.batch.items.iter().map(|item| item.id)));
        let failed = reply.as_ref().map_or(0, |each| each.iter().filter(|result| result.is_err()).count());
        let completed = Completed {
            batch: running.batch.id,
            items: if reply.is_ok() { running.sent } else { rest },
            failed: running.yielded_failed + failed,
            duration: now.saturating_duration_since(running.started),
            error: reply.as_ref().err().cloned(),
        };
        if rest == 0 {
            // An error behind the last result fails no item; that it came is told above.
            reply = Ok(Vec::new());
        }
        if let Err(error) = &reply
            && self.halted.is_none()
            && self.policy.halts(running.attempt, &reply)
        {
            let attempts = running.attempt.number;
            self.halted = outcome::first_failure(&running.batch, error, attempts, self.keep, &self.stage);
        }
        if running.recovery.is_none() && self.policy.accepts(running.attempt, &reply) {
            let Running { sequence, batch, tags, attempt, .. } = self.permits.release(permit)?;
            self.sticky.end(batch.key);
            let stage = self.stage.clone();
            let finished = Finished::new(batch.items, tags, reply, attempt.number, self.keep, stage);
            self.window.insert(sequence, finished, true);
        } else {
            self.recover(permit, reply, now);
        }
        Some(completed)
    }

    /// When something can be started that could not be at `now`, when `start` last said so, if nothing else
    /// happens until then.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if let Some(&permit) = self.parts.front() {
            return self.held_until(self.permits.get(permit)?.batch.items.len(), now);
        }
        if !self.permits.has_room() {
            return None;
        }
        let due = match self.waiting.first_key_value() {
            Some(((due, _), next)) if *due <= now => {
                return self.held_until(next.batch.items.len(), now);
            }
            next => next.map(|((due, _), _)| *due),
        };
        let open = match self.sticky.front().or_else(|| self.batcher.front()) {
            _ if !self.has_place() => None,
            Some(front) => self.held_until(front.items.len(), now),
            None if self.closes(now) => self.held_until(self.batcher.oldest_len(), now),
            None => self.batcher.overdue_at(),
        };
        due.into_iter().chain(open).min()
    }

    /// The next item of the batch being read, if it has a result.
    #[inline(always)]
    pub(super) fn next_done(&mut self) -> Option<(Item<O>, K)> {
        let next = self.window.next_done()?;
        self.ledger.emitted += 1;
        Some(next)
    }

    /// The next outcome of the batch being read; none when it has been read to its end.
    #[inline]
    pub(super) fn next_in_batch(&mut self) -> Option<(Ended<I, O>, K)> {
        let next = self.window.next_in_batch();
        self.count(next)
    }

    /// The next outcome, if one is ready.
    pub(super) fn next(&mut self) -> Option<(Ended<I, O>, K)> {
        let next = self.window.next();
        self.count(next)
    }

    #[inline]
    fn count(&mut self, next: Option<(Ended<I, O>, K)>) -> Option<(Ended<I, O>, K)> {
        match next {
            None => {}
            Some((Ended::Done(_) | Ended::Routed(_), _)) => self.ledger.emitted += 1,
            Some((Ended::Failed(_), _)) => self.ledger.failed += 1,
        }
        next
    }

    /// Withdraws what has not finished, counting it where it is; what has finished can still be read, also
    /// of a batch of which only some has.
    pub(super) fn cancel_unfinished(&mut self) {
        self.input_ended = true;
        self.ledger.cancelled += self.batcher.clear() + self.sticky.clear();
        self.parts.clear();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let running: Vec<_> = self.permits.drain().chain(waiting).collect();
        for Running { sequence, batch, recovery, .. } in running {
            let open = recovery.as_ref().map_or(batch.items.len(), |recovery| recovery.open());
            self.ledger.cancelled += open as u64;
            let settled = recovery.map_or_else(Vec::new, |recovery| recovery.into_rest());
            self.window.insert(sequence, Finished::mixed(settled, self.stage.clone()), true);
        }
        self.window.skip_gaps();
    }

    /// Withdraws everything, also what has finished and was not read.
    pub(super) fn cancel(&mut self) {
        self.cancel_unfinished();
        self.ledger.cancelled += self.window.clear();
    }

    /// The failure that halted the dispatch.
    pub(super) fn halted(&self) -> Option<&Failure> {
        self.halted.as_ref()
    }

    /// Whether all input has been read, executed and emitted.
    pub(super) fn is_done(&self) -> bool {
        self.input_ended && self.window.admitted() == 0 && self.batcher.is_empty() && self.sticky.is_empty()
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.permits.taken()
    }

    /// Places of the window that are taken.
    pub(super) fn admitted(&self) -> usize {
        self.window.admitted()
    }
}
