//! The decisions of a dispatch, without time, threads or wakers: what to pull, start and emit, and when.
//!
//! Driven by calls: `offer` and `end_input` from the input, `start` and `complete` around the executor, `next`
//! towards the reader. An item passes batcher → permits → reorder → reader, and is counted where it leaves. A
//! batch that failed may pass the executor several times, in parts, before it goes on to the reader.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::batcher::Batcher;
use super::executor::{Batch, BatchId, Reply};
use super::limits::Bounds;
use super::outcome::{self, Ended, Finished};
use super::permits::{Permit, Permits};
use super::recovery::{Attempt, Next, Policy, Recovery};
use super::reorder::Reorder;
use crate::error::ItemError;
use crate::item::{Failure, Item, Ledger};

/// An admitted batch on its way.
struct Running<I, O, K> {
    sequence: u64,
    started: Instant,
    /// What of it is at the executor, or goes there next.
    batch: Batch<I>,
    attempt: Attempt,
    tags: Vec<K>,
    /// Since something of it failed that does not stay so.
    recovery: Option<Box<Recovery<I, O>>>,
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
    /// Batches that hold a permit and have a part to run.
    parts: VecDeque<Permit>,
    /// Batches that wait for their next attempt, by the time it is due; they keep their place in the window.
    waiting: BTreeMap<(Instant, u64), Running<I, O, K>>,
    reorder: Reorder<Finished<I, O, K>>,
    /// The batch being read.
    current: Option<Finished<I, O, K>>,
    /// Batches started and not yet read to their end.
    admitted: usize,
    window: usize,
    policy: Policy,
    sequence: u64,
    ids: Arc<AtomicU64>,
    stage: Option<Arc<str>>,
    input_ended: bool,
    halted: Option<Failure>,
    ledger: Ledger,
}

impl<I, O, K> Core<I, O, K> {
    /// `ids` numbers the batches; the stages of one run share it.
    pub(super) fn new(bounds: Bounds<I>, ids: Arc<AtomicU64>, stage: Option<Arc<str>>) -> Self {
        Self {
            batcher: Batcher::new(bounds.batching),
            permits: Permits::new(bounds.max_in_flight),
            parts: VecDeque::new(),
            waiting: BTreeMap::new(),
            reorder: Reorder::new(bounds.order),
            current: None,
            admitted: 0,
            window: bounds.window,
            policy: Policy::new(bounds.on_error),
            sequence: 0,
            ids,
            stage,
            input_ended: false,
            halted: None,
            ledger: Ledger::default(),
        }
    }

    /// Whether an item may be pulled. A batch may be gathered while all permits are taken, so that it is
    /// ready for the next one, but no second behind it.
    #[inline]
    pub(super) fn wants_input(&self) -> bool {
        !self.input_ended && self.batcher.has_room() && self.admitted < self.window
    }

    /// Takes an item in.
    #[inline]
    pub(super) fn offer(&mut self, item: Item<I>, tag: K) {
        self.ledger.pulled += 1;
        self.batcher.push(item, tag);
    }

    /// There will be no more input: what is gathered is a batch.
    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
        self.batcher.flush();
    }

    /// Starts the oldest batch that can be: a part of one that failed, then one whose wait is over, then a
    /// new one.
    pub(super) fn start(&mut self, now: Instant) -> Option<Started<'_, I>> {
        let permit = self.parts.pop_front().or_else(|| self.resume(now)).or_else(|| self.begin(now))?;
        let running = self.permits.get_mut(permit)?;
        running.batch.id = BatchId(self.ids.fetch_add(1, Ordering::Relaxed));
        running.started = now;
        Some(Started { permit, batch: &running.batch, attempt: running.attempt.number })
    }

    /// Gives a permit to the batch whose wait was over first.
    fn resume(&mut self, now: Instant) -> Option<Permit> {
        let due = self.waiting.first_entry()?;
        if due.key().0 > now || !self.permits.has_room() {
            return None;
        }
        Some(self.permits.take(due.remove()))
    }

    /// Admits the oldest batch that is formed, if a permit and a place in the window are free.
    fn begin(&mut self, now: Instant) -> Option<Permit> {
        while self.batcher.front_refused()? {
            if self.admitted >= self.window {
                return None;
            }
            self.refuse(now);
        }
        if !self.permits.has_room() || self.admitted >= self.window {
            return None;
        }
        let formed = self.batcher.pop()?;
        let running = self.admit(formed.items, formed.tags, now);
        Some(self.permits.take(running))
    }

    /// An item that could not be weighed keeps its place in the order, and never reaches the executor.
    fn refuse(&mut self, now: Instant) {
        let Some(formed) = self.batcher.pop() else { return };
        let Running { sequence, batch, tags, .. } = self.admit(formed.items, formed.tags, now);
        let reply = Ok(formed.refused.into_iter().map(Err).collect());
        self.finish(sequence, Finished::new(batch, tags, reply, self.stage.clone()));
    }

    fn admit(&mut self, items: Vec<Item<I>>, tags: Vec<K>, now: Instant) -> Running<I, O, K> {
        let sequence = self.sequence;
        self.sequence += 1;
        self.admitted += 1;
        // The batch is numbered, and its clock runs, when it is started.
        let batch = Batch { id: BatchId(0), items };
        Running { sequence, started: now, batch, attempt: Attempt::first(), tags, recovery: None }
    }

    /// A batch, or a part of one, came back: it is settled, or the policy has some of it run again. A failure
    /// under `halt` halts the dispatch.
    pub(super) fn complete(&mut self, permit: Permit, reply: Reply<O>, now: Instant) -> Option<Completed> {
        let running = self.permits.get_mut(permit)?;
        let reply = outcome::complete(reply, running.batch.items.len());
        let completed = Completed {
            batch: running.batch.id,
            items: running.batch.items.len(),
            failed: reply.as_ref().map_or(0, |each| each.iter().filter(|result| result.is_err()).count()),
            duration: now.saturating_duration_since(running.started),
            error: reply.as_ref().err().cloned(),
        };
        if let Err(error) = &reply
            && self.halted.is_none()
            && self.policy.halts(running.attempt, &reply)
        {
            self.halted = outcome::first_failure(&running.batch, error, &self.stage);
        }
        if running.recovery.is_none() && self.policy.accepts(running.attempt, &reply) {
            let Running { sequence, batch, tags, .. } = self.permits.release(permit)?;
            self.finish(sequence, Finished::new(batch, tags, reply, self.stage.clone()));
        } else {
            self.recover(permit, reply, now);
        }
        Some(completed)
    }

    /// Settles what stays as it is, and has the rest run again.
    #[cold]
    fn recover(&mut self, permit: Permit, reply: Reply<O>, now: Instant) -> Option<()> {
        let running = self.permits.get_mut(permit)?;
        let items = std::mem::take(&mut running.batch.items);
        let recovery = running.recovery.get_or_insert_with(|| Box::new(Recovery::new(items.len())));
        let next = recovery.came_back(items, running.attempt, reply, &mut self.policy);
        if let Some(part) = recovery.next_part() {
            running.batch.items = part.items;
            running.attempt = part.attempt;
        }
        match next {
            Next::Run => self.parts.push_back(permit),
            Next::Wait(wait) => {
                let running = self.permits.release(permit)?;
                self.waiting.insert((now + wait, running.sequence), running);
            }
            Next::Finish => {
                let Running { sequence, tags, recovery, .. } = self.permits.release(permit)?;
                let settled = recovery?.into_settled();
                self.finish(sequence, Finished::mixed(settled, tags, self.stage.clone()));
            }
        }
        Some(())
    }

    fn finish(&mut self, sequence: u64, finished: Finished<I, O, K>) {
        self.reorder.insert(sequence, finished);
    }

    /// When something can be started that cannot be now, if nothing else happens until then.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let ((due, _), _) = self.waiting.first_key_value()?;
        self.permits.has_room().then_some(*due)
    }

    /// The next outcome of the batch being read; none when it has been read to its end.
    #[inline]
    pub(super) fn next_in_batch(&mut self) -> Option<(Ended<I, O>, K)> {
        let current = self.current.as_mut()?;
        let Some((ended, tag)) = current.next() else {
            self.current = None;
            self.admitted -= 1;
            return None;
        };
        match &ended {
            Ended::Done(_) | Ended::Routed(_) => self.ledger.emitted += 1,
            Ended::Failed(_) => self.ledger.failed += 1,
        }
        Some((ended, tag))
    }

    /// The next outcome, if one is ready.
    pub(super) fn next(&mut self) -> Option<(Ended<I, O>, K)> {
        loop {
            if let Some(next) = self.next_in_batch() {
                return Some(next);
            }
            self.current = Some(self.reorder.pop()?);
        }
    }

    /// Withdraws what has not finished, counting it where it is; what has finished can still be read, also
    /// of a batch of which only some has.
    pub(super) fn cancel_unfinished(&mut self) {
        self.input_ended = true;
        self.ledger.cancelled += self.batcher.clear();
        self.parts.clear();
        let waiting = std::mem::take(&mut self.waiting).into_values();
        let running: Vec<_> = self.permits.drain().chain(waiting).collect();
        for Running { sequence, batch, tags, recovery, .. } in running {
            let open = recovery.as_ref().map_or(batch.items.len(), |recovery| recovery.open());
            self.ledger.cancelled += open as u64;
            match recovery {
                Some(recovery) if open < tags.len() => {
                    let settled = recovery.into_settled();
                    self.finish(sequence, Finished::mixed(settled, tags, self.stage.clone()));
                }
                _ => self.admitted -= 1,
            }
        }
        self.reorder.skip_gaps();
    }

    /// Withdraws everything, also what has finished and was not read.
    pub(super) fn cancel(&mut self) {
        self.cancel_unfinished();
        for finished in self.current.take().into_iter().chain(self.reorder.drain()) {
            self.ledger.cancelled += finished.len() as u64;
            self.admitted -= 1;
        }
    }

    /// The failure that halted the dispatch.
    pub(super) fn halted(&self) -> Option<&Failure> {
        self.halted.as_ref()
    }

    /// Whether all input has been read, executed and emitted.
    pub(super) fn is_done(&self) -> bool {
        self.input_ended && self.admitted == 0 && self.batcher.is_empty()
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.permits.taken()
    }

    #[cfg(test)]
    pub(super) fn admitted(&self) -> usize {
        self.admitted
    }
}
