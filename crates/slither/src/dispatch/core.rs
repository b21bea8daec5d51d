//! The decisions of a dispatch, without time, threads or wakers: what to pull, start and emit, and when.
//!
//! Driven by calls: `offer` and `end_input` from the input, `start` and `complete` around the executor, `next`
//! towards the reader. An item passes batcher → permits → reorder → reader, and is counted where it leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::batcher::Batcher;
use super::executor::{Batch, BatchId, Reply};
use super::limits::{Bounds, OnError};
use super::outcome::{Finished, Outcome};
use super::permits::{Permit, Permits};
use super::reorder::Reorder;
use crate::error::ItemError;
use crate::item::{Failure, Item, Ledger};

struct Running<I, K> {
    sequence: u64,
    started: Instant,
    batch: Batch<I>,
    tags: Vec<K>,
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
    permits: Permits<Running<I, K>>,
    reorder: Reorder<Finished<O, K>>,
    /// The batch being read.
    current: Option<Finished<O, K>>,
    /// Batches started and not yet read to their end.
    admitted: usize,
    window: usize,
    on_error: OnError,
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
            reorder: Reorder::new(bounds.order),
            current: None,
            admitted: 0,
            window: bounds.window,
            on_error: bounds.on_error,
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
    pub(super) fn wants_input(&self) -> bool {
        !self.input_ended && self.batcher.has_room() && self.admitted < self.window
    }

    /// Takes an item in.
    pub(super) fn offer(&mut self, item: Item<I>, tag: K) {
        self.ledger.pulled += 1;
        self.batcher.push(item, tag);
    }

    /// There will be no more input: what is gathered is a batch.
    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
        self.batcher.flush();
    }

    /// Starts the oldest batch that waits, if a permit and a place in the window are free.
    pub(super) fn start(&mut self, now: Instant) -> Option<(Permit, &Batch<I>)> {
        while self.batcher.front_refused()? {
            if self.admitted >= self.window {
                return None;
            }
            self.refuse();
        }
        if !self.permits.has_room() || self.admitted >= self.window {
            return None;
        }
        let formed = self.batcher.pop()?;
        let (batch, sequence) = self.admit(formed.items);
        let permit = self.permits.take(Running { sequence, started: now, batch, tags: formed.tags });
        self.permits.get(permit).map(|running| (permit, &running.batch))
    }

    /// An item that could not be weighed keeps its place in the order, and never reaches the executor.
    fn refuse(&mut self) {
        let Some(formed) = self.batcher.pop() else { return };
        let (batch, sequence) = self.admit(formed.items);
        let reply = Ok(formed.refused.into_iter().map(Err).collect());
        self.reorder.insert(sequence, Finished::new(batch, formed.tags, reply, self.stage.clone()));
    }

    fn admit(&mut self, items: Vec<Item<I>>) -> (Batch<I>, u64) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.admitted += 1;
        (Batch { id: BatchId(self.ids.fetch_add(1, Ordering::Relaxed)), items }, sequence)
    }

    /// A batch came back. Its permit is free again; a failure under `halt` halts the dispatch.
    pub(super) fn complete(&mut self, permit: Permit, reply: Reply<O>, now: Instant) -> Option<Completed> {
        let Running { sequence, started, batch, tags } = self.permits.release(permit)?;
        let (id, items) = (batch.id, batch.items.len());
        let finished = Finished::new(batch, tags, reply, self.stage.clone());
        let failure = finished.error();
        let completed = Completed {
            batch: id,
            items,
            failed: finished.failed_alone(),
            duration: now.saturating_duration_since(started),
            error: failure.as_ref().map(|failure| failure.error.clone()),
        };
        self.reorder.insert(sequence, finished);
        if self.on_error == OnError::Halt && self.halted.is_none() {
            self.halted = failure;
        }
        Some(completed)
    }

    /// The next outcome of the batch being read; none when it has been read to its end.
    pub(super) fn next_in_batch(&mut self) -> Option<(Outcome<O>, K)> {
        let current = self.current.as_mut()?;
        let Some((outcome, tag)) = current.next() else {
            self.current = None;
            self.admitted -= 1;
            return None;
        };
        match &outcome {
            Outcome::Done(_) => self.ledger.emitted += 1,
            Outcome::Failed(_) => self.ledger.failed += 1,
        }
        Some((outcome, tag))
    }

    /// The next outcome, if one is ready.
    pub(super) fn next(&mut self) -> Option<(Outcome<O>, K)> {
        loop {
            if let Some(next) = self.next_in_batch() {
                return Some(next);
            }
            self.current = Some(self.reorder.pop()?);
        }
    }

    /// Withdraws what has not finished, counting it where it is; what has finished can still be read.
    pub(super) fn cancel_unfinished(&mut self) {
        self.input_ended = true;
        self.ledger.cancelled += self.batcher.clear();
        for running in self.permits.drain() {
            self.ledger.cancelled += running.batch.items.len() as u64;
            self.admitted -= 1;
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
