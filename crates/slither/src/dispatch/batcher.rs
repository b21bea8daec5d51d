//! Gathers items into batches.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::batching::{Batching, Strategy};
use super::keys::OpenKeys;
use crate::error::ItemError;
use crate::item::Item;

/// A batch that is closed and waits for a permit.
pub(super) struct Formed<I, K> {
    pub(super) sequence: u64,
    pub(super) items: Vec<Item<I>>,
    pub(super) tags: Vec<K>,
    /// The hash of its key, if batches of one key are to run one at a time.
    pub(super) key: Option<u64>,
    /// Why it must not run: its one item has no weight or key.
    pub(super) refused: Option<ItemError>,
}

/// A batch that is being gathered.
struct Open<I, K> {
    since: Option<Instant>,
    items: Vec<Item<I>>,
    tags: Vec<K>,
    weight: u64,
}

/// The open batches, one or one a key, and the closed ones: at most two, because an offer closes no more and
/// none is made while one waits.
pub(super) struct Batcher<I, K> {
    batching: Batching<I>,
    /// The most items of the batches that are gathered now.
    max_items: usize,
    /// The slots that those items were shared among.
    slots: usize,
    /// The number of the next batch, given when its first item comes.
    sequence: u64,
    /// The one that is gathered by number or weight.
    open: Open<I, K>,
    /// Those that are gathered by key, the oldest first.
    by_key: BTreeMap<u64, Open<I, K>>,
    keys: Option<Box<dyn OpenKeys<I>>>,
    max_open_keys: usize,
    /// Whether batches of one key are to run one at a time.
    sticky: bool,
    formed: VecDeque<Formed<I, K>>,
}

impl<I, K> Open<I, K> {
    fn new() -> Self {
        Self { since: None, items: Vec::new(), tags: Vec::new(), weight: 0 }
    }

    #[inline]
    fn add(&mut self, item: Item<I>, tag: K, now: Instant, max_items: usize) {
        if self.items.is_empty() {
            self.since = Some(now);
            // Sized at once for usual batches; a huge bound is not paid for before it is used.
            self.items.reserve_exact(max_items.min(256));
            self.tags.reserve_exact(max_items.min(256));
        }
        self.items.push(item);
        self.tags.push(tag);
    }

    fn close(&mut self, sequence: u64, key: Option<u64>) -> Formed<I, K> {
        (self.weight, self.since) = (0, None);
        let (items, tags) = (std::mem::take(&mut self.items), std::mem::take(&mut self.tags));
        Formed { sequence, items, tags, key, refused: None }
    }
}

impl<I, K> Batcher<I, K> {
    pub(super) fn new(batching: Batching<I>) -> Self {
        let (keys, max_open_keys, sticky) = match &batching.strategy {
            Strategy::Keyed(keyed) => (Some(keyed.open()), keyed.max_open_keys, keyed.sticky),
            _ => (None, 1, false),
        };
        Self {
            max_items: batching.max_items(),
            slots: 0,
            batching,
            sequence: 0,
            open: Open::new(),
            by_key: BTreeMap::new(),
            keys,
            max_open_keys,
            sticky,
            formed: VecDeque::new(),
        }
    }

    /// Whether batches hold items from here and there of the input.
    pub(super) fn is_keyed(&self) -> bool {
        self.keys.is_some()
    }

    pub(super) fn max_items(&self) -> usize {
        self.max_items
    }

    /// Whether batches share what is left of the input among the executor's slots.
    pub(super) fn shares(&self) -> bool {
        matches!(self.batching.strategy, Strategy::Auto(_))
    }

    /// The executor has so many slots, and so much is to come, if that is known. Batches stay as they are until the slots
    /// change.
    pub(super) fn share(&mut self, slots: usize, left: Option<usize>) {
        let Strategy::Auto(auto) = &self.batching.strategy else { return };
        if self.slots == slots {
            return;
        }
        self.slots = slots;
        self.max_items = match left {
            Some(left) => auto.share(left.saturating_add(self.open.items.len()), slots),
            None => self.batching.max_items(),
        };
    }

    /// Whether no closed batch waits.
    pub(super) fn has_room(&self) -> bool {
        self.formed.is_empty()
    }

    /// Adds an item, closing what it fills and what it does not fit into. Returns the number of its batch.
    #[inline]
    pub(super) fn push(&mut self, item: Item<I>, tag: K, now: Instant) -> u64 {
        match &self.batching.strategy {
            Strategy::Fixed(_) | Strategy::Auto(_) => self.add(item, tag, now),
            Strategy::Weighted(_) => self.weigh(item, tag, now),
            Strategy::Keyed(_) => self.sort(item, tag, now),
        }
    }

    fn weigh(&mut self, item: Item<I>, tag: K, now: Instant) -> u64 {
        let weight = match catch_unwind(AssertUnwindSafe(|| self.batching.weigh(&item.payload))) {
            Ok(weight) => weight,
            Err(panic) => {
                self.close();
                return self.refuse(item, tag, ItemError::panicked(&*panic));
            }
        };
        if self.open.weight.saturating_add(weight) > self.batching.max_weight() {
            self.close();
        }
        let total = self.open.weight.saturating_add(weight);
        let sequence = self.add(item, tag, now);
        // If the item filled its batch by number, the next one is open and weighs nothing.
        if !self.open.items.is_empty() {
            self.open.weight = total;
            if total >= self.batching.max_weight() {
                self.close();
            }
        }
        sequence
    }

    fn sort(&mut self, item: Item<I>, tag: K, now: Instant) -> u64 {
        let Some(keys) = &mut self.keys else { return self.add(item, tag, now) };
        let fresh = self.sequence;
        let batch = match catch_unwind(AssertUnwindSafe(|| keys.batch(&item.payload, fresh))) {
            Ok(batch) => batch,
            Err(panic) => return self.refuse(item, tag, ItemError::panicked(&*panic)),
        };
        if batch == fresh {
            self.sequence += 1;
            if self.by_key.len() >= self.max_open_keys {
                self.close_oldest();
            }
        }
        let open = self.by_key.entry(batch).or_insert_with(Open::new);
        open.add(item, tag, now, self.max_items);
        if open.items.len() >= self.max_items {
            self.close_key(batch);
        }
        batch
    }

    #[inline]
    fn add(&mut self, item: Item<I>, tag: K, now: Instant) -> u64 {
        let sequence = self.sequence;
        self.open.add(item, tag, now, self.max_items);
        if self.open.items.len() >= self.max_items {
            self.close();
        }
        sequence
    }

    fn refuse(&mut self, item: Item<I>, tag: K, error: ItemError) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        let (items, tags) = (vec![item], vec![tag]);
        self.formed.push_back(Formed { sequence, items, tags, key: None, refused: Some(error) });
        sequence
    }

    /// Closes the one open batch that is not gathered by key, if it holds anything.
    fn close(&mut self) {
        if !self.open.items.is_empty() {
            self.formed.push_back(self.open.close(self.sequence, None));
            self.sequence += 1;
        }
    }

    fn close_key(&mut self, batch: u64) {
        let key = self.keys.as_mut().and_then(|keys| keys.close(batch));
        if let Some(mut open) = self.by_key.remove(&batch) {
            self.formed.push_back(open.close(batch, key.filter(|_| self.sticky)));
        }
    }

    /// Closes the open batch that holds the oldest item.
    pub(super) fn close_oldest(&mut self) {
        match self.by_key.first_key_value() {
            Some((&batch, _)) => self.close_key(batch),
            None => self.close(),
        }
    }

    /// When the open batch that holds the oldest item has waited for long enough; none if it may wait for ever.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let wait = self.batching.max_wait()?;
        let oldest = self.by_key.first_key_value().map_or(&self.open, |(_, open)| open);
        oldest.since?.checked_add(wait)
    }

    /// The oldest closed batch.
    pub(super) fn front(&self) -> Option<&Formed<I, K>> {
        self.formed.front()
    }

    /// How many items the batch holds that would be closed next.
    pub(super) fn oldest_len(&self) -> usize {
        self.by_key.first_key_value().map_or(&self.open, |(_, open)| open).items.len()
    }

    /// Takes the oldest closed batch.
    pub(super) fn pop(&mut self) -> Option<Formed<I, K>> {
        self.formed.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.items.is_empty() && self.by_key.is_empty() && self.formed.is_empty()
    }

    /// Gives up everything; returns how many items that were.
    pub(super) fn clear(&mut self) -> u64 {
        let by_key = std::mem::take(&mut self.by_key);
        if let Some(keys) = &mut self.keys {
            for batch in by_key.keys() {
                keys.close(*batch);
            }
        }
        let open = std::mem::replace(&mut self.open, Open::new());
        let open = open.items.len() + by_key.values().map(|open| open.items.len()).sum::<usize>();
        let formed: usize = self.formed.drain(..).map(|formed| formed.items.len()).sum();
        (open + formed) as u64
    }
}
