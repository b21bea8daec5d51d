//! Random schedules of a dispatch, held against a sequential model. No runtime, no time: only decisions.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::core::Core;
use super::core::Started;
use super::limits::Bounds;
use super::outcome::Ended;
use super::permits::Permit;
use super::{Batching, Limits, OnError, Order, Reply, WeightedBatch};
use crate::error::{ErrorKind, ItemError};
use crate::item::Item;

/// What the executor does with a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Done,
    LastFails,
    Fails,
    Short,
}

#[derive(Debug, Clone)]
struct Case {
    weights: Vec<u64>,
    by_weight: bool,
    max_weight: u64,
    max_items: usize,
    max_in_flight: usize,
    window: usize,
    order: Order,
    on_error: OnError,
    fates: Vec<Fate>,
    choices: Vec<u8>,
    cancel_after: Option<usize>,
}

impl Case {
    fn bounds(&self) -> Bounds<u64> {
        let batching: Batching<u64> = if self.by_weight {
            WeightedBatch::new(self.max_weight, |weight| *weight).max_items(self.max_items).into()
        } else {
            super::FixedBatch(self.max_items).into()
        };
        Limits::new()
            .batching(batching)
            .max_in_flight(self.max_in_flight)
            .window(self.window)
            .order(self.order)
            .on_error(self.on_error.clone())
            .resolve()
    }

    /// The batches as a loop over the whole input makes them.
    fn batches(&self) -> Vec<Vec<u64>> {
        let mut batches: Vec<Vec<u64>> = Vec::new();
        let mut load = 0;
        let mut full = true;
        for (id, weight) in (0u64..).zip(&self.weights) {
            let overflows = self.by_weight && load + weight > self.max_weight;
            if full || overflows {
                batches.push(Vec::new());
                load = 0;
            }
            let batch = batches.last_mut().expect("one was pushed");
            batch.push(id);
            load += weight;
            full = batch.len() == self.max_items || (self.by_weight && load >= self.max_weight);
        }
        batches
    }

    fn fate(&self, first: u64) -> Fate {
        self.fates[first as usize % self.fates.len()]
    }

    fn reply(&self, batch: &[u64]) -> Reply<u64> {
        let broken = || ItemError::new(ErrorKind::Exception, "broken");
        let mut results: Vec<Result<u64, ItemError>> = batch.iter().map(|id| Ok(id * 10)).collect();
        match self.fate(batch[0]) {
            Fate::Done => {}
            Fate::LastFails => *results.last_mut().expect("a batch has items") = Err(broken()),
            Fate::Fails => return Err(broken()),
            Fate::Short => {
                results.pop();
            }
        }
        Ok(results)
    }

    /// Whether the item succeeds, if its batch runs.
    fn succeeds(&self, batch: &[u64], id: u64) -> bool {
        match self.fate(batch[0]) {
            Fate::Done => true,
            Fate::LastFails => batch.last() != Some(&id),
            Fate::Fails | Fate::Short => false,
        }
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let fate = prop_oneof![
        6 => Just(Fate::Done), 2 => Just(Fate::LastFails), 1 => Just(Fate::Fails), 1 => Just(Fate::Short)
    ];
    let shape = (any::<bool>(), 1u64..40, 1usize..9, 1usize..6, 1usize..10);
    let policy = (
        prop_oneof![Just(Order::Preserve), Just(Order::AsCompleted)],
        prop_oneof![1 => Just(OnError::Halt), 3 => Just(OnError::Skip)],
        prop::option::weighted(0.3, 0usize..300),
    );
    let rest =
        (prop::collection::vec(0u64..20, 0..120), prop::collection::vec(fate, 1..20), any::<[u8; 32]>());
    (shape, policy, rest).prop_map(|(shape, (order, on_error, cancel_after), (weights, fates, choices))| {
        let (by_weight, max_weight, max_items, max_in_flight, window) = shape;
        let choices = choices.to_vec();
        Case {
            weights,
            by_weight,
            max_weight,
            max_items,
            max_in_flight,
            window,
            order,
            on_error,
            fates,
            choices,
            cancel_after,
        }
    })
}

/// Counts itself out when it is dropped.
struct Tag(u64, Rc<Cell<u64>>);

impl Drop for Tag {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

/// Plays one schedule to its end; returns the items in the order of their delivery, and whether each
/// succeeded.
fn play(case: &Case) -> (Vec<(u64, bool)>, crate::item::Ledger) {
    let now = Instant::now();
    let mut core: Core<u64, u64, Tag> = Core::new(case.bounds(), Arc::default(), None);
    let tags = Rc::new(Cell::new(0));
    let model = case.batches();
    let mut started: Vec<Vec<u64>> = Vec::new();
    let mut running: Vec<(Permit, Vec<u64>)> = Vec::new();
    let mut input = (0u64..).zip(case.weights.iter().copied());
    let mut delivered = Vec::new();
    for step in 0usize.. {
        assert!(step < 100_000, "the schedule does not end");
        if case.cancel_after == Some(step) {
            running.clear();
            core.cancel();
        }
        if core.halted().is_some() {
            running.clear();
            core.cancel_unfinished();
        }
        if core.is_done() {
            break;
        }
        // Four things can happen; a random one of them is tried first, the others after it.
        let choice = case.choices[step % case.choices.len()].wrapping_add(step as u8);
        for action in 0..4u8 {
            let moved = match (choice % 4 + action) % 4 {
                0 if core.wants_input() => {
                    match input.next() {
                        Some((id, weight)) => {
                            tags.set(tags.get() + 1);
                            core.offer(Item::new(id, weight), Tag(id, tags.clone()), now);
                        }
                        None => core.end_input(),
                    }
                    true
                }
                1 => match core.start(now) {
                    Some(Started { permit, batch, .. }) => {
                        let ids: Vec<u64> = batch.items.iter().map(|item| item.id.0).collect();
                        started.push(ids.clone());
                        running.push((permit, ids));
                        true
                    }
                    None => false,
                },
                2 if !running.is_empty() => {
                    let (permit, batch) = running.swap_remove(usize::from(choice) % running.len());
                    core.complete(permit, case.reply(&batch), now).is_some()
                }
                3 => match core.next() {
                    Some((outcome, tag)) => {
                        let (id, succeeded) = match outcome {
                            Ended::Done(item) => {
                                assert_eq!(item.payload, item.id.0 * 10);
                                (item.id.0, true)
                            }
                            Ended::Failed(failure) => (failure.item.0, false),
                            Ended::Routed(_) => unreachable!("nothing is routed"),
                        };
                        assert_eq!(tag.0, id, "a tag comes back with its item");
                        delivered.push((id, succeeded));
                        true
                    }
                    None => false,
                },
                _ => false,
            };
            assert!(core.in_flight() <= case.max_in_flight && core.admitted() <= case.window);
            let ledger = core.ledger();
            let on_their_way = ledger.pulled - ledger.emitted - ledger.failed - ledger.cancelled;
            assert!(on_their_way <= (case.window * case.max_items) as u64);
            if moved {
                break;
            }
        }
    }
    assert_eq!(tags.get(), 0, "every tag was given back or dropped");
    assert_eq!(started, model[..started.len()], "batches are those of the model, the oldest first");
    (delivered, core.ledger())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_schedule_keeps_the_promises(case in cases()) {
        let (delivered, ledger) = play(&case);
        prop_assert!(ledger.balanced(), "{ledger}");
        prop_assert_eq!(ledger.emitted, delivered.iter().filter(|(_, succeeded)| *succeeded).count() as u64);

        let each: BTreeMap<u64, bool> = delivered.iter().copied().collect();
        prop_assert_eq!(each.len(), delivered.len(), "an item was delivered twice");
        let batches = case.batches();
        for batch in &batches {
            for id in batch {
                if let Some(succeeded) = each.get(id) {
                    prop_assert_eq!(*succeeded, case.succeeds(batch, *id));
                }
            }
        }
        if case.order == Order::Preserve {
            prop_assert!(delivered.is_sorted_by_key(|(id, _)| *id));
        }
        let fails = batches.iter().any(|batch| matches!(case.fate(batch[0]), Fate::Fails | Fate::Short));
        if case.cancel_after.is_none() && (case.on_error == OnError::Skip || !fails) {
            prop_assert_eq!(each.len(), case.weights.len(), "an item was lost");
            prop_assert_eq!(ledger.cancelled, 0);
        }
    }
}

#[test]
fn an_item_that_cannot_be_weighed_fails_alone_and_in_its_place() {
    let weigh = |weight: &u64| if *weight == 3 { panic!("no scale") } else { 1 };
    let limits = Limits::new().batching(WeightedBatch::new(2, weigh));
    let mut core: Core<u64, u64, ()> = Core::new(limits.resolve(), Arc::default(), None);
    let now = Instant::now();
    let mut seen = Vec::new();
    let mut input = 0..6;
    while !core.is_done() {
        if core.wants_input() {
            match input.next() {
                Some(id) => core.offer(Item::new(id, id), (), now),
                None => core.end_input(),
            }
        }
        while let Some(Started { permit, batch, .. }) = core.start(now) {
            let results = batch.payloads().map(|id| Ok(*id)).collect();
            core.complete(permit, Ok(results), now);
        }
        while let Some((outcome, ())) = core.next() {
            seen.push(match outcome {
                Ended::Done(item) => item.id.0.to_string(),
                Ended::Failed(failure) => failure.to_string(),
                Ended::Routed(_) => unreachable!("nothing is routed"),
            });
        }
    }
    assert_eq!(seen, ["0", "1", "2", "item 3: handler: panicked: no scale", "4", "5"]);
    assert!(core.ledger().balanced() && core.halted().is_none());
}
