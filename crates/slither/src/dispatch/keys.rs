//! Batches of one key each: [`KeyPartition`].

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::batching::at_least_one;
use crate::error::ConfigError;

type Open<I> = dyn Fn() -> Box<dyn OpenKeys<I>> + Send + Sync;

/// Batches that hold the items of one key each: for work that is cheaper, or only right, when it is done for one
/// user, file or model at a time.
///
/// A batch closes at [`batch_size`](Self::batch_size) items, 64 unless set. At most
/// [`max_open_keys`](Self::max_open_keys) batches are gathered at a time, 64 unless set: the item of one key more
/// closes the batch that holds the oldest item. So does the source when it must pause for lack of space, with
/// nothing else on its way to you; and so memory is bounded on endless input, however many keys there are.
///
/// Batches of one key are started in the order of their items, but may run side by side; unless they are
/// [`sticky`](Self::sticky).
pub struct KeyPartition<I> {
    open: Arc<Open<I>>,
    pub(super) batch_size: usize,
    pub(super) max_open_keys: usize,
    pub(super) sticky: bool,
    pub(super) max_wait: Option<Duration>,
}

impl<I: 'static> KeyPartition<I> {
    /// Batches of equal `key`. A `key` that panics fails its item.
    pub fn new<K>(key: impl Fn(&I) -> K + Send + Sync + 'static) -> Self
    where
        K: Hash + Eq + Clone + Send + 'static,
    {
        let key: Arc<dyn Fn(&I) -> K + Send + Sync> = Arc::new(key);
        let open = move || -> Box<dyn OpenKeys<I>> {
            Box::new(Keys { key: key.clone(), batches: HashMap::new(), keys: HashMap::new() })
        };
        Self { open: Arc::new(open), batch_size: 64, max_open_keys: 64, sticky: false, max_wait: None }
    }
}

impl<I> KeyPartition<I> {
    /// Batches of at most this many items, 64 by default.
    #[must_use]
    pub fn batch_size(mut self, items: usize) -> Self {
        self.batch_size = items;
        self
    }

    /// Batches of at most this many keys are gathered at a time, 64 by default. When reached, an item of another
    /// key closes the batch that holds the oldest item.
    #[must_use]
    pub fn max_open_keys(mut self, keys: usize) -> Self {
        self.max_open_keys = keys;
        self
    }

    /// Has each key keep to one place, one batch at a time: a batch of a key starts when the one before it is
    /// settled, retries included, and a pool runs all of them in one worker slot, which the key's hash chooses.
    ///
    /// So what Python keeps by key is found where it was left, without a lock; but it does not survive the
    /// worker: after a crash the slot's next worker goes on without it. Keys that share a slot wait for each other,
    /// and a key with much to do keeps only one worker busy.
    #[must_use]
    pub fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// A batch whose first item has waited this long is closed, as soon as it can be started.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("max_open_keys", self.max_open_keys as u64)
    }

    pub(super) fn open(&self) -> Box<dyn OpenKeys<I>> {
        (self.open)()
    }
}

impl<I> Clone for KeyPartition<I> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone(), ..*self }
    }
}

impl<I> fmt::Debug for KeyPartition<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPartition")
            .field("batch_size", &self.batch_size)
            .field("max_open_keys", &self.max_open_keys)
            .field("sticky", &self.sticky)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// The keys whose batches are open, their type put aside.
pub(super) trait OpenKeys<I>: Send {
    /// The number of the batch that the payload belongs to: `fresh` if its key was not open.
    fn batch(&mut self, payload: &I, fresh: u64) -> u64;

    /// The batch is closed. Returns the hash of its key, the same in every process of one build.
    fn close(&mut self, batch: u64) -> Option<u64>;
}

struct Keys<I, K> {
    key: Arc<dyn Fn(&I) -> K + Send + Sync>,
    batches: HashMap<K, u64>,
    keys: HashMap<u64, K>,
}

impl<I, K: Hash + Eq + Clone + Send> OpenKeys<I> for Keys<I, K> {
    fn batch(&mut self, payload: &I, fresh: u64) -> u64 {
        let key = (self.key)(payload);
        if let Some(batch) = self.batches.get(&key) {
            return *batch;
        }
        self.keys.insert(fresh, key.clone());
        self.batches.insert(key, fresh);
        fresh
    }

    fn close(&mut self, batch: u64) -> Option<u64> {
        let key = self.keys.remove(&batch)?;
        self.batches.remove(&key);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Some(hasher.finish())
    }
}
