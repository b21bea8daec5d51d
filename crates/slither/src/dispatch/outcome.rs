//! How an item ended, and the lazy pairing of a batch with its reply.

use std::sync::Arc;
use std::vec;

use super::executor::{Batch, Reply};
use crate::error::{ErrorKind, ItemError};
use crate::item::{Failure, Item, ItemId};

/// How an item ended.
#[derive(Debug, Clone)]
pub enum Outcome<O> {
    /// With its result.
    Done(Item<O>),
    /// In `failures`; boxed, so that the many that succeed are small to move.
    Failed(Box<Failure>),
}

/// A batch that came back and waits to be read, with its items' tags. It holds no input payload any more.
pub(super) struct Finished<O, K> {
    items: vec::IntoIter<Item<()>>,
    tags: vec::IntoIter<K>,
    results: Results<O>,
    stage: Option<Arc<str>>,
}

enum Results<O> {
    Each(vec::IntoIter<Result<O, ItemError>>),
    None { error: ItemError, batch: Arc<[ItemId]> },
}

impl<O, K> Finished<O, K> {
    /// Pairs a batch with its reply; a reply of another length is an error of the batch.
    pub(super) fn new<I>(batch: Batch<I>, tags: Vec<K>, reply: Reply<O>, stage: Option<Arc<str>>) -> Self {
        let reply = reply.and_then(|results| {
            if results.len() == batch.items.len() {
                return Ok(results);
            }
            let (expected, got) = (batch.items.len(), results.len());
            Err(ItemError::new(ErrorKind::Contract, format!("expected {expected} results, got {got}")))
        });
        let results = match reply {
            Ok(results) => Results::Each(results.into_iter()),
            Err(error) => Results::None { error, batch: batch.items.iter().map(|item| item.id).collect() },
        };
        let items: Vec<Item<()>> = batch.items.into_iter().map(|item| item.with_payload(())).collect();
        Self { items: items.into_iter(), tags: tags.into_iter(), results, stage }
    }

    /// The items not read yet.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many of its items failed alone.
    pub(super) fn failed_alone(&self) -> usize {
        match &self.results {
            Results::Each(results) => results.as_slice().iter().filter(|result| result.is_err()).count(),
            Results::None { .. } => 0,
        }
    }

    /// Why the batch failed as a whole, and its first item's failure.
    pub(super) fn error(&self) -> Option<Failure> {
        let item = self.items.as_slice().first()?;
        match &self.results {
            Results::Each(_) => None,
            Results::None { error, batch } => Some(Failure {
                item: item.id,
                batch: batch.clone(),
                stage: self.stage.clone(),
                error: error.clone(),
                metadata: item.metadata.clone(),
            }),
        }
    }
}

impl<O, K> Iterator for Finished<O, K> {
    type Item = (Outcome<O>, K);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.next()?;
        let tag = self.tags.next()?;
        let failed = match &mut self.results {
            Results::Each(results) => match results.next()? {
                Ok(payload) => return Some((Outcome::Done(item.with_payload(payload)), tag)),
                Err(error) => (error, Arc::from([item.id])),
            },
            Results::None { error, batch } => (error.clone(), batch.clone()),
        };
        Some((self.failure(item, failed), tag))
    }
}

impl<O, K> Finished<O, K> {
    /// Out of the way of the items that have results.
    #[cold]
    fn failure(&self, item: Item<()>, (error, batch): (ItemError, Arc<[ItemId]>)) -> Outcome<O> {
        let stage = self.stage.clone();
        Outcome::Failed(Box::new(Failure { item: item.id, batch, stage, error, metadata: item.metadata }))
    }
}
