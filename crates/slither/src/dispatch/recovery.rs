//! What is run again of a batch that failed, and what of it is settled.

use std::sync::Arc;
use std::time::Duration;

use super::executor::Reply;
use super::limits::Order;
use super::on_error::OnError;
use super::outcome::{Fate, Settled};
use super::retry::{Chance, Retry};
use crate::error::{ErrorKind, ItemError};
use crate::item::{Fall, Item, ItemId, Keep};

/// How a batch, or a part of one, is being run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// How often its items have been run, this time included.
    pub(super) number: u32,
    /// Culprits are being looked for: retries are over.
    splitting: bool,
    /// Its one item was run alone before, and its worker died.
    second_chance: bool,
    /// How often it was lost to other calls of its worker.
    collateral: u32,
}

impl Attempt {
    pub(super) fn first() -> Self {
        Self { number: 1, splitting: false, second_chance: false, collateral: 0 }
    }

    /// Whether its items are run again to find which of them is to blame.
    pub(super) fn is_splitting(self) -> bool {
        self.splitting
    }

    fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }

    /// Run again because of what another call did: it costs no attempt.
    fn after_collateral(self) -> Self {
        Self { collateral: self.collateral + 1, ..self }
    }

    fn split(self) -> Self {
        Self { splitting: true, second_chance: false, ..self.next() }
    }

    /// Whether its single item has been run alone before this time, if nothing was run with it this time.
    fn was_alone_before(self) -> bool {
        self.second_chance || (!self.splitting && self.number > 1)
    }
}

/// How often a batch is run again that was lost to other calls, before it is treated as to blame itself: whoever is
/// always beside a crash may have a part in it.
pub(super) const MAX_COLLATERAL: u32 = 8;

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
            ErrorKind::Pool | ErrorKind::Unavailable | ErrorKind::SessionLost | ErrorKind::SessionEnded => {
                true
            }
            ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::Collateral => self.stateful,
            _ => self.stateful && error.is_crash(),
        }
    }

    /// Whether a part that was lost to another call of its worker is run again as it is.
    fn repeats(&self, attempt: Attempt, error: &ItemError) -> bool {
        let again = matches!(self.on_error, OnError::Retry(_)) || *self.on_error.last() == OnError::Isolate;
        let collateral = error.kind() == ErrorKind::Collateral && !self.stateful;
        again && collateral && attempt.collateral < MAX_COLLATERAL
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
            *self.on_error.last() == OnError::Halt
                && self.retry(attempt, error).is_none()
                && !self.repeats(attempt, error)
        })
    }

    /// Whether everything in the reply is final and none of it is routed.
    pub(super) fn accepts<O>(&self, attempt: Attempt, reply: &Reply<O>) -> bool {
        match reply {
            Ok(results) => self.accepts_each(attempt, results),
            Err(error) => {
                matches!(self.on_error.last(), OnError::Halt | OnError::Skip)
                    && self.retry(attempt, error).is_none()
                    && !self.repeats(attempt, error)
            }
        }
    }

    /// [`accepts`](Self::accepts) for results that came, or were yielded before the reply.
    pub(super) fn accepts_each<O>(&self, attempt: Attempt, results: &[Result<O, ItemError>]) -> bool {
        let last = self.on_error.last();
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| !matches!(last, OnError::Route(_)) && self.retry(attempt, error).is_none())
    }
}

/// What became of an item, if it is known.
type Verdict<I, O> = Option<(Item<()>, Fate<I, O>)>;

/// A batch of which some has failed.
pub(super) struct Recovery<I, O, K> {
    /// By place; none while an item has to be run, and when it was taken.
    settled: Vec<Verdict<I, O>>,
    /// By place; none when the item was taken.
    tags: Vec<Option<K>>,
    order: Order,
    /// Under `Preserve`: how many places were taken, from the first on.
    taken: usize,
    /// Under `AsCompleted`: the places that are settled and were not taken.
    ready: Vec<usize>,
    /// The places of what is being run.
    running: Vec<usize>,
    /// Of what is being run: what is to be run once more, after how long a wait at least.
    again: Vec<(Item<I>, usize)>,
    asked: Option<Duration>,
    /// What is still to be run, the next last.
    pending: Vec<Part<I>>,
    /// What is kept of items that fail.
    keep: Option<Keep<I>>,
}

impl<I, O, K> Recovery<I, O, K> {
    /// A batch of which everything is being run.
    pub(super) fn new(tags: Vec<K>, order: Order, keep: Option<Keep<I>>) -> Self {
        Self {
            settled: std::iter::repeat_with(|| None).take(tags.len()).collect(),
            running: (0..tags.len()).collect(),
            tags: tags.into_iter().map(Some).collect(),
            order,
            taken: 0,
            ready: Vec::new(),
            again: Vec::new(),
            asked: None,
            pending: Vec::new(),
            keep,
        }
    }

    /// Takes in results that the part being run yielded before its reply, for its first items.
    pub(super) fn yielded(
        &mut self,
        items: impl Iterator<Item = Item<I>>,
        attempt: Attempt,
        results: Vec<Result<O, ItemError>>,
        policy: &Policy,
    ) {
        let places: Vec<usize> = self.running.drain(..results.len()).collect();
        self.settle_each(items.zip(places), attempt, results, policy);
    }

    /// Takes in how the part that was run came back; the reply has a result for each of `items`, for which none
    /// was yielded.
    pub(super) fn came_back(
        &mut self,
        items: Vec<Item<I>>,
        attempt: Attempt,
        reply: Reply<O>,
        policy: &mut Policy,
        yielded: usize,
    ) -> Next {
        let places = std::mem::take(&mut self.running);
        match reply {
            Ok(results) => self.settle_each(items.into_iter().zip(places), attempt, results, policy),
            Err(error) if policy.repeats(attempt, &error) => {
                self.pending.push(Part { items, attempt: attempt.after_collateral(), places });
            }
            Err(error) if policy.retry(attempt, &error).is_some() => {
                self.asked = self.asked.max(error.retry_after());
                self.again.extend(items.into_iter().zip(places));
            }
            Err(error) => {
                let part = Part { items, attempt, places };
                match policy.on_error.last() {
                    OnError::Isolate if policy.is_final(&error) => self.fail(part, &error, &OnError::Skip),
                    OnError::Isolate => self.split(part, error, yielded == 0),
                    last => self.fail(part, &error, last),
                }
            }
        }
        if self.again.is_empty() {
            return if self.pending.is_empty() { Next::Finish } else { Next::Run };
        }
        let (items, places) = std::mem::take(&mut self.again).into_iter().unzip();
        self.pending.push(Part { items, attempt: attempt.next(), places });
        Next::Wait(policy.wait(attempt, self.asked.take()))
    }

    fn settle(&mut self, place: usize, item: Item<()>, fate: Fate<I, O>) {
        self.settled[place] = Some((item, fate));
        if self.order == Order::AsCompleted {
            self.ready.push(place);
        }
    }

    /// Results came: their items are settled but for those that are to be run again.
    fn settle_each(
        &mut self,
        items: impl Iterator<Item = (Item<I>, usize)>,
        attempt: Attempt,
        results: Vec<Result<O, ItemError>>,
        policy: &Policy,
    ) {
        for ((item, place), result) in items.zip(results) {
            match result {
                Ok(payload) => self.settle(place, item.with_payload(()), Fate::Done(payload)),
                Err(error) if policy.retry(attempt, &error).is_some() => {
                    self.asked = self.asked.max(error.retry_after());
                    self.again.push((item, place));
                }
                Err(error) => {
                    let alone = Part { attempt, places: vec![place], items: vec![item] };
                    self.fail(alone, &error, policy.on_error.last());
                }
            }
        }
    }

    /// `alone`: if the part is a single item, nothing else was run with it.
    fn split(&mut self, part: Part<I>, error: ItemError, alone: bool) {
        let Part { mut items, attempt, mut places } = part;
        match items.len() {
            1 if error.is_crash() && !(alone && attempt.was_alone_before()) => {
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
            let Item { id, payload, metadata } = item;
            let (error, batch, attempts) = (error.clone(), batch.clone(), part.attempt.number);
            let mut fall = Box::new(Fall { error, batch, attempts, payload: None });
            let fate = match policy {
                OnError::Route(_) => Fate::Routed { payload, fall },
                _ => {
                    fall.payload = self.keep.and_then(|keep| keep(&payload));
                    Fate::Failed(fall)
                }
            };
            self.settle(place, Item { id, payload: (), metadata }, fate);
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
        let open = |(settled, tag): &(&Option<_>, &Option<K>)| settled.is_none() && tag.is_some();
        self.settled.iter().zip(&self.tags).filter(open).count()
    }

    /// Takes what is settled and may be read, now that the order allows it.
    pub(super) fn take_ready(&mut self) -> Vec<Settled<I, O, K>> {
        let first = self.taken;
        if self.order == Order::Preserve {
            let open = self.settled[first..].iter().position(Option::is_none);
            self.taken = open.map_or(self.settled.len(), |open| first + open);
        }
        let mut ready = std::mem::take(&mut self.ready);
        ready.extend(first..self.taken);
        ready.into_iter().map(|place| self.take(place)).collect()
    }

    fn take(&mut self, place: usize) -> Settled<I, O, K> {
        let (item, fate) = self.settled[place].take()?;
        Some((item, fate, self.tags[place].take()?))
    }

    /// Everything that was not taken, by place; none where it is not settled.
    pub(super) fn into_rest(mut self) -> Vec<Settled<I, O, K>> {
        let rest: Vec<usize> = (self.taken..self.tags.len()).filter(|at| self.tags[*at].is_some()).collect();
        rest.into_iter().map(|place| self.take(place)).collect()
    }
}
