//! How an item ended, and the lazy pairing of a batch with its reply.

use std::sync::Arc;
use std::vec;

use super::executor::{Batch, Reply};
use crate::error::{ErrorKind, ItemError};
use crate::item::{Failure, Fall, Item, ItemId, Keep, Payload};

/// How an item ended.
#[derive(Debug, Clone)]
pub enum Outcome<O> {
    /// With its result.
    Done(Item<O>),
    /// In `failures`; boxed, so that the many that succeed are small to move.
    Failed(Box<Failure>),
}

/// How an item ended, where its policy may be `route`.
pub(crate) enum Ended<I, O> {
    /// With its result.
    Done(Item<O>),
    /// In `failures`.
    Failed(Box<Failure>),
    /// At the output for failed items.
    Routed(Box<Routed<I>>),
}

/// An item that failed and leaves by an output of the pipe.
pub(crate) struct Routed<I> {
    /// As it entered the stage.
    pub(crate) payload: I,
    pub(crate) failure: Failure,
}

/// What became of an item of a batch that was run in parts.
pub(super) enum Fate<I, O> {
    Done(O),
    Failed(Box<Fall>),
    Routed { payload: I, fall: Box<Fall> },
}

/// What became of the item at a place of such a batch, with its tag; none if it is not settled, or was withdrawn.
pub(super) type Settled<I, O, K> = Option<(Item<()>, Fate<I, O>, K)>;

/// A batch that came back, or what it yielded before, which waits to be read with its items' tags. Of the input
/// it holds only what is routed, and what is kept of items that failed.
pub(super) struct Finished<I, O, K> {
    results: Results<I, O, K>,
    stage: Option<Arc<str>>,
    /// How often the batch was run.
    attempts: u32,
    /// The payloads of the items that failed, in their order, if they are kept.
    kept: vec::IntoIter<Option<Payload>>,
}

enum Results<I, O, K> {
    /// Of a batch that came back the first time.
    Each {
        items: vec::IntoIter<Item<()>>,
        tags: vec::IntoIter<K>,
        results: vec::IntoIter<Result<O, ItemError>>,
    },
    /// Of a batch that failed as a whole.
    None { items: vec::IntoIter<Item<()>>, tags: vec::IntoIter<K>, error: ItemError, batch: Arc<[ItemId]> },
    /// Of a batch that was run in parts; what is none was withdrawn.
    Mixed(vec::IntoIter<Settled<I, O, K>>),
}

/// Checks that a reply has a result for each item that none was `yielded` for before; another number is an error
/// of the batch.
pub(super) fn complete<O>(reply: Reply<O>, items: usize, yielded: usize) -> Reply<O> {
    reply.and_then(|results| match yielded + results.len() {
        got if got == items => Ok(results),
        got => Err(ItemError::new(ErrorKind::Contract, format!("expected {items} results, got {got}"))),
    })
}

/// Why a batch failed as a whole, and its first item's failure.
pub(super) fn first_failure<I>(
    batch: &Batch<I>,
    error: &ItemError,
    attempts: u32,
    keep: Option<Keep<I>>,
    stage: &Option<Arc<str>>,
) -> Option<Failure> {
    let first = batch.items.first()?;
    let ids = batch.items.iter().map(|item| item.id).collect();
    let payload = keep.and_then(|keep| keep(&first.payload));
    let item = Item { id: first.id, payload: (), metadata: first.metadata.clone() };
    Some(Failure::new(item, Fall { error: error.clone(), batch: ids, attempts, payload }, stage.clone()))
}

/// The payloads of the items that failed.
fn keep_failed<I, O>(keep: Keep<I>, items: &[Item<I>], reply: &Reply<O>) -> Vec<Option<Payload>> {
    match reply {
        Ok(results) => {
            let failed = items.iter().zip(results).filter(|(_, result)| result.is_err());
            failed.map(|(item, _)| keep(&item.payload)).collect()
        }
        Err(_) => items.iter().map(|item| keep(&item.payload)).collect(),
    }
}

impl<I, O, K> Finished<I, O, K> {
    /// Pairs items with their reply, which has as many results.
    pub(super) fn new(
        items: Vec<Item<I>>,
        tags: Vec<K>,
        reply: Reply<O>,
        attempts: u32,
        keep: Option<Keep<I>>,
        stage: Option<Arc<str>>,
    ) -> Self {
        let kept = keep.map_or_else(Vec::new, |keep| keep_failed(keep, &items, &reply)).into_iter();
        let ids = || items.iter().map(|item| item.id).collect();
        let failed = reply.as_ref().err().map(|_| ids());
        let items: Vec<Item<()>> = items.into_iter().map(|item| item.with_payload(())).collect();
        let (items, tags) = (items.into_iter(), tags.into_iter());
        let results = match reply {
            Ok(results) => Results::Each { items, tags, results: results.into_iter() },
            Err(error) => {
                Results::None { items, tags, error, batch: failed.unwrap_or_else(|| Arc::from([])) }
            }
        };
        Self { results, stage, attempts, kept }
    }

    /// What became of items of a batch that was run in parts.
    pub(super) fn mixed(fates: Vec<Settled<I, O, K>>, stage: Option<Arc<str>>) -> Self {
        Self { results: Results::Mixed(fates.into_iter()), stage, attempts: 0, kept: Vec::new().into_iter() }
    }

    /// The items not read yet, without those that were withdrawn.
    pub(super) fn len(&self) -> usize {
        match &self.results {
            Results::Each { items, .. } | Results::None { items, .. } => items.len(),
            Results::Mixed(fates) => fates.as_slice().iter().flatten().count(),
        }
    }

    /// Whether every place has been looked at.
    pub(super) fn is_over(&self) -> bool {
        match &self.results {
            Results::Each { items, .. } | Results::None { items, .. } => items.len() == 0,
            Results::Mixed(fates) => fates.len() == 0,
        }
    }

    /// The next item, if it has a result. The way of nearly all items, kept apart from the others' so that an item
    /// is not moved through the shapes that those need.
    #[inline(always)]
    pub(super) fn next_done(&mut self) -> Option<(Item<O>, K)> {
        let Results::Each { items, tags, results } = &mut self.results else { return None };
        if !matches!(results.as_slice().first(), Some(Ok(_))) {
            return None;
        }
        match (items.next(), results.next(), tags.next()) {
            (Some(item), Some(Ok(payload)), Some(tag)) => Some((item.with_payload(payload), tag)),
            // The three have one length.
            _ => None,
        }
    }

    /// What became of the item at the next place: none if it was withdrawn. None at all at the end.
    #[inline]
    #[allow(clippy::option_option, reason = "the end and a withdrawn item are different things")]
    pub(super) fn next_place(&mut self) -> Option<Option<(Ended<I, O>, K)>> {
        let (item, tag, error, batch) = match &mut self.results {
            Results::Each { items, tags, results } => {
                let (item, tag) = (items.next()?, tags.next()?);
                match results.next()? {
                    Ok(payload) => return Some(Some((Ended::Done(item.with_payload(payload)), tag))),
                    Err(error) => {
                        let batch = Arc::from([item.id]);
                        (item, tag, error, batch)
                    }
                }
            }
            Results::None { items, tags, error, batch } => {
                (items.next()?, tags.next()?, error.clone(), batch.clone())
            }
            Results::Mixed(fates) => match fates.next()? {
                None => return Some(None),
                Some((item, Fate::Done(payload), tag)) => {
                    return Some(Some((Ended::Done(item.with_payload(payload)), tag)));
                }
                Some((item, Fate::Failed(fall), tag)) => {
                    let failure = Failure::new(item, *fall, self.stage.clone());
                    return Some(Some((Ended::Failed(Box::new(failure)), tag)));
                }
                Some((item, Fate::Routed { payload, fall }, tag)) => {
                    let failure = Failure::new(item, *fall, self.stage.clone());
                    return Some(Some((Ended::Routed(Box::new(Routed { payload, failure })), tag)));
                }
            },
        };
        Some(Some((Ended::Failed(Box::new(self.failure(item, error, batch))), tag)))
    }

    /// Out of the way of the items that have results.
    #[cold]
    fn failure(&mut self, item: Item<()>, error: ItemError, batch: Arc<[ItemId]>) -> Failure {
        let payload = self.kept.next().flatten();
        let fall = Fall { error, batch, attempts: self.attempts, payload };
        Failure::new(item, fall, self.stage.clone())
    }
}

impl<I, O, K> Iterator for Finished<I, O, K> {
    type Item = (Ended<I, O>, K);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ended) = self.next_place()? {
                return Some(ended);
            }
        }
    }
}
