//! Order item by item, for batches that hold items from here and there of the input.

use std::collections::{HashMap, VecDeque};

use super::outcome::{Ended, Finished};

/// Yields items in the order of the input out of batches that are not in it. Its length is bounded by the items
/// that a dispatch holds.
pub(super) struct Turns<I, O, K> {
    /// For each item not yet read, in the order of the input, its batch.
    turns: VecDeque<u64>,
    finished: HashMap<u64, Finished<I, O, K>>,
    /// Set when what is missing will never come.
    skip_gaps: bool,
}

/// What a turn came to.
pub(super) struct Turn<I, O, K> {
    /// None if the item was withdrawn.
    pub(super) ended: Option<(Ended<I, O>, K)>,
    /// Whether its batch has now been read to its end.
    pub(super) last: bool,
}

impl<I, O, K> Turns<I, O, K> {
    pub(super) fn new() -> Self {
        Self { turns: VecDeque::new(), finished: HashMap::new(), skip_gaps: false }
    }

    /// The next item of the input went into this batch.
    pub(super) fn expect(&mut self, batch: u64) {
        self.turns.push_back(batch);
    }

    pub(super) fn insert(&mut self, batch: u64, finished: Finished<I, O, K>) {
        self.finished.insert(batch, finished);
    }

    /// Whether the item whose turn it is has finished.
    pub(super) fn is_ready(&self) -> bool {
        self.turns.front().is_some_and(|batch| self.finished.contains_key(batch))
    }

    /// The item whose turn it is, if it has finished.
    pub(super) fn next(&mut self) -> Option<Turn<I, O, K>> {
        loop {
            let batch = *self.turns.front()?;
            let Some(finished) = self.finished.get_mut(&batch) else {
                if !self.skip_gaps {
                    return None;
                }
                self.turns.pop_front();
                continue;
            };
            self.turns.pop_front();
            let ended = finished.next_place().flatten();
            let last = finished.is_over();
            if last {
                self.finished.remove(&batch);
            }
            return Some(Turn { ended, last });
        }
    }

    pub(super) fn skip_gaps(&mut self) {
        self.skip_gaps = true;
    }

    /// Gives up everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Finished<I, O, K>> {
        self.turns.clear();
        std::mem::take(&mut self.finished).into_values()
    }
}
