//! What is run again of a batch that failed, and what of it is settled.

use std::sync::Arc;
use std::time::Duration;

use super::executor::Reply;
use super::on_error::OnError;
use super::outcome::{Fate, Settled};
use super::retry::{Chance, Retry};
use crate::error::{ErrorKind, ItemError};
use crate::item::{Item, ItemId};

/// How a batch, or a part of one, is being run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// How often its items have been run, this time included.
    pub(super) number: u32,
    /// Culprits are being looked for: retries are over.
    splitting: bool,
    /// Its one item was run alone before, and its worker died.
    second_chance: bool,
}

impl Attempt {
    pub(super) fn first() -> Self {
        Self { number: 1, splitting: false, second_chance: false }
    }

    fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }

    fn split(self) -> Self {
        Self { splitting: true, second_chance: false, ..self.next() }
    }

    /// Whether its single item has been run alone before this time.
    fn was_alone_before(self) -> bool {
        self.second_chance || (!self.splitting && self.number > 1)
    }
}

/// Items of a batch that are to be run together.
pub(super) struct Part<I> {
    pub(super) items: Vec<Item<I>>,
    pub(super) attempt: Attempt,
    /// Where they stand in the batch.
    places: Vec<usize>,
}

/// What is to be done next with a batch.
pub(super) enum Next {
    /// Everything is settled.
    Finish,
    /// The next part is to be run, under the permit that the batch has.
    Run,
    /// The next part is to be run after a wait.
    Wait(Duration),
}

/// A policy, with the chance that spreads its retries.
pub(super) struct Policy {
    on_error: OnError,
    chance: Chance,
    /// Where it runs there is state that dies with the worker.
    stateful: bool,
}

impl Policy {
    pub(super) fn new(on_error: OnError, stateful: bool) -> Self {
        let chance = match &on_error {
            OnError::Retry(retry) => retry.chance(),
            _ => Chance::new(Some(0)),
        };
        Self { on_error, chance, stateful }
    }

    fn retry(&self, attempt: Attempt, error: &ItemError) -> Option<&Retry> {
        match &self.on_error {
            _ if self.is_final(error) => None,
            OnError::Retry(retry) if !attempt.splitting && retry.again(attempt.number, error) => Some(retry),
            _ => None,
        }
    }

    /// Whether the failure leaves nothing to try: another attempt would find the state gone, or a closed door.
    fn is_final(&self, error: &ItemError) -> bool {
        match error.kind() {
            ErrorKind::Pool | ErrorKind::SessionLost | ErrorKind::SessionEnded => true,
            ErrorKind::Crash | ErrorKind::Timeout | ErrorKind::Protocol => self.stateful,
            _ => false,
        }
    }

    fn wait(&mut self, attempt: Attempt, asked: Option<Duration>) -> Duration {
        match &self.on_error {
            OnError::Retry(retry) => retry.wait(attempt.number, asked, &mut self.chance),
            _ => Duration::ZERO,
        }
    }

    /// Whether this reply halts the dispatch.
    pub(super) fn halts<O>(&self, attempt: Attempt, reply: &Reply<O>) -> bool {
        reply.as_ref().is_err_and(|error| {
            *self.on_error.last() == OnError::Halt && self.retry(attempt, error).is_none()
        })
    }

    /// Whether everything in the reply is final and none of it is routed.
    pub(super) fn accepts<O>(&self, attempt: Attempt, reply: &Reply<O>) -> bool {
        let last = self.on_error.last();
        match reply {
            Ok(results) => results
                .iter()
                .filter_map(|result| result.as_ref().err())
                .all(|error| !matches!(last, OnError::Route(_)) && self.retry(attempt, error).is_none()),
            Err(error) => {
                matches!(last, OnError::Halt | OnError::Skip) && self.retry(attempt, error).is_none()
            }
        }
    }
}

/// A batch of which some has failed.
pub(super) struct Recovery<I, O> {
    /// By place; none while an item has to be run.
    settled: Vec<Settled<I, O>>,
    /// The places of what is being run.
    running: Vec<usize>,
    /// What is still to be run, the next last.
    pending: Vec<Part<I>>,
}

impl<I, O> Recovery<I, O> {
    /// A batch of which everything is being run.
    pub(super) fn new(items: usize) -> Self {
        Self {
            settled: std::iter::repeat_with(|| None).take(items).collect(),
            running: (0..items).collect(),
            pending: Vec::new(),
        }
    }

    /// Takes in how the part that was run came back; the reply has as many results as the part has items.
    pub(super) fn came_back(
        &mut self,
        items: Vec<Item<I>>,
        attempt: Attempt,
        reply: Reply<O>,
        policy: &mut Policy,
    ) -> Next {
        let places = std::mem::take(&mut self.running);
        match reply {
            Ok(results) => self.settle_each(Part { items, attempt, places }, results, policy),
            Err(error) if policy.retry(attempt, &error).is_some() => {
                let wait = policy.wait(attempt, error.retry_after());
                self.pending.push(Part { items, attempt: attempt.next(), places });
                Next::Wait(wait)
            }
            Err(error) => {
                let part = Part { items, attempt, places };
                match policy.on_error.last() {
                    OnError::Isolate if policy.is_final(&error) => self.fail(part, &error, &OnError::Skip),
                    OnError::Isolate => self.split(part, error),
                    last => self.fail(part, &error, last),
                }
                self.next()
            }
        }
    }

    fn next(&self) -> Next {
        if self.pending.is_empty() { Next::Finish } else { Next::Run }
    }

    /// The batch came back: its items are settled but for those that are to be run again.
    fn settle_each(
        &mut self,
        part: Part<I>,
        results: Vec<Result<O, ItemError>>,
        policy: &mut Policy,
    ) -> Next {
        let attempt = part.attempt;
        let mut again = Part { items: Vec::new(), attempt: attempt.next(), places: Vec::new() };
        let mut asked = None;
        for ((item, place), result) in part.items.into_iter().zip(part.places).zip(results) {
            let error = match result {
                Ok(payload) => {
                    self.settled[place] = Some((item.with_payload(()), Fate::Done(payload)));
                    continue;
                }
                Err(error) => error,
            };
            if policy.retry(attempt, &error).is_some() {
                asked = asked.max(error.retry_after());
                again.items.push(item);
                again.places.push(place);
            } else {
                let alone = Part { attempt, places: vec![place], items: vec![item] };
                self.fail(alone, &error, policy.on_error.last());
            }
        }
        if again.items.is_empty() {
            return self.next();
        }
        self.pending.push(again);
        Next::Wait(policy.wait(attempt, asked))
    }

    fn split(&mut self, part: Part<I>, error: ItemError) {
        let Part { mut items, attempt, mut places } = part;
        match items.len() {
            1 if error.kind() == ErrorKind::Crash && !attempt.was_alone_before() => {
                let attempt = Attempt { second_chance: true, ..attempt.split() };
                self.pending.push(Part { items, attempt, places });
            }
            0 | 1 => self.fail(Part { items, attempt, places }, &error, &OnError::Skip),
            count => {
                let half = count.div_ceil(2);
                let right = Part {
                    items: items.split_off(half),
                    attempt: attempt.split(),
                    places: places.split_off(half),
                };
                self.pending.push(right);
                self.pending.push(Part { items, attempt: attempt.split(), places });
            }
        }
    }

    fn fail(&mut self, part: Part<I>, error: &ItemError, policy: &OnError) {
        let batch: Arc<[ItemId]> = part.items.iter().map(|item| item.id).collect();
        for (item, place) in part.items.into_iter().zip(part.places) {
            let (error, batch) = (error.clone(), batch.clone());
            let Item { id, payload, metadata } = item;
            let fate = match policy {
                OnError::Route(_) => Fate::Routed { payload, error, batch },
                _ => Fate::Failed { error, batch },
            };
            self.settled[place] = Some((Item { id, payload: (), metadata }, fate));
        }
    }

    /// The next part to run.
    pub(super) fn next_part(&mut self) -> Option<Part<I>> {
        let mut part = self.pending.pop()?;
        self.running = std::mem::take(&mut part.places);
        Some(part)
    }

    /// How many items are not settled.
    pub(super) fn open(&self) -> usize {
        self.settled.iter().filter(|place| place.is_none()).count()
    }

    /// What became of each item, by place; none where it is not settled.
    pub(super) fn into_settled(self) -> Vec<Settled<I, O>> {
        self.settled
    }
}
