//! Order item by item, for batches that hold items from here and there of the input.

use std::collections::{HashMap, VecDeque};

use super::outcome::{Ended, Finished};

/// Yields items in the order of the input out of batches that are not in it. Its length is bounded by the items
/// that a dispatch holds.
pub(super) struct Turns<I, O, K> {
    /// For each item not yet read, in the order of the input, its batch.
    turns: VecDeque<u64>,
    finished: HashMap<u64, Arrived<I, O, K>>,
    /// Set when what is missing will never come.
    skip_gaps: bool,
}

/// What has come of a batch, whole or in runs.
struct Arrived<I, O, K> {
    runs: VecDeque<Finished<I, O, K>>,
    /// Nothing more comes.
    closed: bool,
}

impl<I, O, K> Arrived<I, O, K> {
    /// Whether a place of it can be looked at.
    fn is_ready(&self) -> bool {
        !self.runs.is_empty()
    }

    /// What became of the item at the next place: none if it was withdrawn.
    fn next_place(&mut self) -> Option<(Ended<I, O>, K)> {
        let run = self.runs.front_mut()?;
        let ended = run.next_place().flatten();
        if run.is_over() {
            self.runs.pop_front();
        }
        ended
    }
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

    /// Adds what came of a batch; `last` if nothing more of it comes. True if it has been read to its end by now.
    pub(super) fn insert(&mut self, batch: u64, finished: Finished<I, O, K>, last: bool) -> bool {
        let arrived =
            self.finished.entry(batch).or_insert_with(|| Arrived { runs: VecDeque::new(), closed: false });
        if !finished.is_over() {
            arrived.runs.push_back(finished);
        }
        arrived.closed |= last;
        let over = arrived.closed && !arrived.is_ready();
        if over {
            self.finished.remove(&batch);
        }
        over
    }

    /// Whether the item whose turn it is has finished.
    pub(super) fn is_ready(&self) -> bool {
        self.turns.front().and_then(|batch| self.finished.get(batch)).is_some_and(Arrived::is_ready)
    }

    /// The item whose turn it is, if it has finished.
    pub(super) fn next(&mut self) -> Option<Turn<I, O, K>> {
        loop {
            let batch = *self.turns.front()?;
            let Some(arrived) = self.finished.get_mut(&batch).filter(|arrived| arrived.is_ready()) else {
                if !self.skip_gaps {
                    return None;
                }
                self.turns.pop_front();
                continue;
            };
            self.turns.pop_front();
            let ended = arrived.next_place();
            let last = arrived.closed && !arrived.is_ready();
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
        std::mem::take(&mut self.finished).into_values().flat_map(|arrived| arrived.runs)
    }
}
