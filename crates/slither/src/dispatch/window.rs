//! The batches that were admitted and not read to their end, and the order in which they are read.

use super::limits::Order;
use super::outcome::{Ended, Finished};
use super::reorder::Reorder;
use super::turns::{Turn, Turns};
use crate::item::Item;

/// Places for batches, from when they are admitted until their last item is read.
pub(super) struct Window<I, O, K> {
    /// Places taken.
    admitted: usize,
    finished: Arranged<I, O, K>,
    /// What is being read, and whether it is the last of its batch.
    current: Option<(Finished<I, O, K>, bool)>,
}

enum Arranged<I, O, K> {
    /// Batch by batch.
    Batches(Reorder<Finished<I, O, K>>),
    /// Item by item: batches are not in the order of the input, but items must be.
    Items(Turns<I, O, K>),
}

impl<I, O, K> Window<I, O, K> {
    /// `keyed` batches hold items from here and there of the input.
    pub(super) fn new(order: Order, keyed: bool) -> Self {
        let finished = match keyed && order == Order::Preserve {
            true => Arranged::Items(Turns::new()),
            false => Arranged::Batches(Reorder::new(order)),
        };
        Self { admitted: 0, finished, current: None }
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted
    }

    /// The next item of the input went into this batch.
    #[inline]
    pub(super) fn expect(&mut self, batch: u64) {
        if let Arranged::Items(turns) = &mut self.finished {
            turns.expect(batch);
        }
    }

    /// A batch takes a place.
    pub(super) fn admit(&mut self) {
        self.admitted += 1;
    }

    /// What came of a batch waits to be read; `last` if nothing more of it comes.
    pub(super) fn insert(&mut self, sequence: u64, finished: Finished<I, O, K>, last: bool) {
        match &mut self.finished {
            Arranged::Batches(reorder) => reorder.insert(sequence, finished, last),
            Arranged::Items(turns) => {
                self.admitted -= usize::from(turns.insert(sequence, finished, last));
            }
        }
    }

    /// Whether there is something to read.
    pub(super) fn is_ready(&self) -> bool {
        match &self.finished {
            Arranged::Batches(reorder) => self.current.is_some() || reorder.is_ready(),
            Arranged::Items(turns) => turns.is_ready(),
        }
    }

    /// The next item of the batch being read, if it has a result.
    #[inline(always)]
    pub(super) fn next_done(&mut self) -> Option<(Item<O>, K)> {
        self.current.as_mut()?.0.next_done()
    }

    /// The next outcome of the batch being read; none when it has been read to its end.
    #[inline]
    pub(super) fn next_in_batch(&mut self) -> Option<(Ended<I, O>, K)> {
        let (current, last) = self.current.as_mut()?;
        let next = current.next();
        if next.is_none() {
            self.admitted -= usize::from(*last);
            self.current = None;
        }
        next
    }

    /// The next outcome, if one is ready.
    pub(super) fn next(&mut self) -> Option<(Ended<I, O>, K)> {
        loop {
            if let Some(next) = self.next_in_batch() {
                return Some(next);
            }
            match &mut self.finished {
                Arranged::Batches(reorder) => self.current = Some(reorder.pop()?),
                Arranged::Items(turns) => {
                    let Turn { ended, last } = turns.next()?;
                    self.admitted -= usize::from(last);
                    if ended.is_some() {
                        return ended;
                    }
                }
            }
        }
    }

    /// What is missing will never come.
    pub(super) fn skip_gaps(&mut self) {
        match &mut self.finished {
            Arranged::Batches(reorder) => reorder.skip_gaps(),
            Arranged::Items(turns) => turns.skip_gaps(),
        }
    }

    /// Gives up everything that waits to be read, once nothing more comes; returns how many items that were.
    pub(super) fn clear(&mut self) -> u64 {
        let current = self.current.take().map_or(0, |(finished, _)| finished.len());
        let waiting: usize = match &mut self.finished {
            Arranged::Batches(reorder) => reorder.drain().map(|finished| finished.len()).sum(),
            Arranged::Items(turns) => turns.drain().map(|finished| finished.len()).sum(),
        };
        self.admitted = 0;
        (current + waiting) as u64
    }
}
