//! What is random: the stages of a case, their bounds and policies, and what their items do.

use std::time::Duration;

use proptest::prelude::*;
use slither::dispatch::{Batching, FixedBatch, KeyPartition, Limits, OnError, Order, Retry, WeightedBatch};

/// What an item does to its batch, counted in how often the item has been run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    /// Fails the batch each time.
    Raises,
    /// Kills the worker each time.
    Kills,
    /// Kills the worker so many times.
    KillsTimes(u32),
    /// Asks to be run again so many times, alone.
    Again(u32),
    /// Fails alone.
    Alone,
    /// The executor panics.
    Panics,
    /// The batch comes back a result short.
    Short,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Fixed,
    Weighted,
    /// By the remainder of the item, with so many keys open.
    Keyed(u64, usize),
}

/// A stage whose executor does what its items say.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    faults: Vec<Fault>,
    pub(super) shape: Shape,
    pub(super) batch: usize,
    max_wait: Option<Duration>,
    pub(super) max_in_flight: usize,
    window: usize,
    pub(super) order: Order,
    pub(super) policy: OnError,
    /// What it does with what it does not run again.
    pub(super) last: OnError,
    /// How many turns a batch takes.
    pub(super) turns: Vec<u8>,
}

pub(super) const MAX_WEIGHT: u64 = 10;

pub(super) fn weight(item: u64) -> u64 {
    item * 7 % 13
}

impl Stage {
    pub(super) fn fault(&self, item: u64) -> Fault {
        self.faults[item as usize % self.faults.len()]
    }

    /// Whether the item passes wherever it is alone, also if it is blamed for one death.
    pub(super) fn is_innocent(&self, item: u64) -> bool {
        matches!(self.fault(item), Fault::None | Fault::KillsTimes(1))
    }

    pub(super) fn limits(&self) -> Limits<u64> {
        let batching: Batching<u64> = match (self.shape, self.max_wait) {
            (Shape::Fixed, None) => FixedBatch(self.batch).into(),
            (Shape::Fixed, Some(wait)) => FixedBatch(self.batch).max_wait(wait),
            (Shape::Weighted, wait) => {
                let by_weight = WeightedBatch::new(MAX_WEIGHT, |item| weight(*item)).max_items(self.batch);
                wait.map_or(by_weight.clone(), |wait| by_weight.max_wait(wait)).into()
            }
            (Shape::Keyed(keys, open), wait) => {
                let by_key =
                    KeyPartition::new(move |item| item % keys).batch_size(self.batch).max_open_keys(open);
                wait.map_or(by_key.clone(), |wait| by_key.max_wait(wait)).into()
            }
        };
        Limits::new()
            .batching(batching)
            .max_in_flight(self.max_in_flight)
            .window(self.window)
            .order(self.order)
            .on_error(self.policy.clone())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) items: u64,
    pub(super) all: Stage,
    pub(super) odd: Stage,
    pub(super) even: Stage,
}

/// A policy, and the last of it.
fn policies() -> impl Strategy<Value = (OnError, OnError)> {
    let last = prop_oneof![
        1 => Just(OnError::Halt),
        2 => Just(OnError::Skip),
        3 => Just(OnError::Isolate),
        2 => Just(OnError::Route("rejects".into())),
    ];
    let retry = |last: OnError, attempts, seed| {
        let backoff = Duration::from_micros(200);
        Retry::new(attempts).backoff(backoff).max_backoff(backoff).then(last).seed(seed)
    };
    let retries = prop::option::of((1u32..5, any::<u64>()));
    (last, retries).prop_map(move |(last, retries)| match retries {
        None => (last.clone(), last),
        Some((attempts, seed)) => (retry(last.clone(), attempts, seed).into(), last),
    })
}

pub(super) fn stages() -> impl Strategy<Value = Stage> {
    let fault = prop_oneof![
        20 => Just(Fault::None),
        1 => Just(Fault::Raises),
        1 => Just(Fault::Kills),
        1 => (1u32..4).prop_map(Fault::KillsTimes),
        1 => (1u32..4).prop_map(Fault::Again),
        1 => Just(Fault::Alone),
        1 => Just(Fault::Panics),
        1 => Just(Fault::Short),
    ];
    let shape = prop_oneof![
        Just(Shape::Fixed),
        Just(Shape::Weighted),
        (1u64..20, 1usize..8).prop_map(|(keys, open)| Shape::Keyed(keys, open)),
    ];
    let order = prop_oneof![Just(Order::Preserve), Just(Order::AsCompleted)];
    let bounds = (1usize..9, 1usize..6, 1usize..10, order);
    let max_wait = prop::option::weighted(0.3, (0u64..2000).prop_map(Duration::from_micros));
    let turns = prop::collection::vec(0u8..5, 1..8);
    (prop::collection::vec(fault, 1..120), shape, bounds, max_wait, policies(), turns).prop_map(
        |(faults, shape, bounds, max_wait, (policy, last), turns)| {
            let (batch, max_in_flight, window, order) = bounds;
            Stage { faults, shape, batch, max_wait, max_in_flight, window, order, policy, last, turns }
        },
    )
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    (0u64..150, stages(), stages(), stages()).prop_map(|(items, all, odd, even)| Case {
        items,
        all,
        odd,
        even,
    })
}
