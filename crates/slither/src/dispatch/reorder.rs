//! The finished batches that wait to be read, in the order in which they may be.

use std::collections::VecDeque;

use super::limits::Order;

/// Holds what finished until its turn comes. Its length is bounded by the window of the dispatch.
pub(super) struct Reorder<T> {
    order: Order,
    /// The number of the first place; only `Preserve` counts.
    base: u64,
    places: VecDeque<Option<T>>,
    /// Set when what is missing will never come.
    skip_gaps: bool,
}

impl<T> Reorder<T> {
    pub(super) fn new(order: Order) -> Self {
        Self { order, base: 0, places: VecDeque::new(), skip_gaps: false }
    }

    /// Adds the batch that was admitted as number `sequence`.
    pub(super) fn insert(&mut self, sequence: u64, thing: T) {
        if self.order == Order::AsCompleted {
            self.places.push_back(Some(thing));
            return;
        }
        let place = (sequence - self.base) as usize;
        while self.places.len() <= place {
            self.places.push_back(None);
        }
        self.places[place] = Some(thing);
    }

    /// Whether the next in order is there.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.places.front(), Some(Some(_)))
    }

    /// The next in order, if it is there.
    pub(super) fn pop(&mut self) -> Option<T> {
        while self.skip_gaps && matches!(self.places.front(), Some(None)) {
            self.places.pop_front();
        }
        let thing = self.places.front_mut()?.take()?;
        self.places.pop_front();
        self.base += 1;
        Some(thing)
    }

    /// What is missing will never come: later calls of `pop` leave it out.
    pub(super) fn skip_gaps(&mut self) {
        self.skip_gaps = true;
    }

    /// Gives up everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.places).into_iter().flatten()
    }
}
