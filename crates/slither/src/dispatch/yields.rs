//! Results that come before their batch has ended: [`Yields`], and where a dispatch finds them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::executor::BatchId;
use super::permits::Permit;
use crate::error::ItemError;

/// Results of a batch that were yielded before its end.
pub(super) struct Yielded<O> {
    pub(super) permit: Permit,
    pub(super) batch: BatchId,
    pub(super) results: Vec<Result<O, ItemError>>,
}

/// Where an [`Executor`](super::Executor) leaves results of a batch before the batch ends.
///
/// What is left here is final: it goes on to the reader at once, as far as the order allows, whatever becomes of
/// the batch, and the policy sees only the rest. Results are left in the order of the batch's items, from the
/// first on. Leaving them never waits, and what is left once the batch has ended or was withdrawn is nobody's.
/// It holds no more results than the batch has items.
pub struct Yields<O> {
    arrivals: Arc<Arrivals<O>>,
    permit: Permit,
    batch: BatchId,
    items: usize,
    left: usize,
}

impl<O> Yields<O> {
    /// Leaves the results of the batch's next items: each is a payload, or the error of that item alone.
    ///
    /// More results than the batch has items fail the rest of it, of which there may be none, with
    /// [`ErrorKind::Contract`](crate::ErrorKind::Contract).
    pub fn leave(&mut self, results: impl IntoIterator<Item = Result<O, ItemError>>) {
        // One more than there is room for is how the dispatch learns that there were too many.
        let room = (self.items + 1).saturating_sub(self.left);
        let results: Vec<_> = results.into_iter().take(room).collect();
        if results.is_empty() {
            return;
        }
        self.left += results.len();
        self.arrivals.push(Yielded { permit: self.permit, batch: self.batch, results });
    }
}

impl<O> fmt::Debug for Yields<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yields").field("batch", &self.batch).field("left", &self.left).finish_non_exhaustive()
    }
}

/// What was yielded and not yet taken in. Bounded by the items of the batches in flight.
pub(super) struct Arrivals<O> {
    arrived: Mutex<VecDeque<Yielded<O>>>,
    any: AtomicBool,
    waker: AtomicWaker,
}

impl<O> Arrivals<O> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { arrived: Mutex::default(), any: AtomicBool::new(false), waker: AtomicWaker::new() })
    }

    pub(super) fn yields(self: &Arc<Self>, permit: Permit, batch: BatchId, items: usize) -> Yields<O> {
        Yields { arrivals: self.clone(), permit, batch, items, left: 0 }
    }

    fn push(&self, yielded: Yielded<O>) {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).push_back(yielded);
        self.any.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Wakes the task at the next arrival, if somebody is left who may yield.
    pub(super) fn register(self: &Arc<Self>, waker: &Waker) {
        if Arc::strong_count(self) > 1 {
            self.waker.register(waker);
        }
    }

    /// What has arrived; nothing is looked at where nothing has.
    pub(super) fn take(&self) -> VecDeque<Yielded<O>> {
        match self.any.swap(false, Ordering::AcqRel) {
            true => std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner)),
            false => VecDeque::new(),
        }
    }
}
