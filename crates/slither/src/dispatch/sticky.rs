//! One batch a key at a time: which keys are on their way, and the closed batches that wait for theirs.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::batcher::Formed;

/// Keys by their hashes; two keys of one hash merely take turns. A batch without a key never waits.
pub(super) struct Sticky<I, K> {
    busy: HashSet<u64>,
    /// Of each key the batches that wait, in their order.
    waiting: HashMap<u64, VecDeque<Formed<I, K>>>,
    /// The first waiting batch of each key that is not busy, by its place in the order of all.
    ready: BTreeMap<u64, u64>,
}

impl<I, K> Sticky<I, K> {
    pub(super) fn new() -> Self {
        Self { busy: HashSet::new(), waiting: HashMap::new(), ready: BTreeMap::new() }
    }

    /// Whether a batch of this key has to wait.
    pub(super) fn is_busy(&self, key: Option<u64>) -> bool {
        key.is_some_and(|key| self.busy.contains(&key))
    }

    /// Keeps a batch whose key is busy.
    pub(super) fn hold(&mut self, batch: Formed<I, K>) {
        if let Some(key) = batch.key {
            self.waiting.entry(key).or_default().push_back(batch);
        }
    }

    /// A batch of the key sets out.
    pub(super) fn begin(&mut self, key: Option<u64>) {
        if let Some(key) = key {
            self.busy.insert(key);
        }
    }

    /// The batch of the key has come back, for good.
    pub(super) fn end(&mut self, key: Option<u64>) {
        let Some(key) = key else { return };
        self.busy.remove(&key);
        if let Some(next) = self.waiting.get(&key).and_then(VecDeque::front) {
            self.ready.insert(next.sequence, key);
        }
    }

    /// The oldest batch that waited and need not any more.
    pub(super) fn front(&self) -> Option<&Formed<I, K>> {
        let (_, key) = self.ready.first_key_value()?;
        self.waiting.get(key)?.front()
    }

    /// Takes [`front`](Self::front).
    pub(super) fn pop(&mut self) -> Option<Formed<I, K>> {
        let (_, key) = self.ready.pop_first()?;
        let waiting = self.waiting.get_mut(&key)?;
        let batch = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&key);
        }
        batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives up everything; returns how many items waited.
    pub(super) fn clear(&mut self) -> u64 {
        self.busy.clear();
        self.ready.clear();
        let batches = self.waiting.drain().flat_map(|(_, batches)| batches);
        batches.map(|batch| batch.items.len() as u64).sum()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Watches that the batches of a key are started one at a time, in the order of their items.
    #[derive(Default)]
    pub(in super::super) struct OneByOne {
        /// Of each key the first item of the latest batch.
        latest: HashMap<u64, u64>,
    }

    impl OneByOne {
        /// These items of the key are started, while batches of `others` are at the executor.
        pub(in super::super) fn check(
            &mut self,
            key: u64,
            ids: &[u64],
            attempt: u32,
            mut others: impl Iterator<Item = u64>,
        ) {
            assert!(others.all(|other| other != key), "two batches of key {key} run");
            let latest = self.latest.entry(key).or_default();
            assert!(
                ids[0] >= *latest,
                "a batch of key {key} was started before the one before it was settled"
            );
            if attempt == 1 {
                *latest = ids[0];
            }
        }
    }

    fn batch(sequence: u64, key: u64) -> Formed<u64, ()> {
        Formed { sequence, items: Vec::new(), tags: Vec::new(), key: Some(key), refused: None }
    }

    #[test]
    fn of_the_keys_that_are_free_the_oldest_batch_goes_first() {
        let mut sticky: Sticky<u64, ()> = Sticky::new();
        sticky.begin(Some(1));
        sticky.begin(Some(2));
        for (sequence, key) in [(2, 2), (3, 1), (4, 1)] {
            assert!(sticky.is_busy(Some(key)));
            sticky.hold(batch(sequence, key));
        }
        assert!(sticky.pop().is_none() && !sticky.is_busy(None) && !sticky.is_busy(Some(3)));
        sticky.end(Some(1));
        sticky.end(Some(2));
        let mut started = Vec::new();
        while let Some(Formed { sequence, key, .. }) = sticky.pop() {
            sticky.begin(key);
            started.push(sequence);
            sticky.end(key);
        }
        assert_eq!(started, [2, 3, 4]);
        assert!(sticky.is_empty());
    }
}
