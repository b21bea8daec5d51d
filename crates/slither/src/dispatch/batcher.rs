//! Gathers items into batches.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::batching::Batching;
use crate::error::ItemError;
use crate::item::Item;

/// A batch that is closed and waits for a permit.
pub(super) struct Formed<I, K> {
    pub(super) items: Vec<Item<I>>,
    pub(super) tags: Vec<K>,
    /// Why it must not run: its one item could not be weighed.
    pub(super) refused: Option<ItemError>,
}

/// One open batch, and the closed ones: at most two, because an offer closes no more and none is made
/// while one waits.
pub(super) struct Batcher<I, K> {
    batching: Batching<I>,
    items: Vec<Item<I>>,
    tags: Vec<K>,
    weight: u64,
    formed: VecDeque<Formed<I, K>>,
}

impl<I, K> Batcher<I, K> {
    pub(super) fn new(batching: Batching<I>) -> Self {
        Self { batching, items: Vec::new(), tags: Vec::new(), weight: 0, formed: VecDeque::new() }
    }

    /// Whether no closed batch waits.
    pub(super) fn has_room(&self) -> bool {
        self.formed.is_empty()
    }

    /// Adds an item, closing what it fills and what it does not fit into.
    pub(super) fn push(&mut self, item: Item<I>, tag: K) {
        let weight = match catch_unwind(AssertUnwindSafe(|| self.batching.weigh(&item.payload))) {
            Ok(weight) => weight,
            Err(panic) => {
                self.flush();
                let refused = Some(ItemError::panicked(&*panic));
                self.formed.push_back(Formed { items: vec![item], tags: vec![tag], refused });
                return;
            }
        };
        if self.weight.saturating_add(weight) > self.batching.max_weight() {
            self.flush();
        }
        if self.items.is_empty() {
            // Sized at once for usual batches; a huge bound is not paid for before it is used.
            self.items.reserve(self.batching.max_items().min(256));
            self.tags.reserve(self.batching.max_items().min(256));
        }
        self.items.push(item);
        self.tags.push(tag);
        self.weight = self.weight.saturating_add(weight);
        if self.weight >= self.batching.max_weight() || self.items.len() >= self.batching.max_items() {
            self.flush();
        }
    }

    /// Closes the open batch, if it holds anything.
    pub(super) fn flush(&mut self) {
        self.weight = 0;
        if self.items.is_empty() {
            return;
        }
        let (items, tags) = (std::mem::take(&mut self.items), std::mem::take(&mut self.tags));
        self.formed.push_back(Formed { items, tags, refused: None });
    }

    /// Whether the next closed batch was refused, and so needs no permit; none if none waits.
    pub(super) fn front_refused(&self) -> Option<bool> {
        self.formed.front().map(|formed| formed.refused.is_some())
    }

    /// Takes the oldest closed batch.
    pub(super) fn pop(&mut self) -> Option<Formed<I, K>> {
        self.formed.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.formed.is_empty()
    }

    /// Gives up everything; returns how many items that were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.items.len() + self.formed.drain(..).map(|formed| formed.items.len()).sum::<usize>();
        self.items.clear();
        self.tags.clear();
        self.weight = 0;
        count as u64
    }
}
