//! Random failures under every policy, with a clock that jumps. No runtime: only decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::core::{Core, Started};
use super::executor::BatchId;
use super::outcome::Ended;
use super::permits::Permit;
use super::recovery::MAX_COLLATERAL;
use super::sticky::tests::OneByOne;
use super::yields::Yielded;
use super::{
    AutoBatch, Batching, FixedBatch, KeyPartition, Limits, OnError, Order, Reply, Retry, WeightedBatch,
};
use crate::error::{ErrorKind, ItemError};
use crate::item::{Item, Ledger};

/// What an item does to its batch, counted in how often the item has been run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
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
    /// Its batch is lost to another call of the worker so many times.
    Beside(u32),
}

#[derive(Debug, Clone)]
struct Case {
    faults: Vec<Fault>,
    shape: Shape,
    batch: usize,
    max_wait: Option<Duration>,
    /// Items a second.
    rate: Option<u64>,
    max_in_flight: usize,
    window: usize,
    order: Order,
    policy: OnError,
    /// Whether results are yielded before the batch ends.
    yields: bool,
    choices: Vec<u8>,
    cancel_after: Option<usize>,
}

/// A batch at the executor.
struct Flying {
    permit: Permit,
    batch: BatchId,
    /// Its first item.
    first: u64,
    /// What it may yield before its reply, which is for the rest.
    early: Vec<Result<u64, ItemError>>,
    reply: Reply<u64>,
}

impl Flying {
    /// Yields so many results now.
    fn take(&mut self, count: usize) -> Yielded<u64> {
        let count = count.clamp(1, self.early.len());
        let results = self.early.drain(..count).collect();
        Yielded { permit: self.permit, batch: self.batch, results }
    }

    /// What it comes back with: an error leaves what was not yielded to the policy.
    fn into_reply(self) -> (Permit, Reply<u64>) {
        let Self { permit, mut early, reply, .. } = self;
        (
            permit,
            reply.map(|rest| {
                early.extend(rest);
                early
            }),
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Fixed,
    /// By the slots, which change between turns.
    Auto,
    Weighted,
    /// By the remainder of the id, with so many keys open; sticky or not.
    Keyed(u64, usize, bool),
}

/// What a play of a case came to.
struct Played {
    /// In the order of delivery, with how each ended.
    delivered: Vec<(u64, End)>,
    ledger: Ledger,
    dispatches: usize,
    halted: bool,
    attempts: BTreeMap<u64, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Done,
    Failed,
    Routed,
}

const MAX_WEIGHT: u64 = 10;

fn weight(id: u64) -> u64 {
    id * 7 % 13
}

impl Case {
    fn limits(&self) -> Limits<u64> {
        let batching: Batching<u64> = match (self.shape, self.max_wait) {
            (Shape::Fixed, None) => FixedBatch(self.batch).into(),
            (Shape::Fixed, Some(wait)) => FixedBatch(self.batch).max_wait(wait),
            (Shape::Auto, wait) => {
                let auto = AutoBatch::new().max_items(self.batch);
                wait.map_or(auto, |wait| auto.max_wait(wait)).into()
            }
            (Shape::Weighted, wait) => {
                let by_weight = WeightedBatch::new(MAX_WEIGHT, |id| weight(*id)).max_items(self.batch);
                wait.map_or(by_weight.clone(), |wait| by_weight.max_wait(wait)).into()
            }
            (Shape::Keyed(keys, open, sticky), wait) => {
                let by_key = KeyPartition::new(move |id| id % keys).batch_size(self.batch);
                let by_key = if sticky { by_key.sticky() } else { by_key }.max_open_keys(open);
                wait.map_or(by_key.clone(), |wait| by_key.max_wait(wait)).into()
            }
        };
        let limits = match self.rate {
            Some(items) => Limits::new().rate_limit(items, Duration::from_secs(1)),
            None => Limits::new(),
        };
        limits
            .batching(batching)
            .max_in_flight(self.max_in_flight)
            .window(self.window)
            .order(self.order)
            .on_error(self.policy.clone())
    }

    /// How a batch comes back whose items have been run so often before.
    fn reply(&self, batch: &[u64], runs: &BTreeMap<u64, u32>) -> Reply<u64> {
        let fault = |id: &u64| self.faults[*id as usize];
        let before = |id: &u64| runs[id] - 1;
        let kills = |id: &u64| match fault(id) {
            Fault::Kills => true,
            Fault::KillsTimes(times) => before(id) < times,
            _ => false,
        };
        if batch.iter().any(kills) {
            return Err(ItemError::new(ErrorKind::Crash, "was killed"));
        }
        if batch.iter().any(|id| matches!(fault(id), Fault::Beside(times) if before(id) < times)) {
            return Err(ItemError::new(ErrorKind::Collateral, "was lost to another"));
        }
        if batch.iter().any(|id| fault(id) == Fault::Raises) {
            return Err(ItemError::new(ErrorKind::Exception, "raised"));
        }
        Ok(batch.iter().map(|id| self.result(*id, runs)).collect())
    }

    /// What an item comes to that fails nothing but itself.
    fn result(&self, id: u64, runs: &BTreeMap<u64, u32>) -> Result<u64, ItemError> {
        match self.faults[id as usize] {
            Fault::Alone => Err(ItemError::new(ErrorKind::Failed, "alone")),
            Fault::Again(times) if runs[&id] - 1 < times => {
                Err(ItemError::new(ErrorKind::Retry, "again")
                    .with_retry_after(Some(Duration::from_secs(id % 3))))
            }
            _ => Ok(id * 10),
        }
    }

    /// What a batch may yield, and its reply for what it does not: a generator that fails has yielded the results
    /// of the items before the one that made it fail.
    fn run(&self, batch: &[u64], runs: &BTreeMap<u64, u32>) -> (Vec<Result<u64, ItemError>>, Reply<u64>) {
        let reply = self.reply(batch, runs);
        if !self.yields {
            return (Vec::new(), reply);
        }
        let fails = |id: &&u64| match self.faults[**id as usize] {
            Fault::Raises | Fault::Kills => true,
            Fault::KillsTimes(times) | Fault::Beside(times) => runs[*id] - 1 < times,
            _ => false,
        };
        let early = batch.iter().take_while(|id| !fails(id)).map(|id| self.result(*id, runs)).collect();
        (early, reply.map(|_| Vec::new()))
    }

    /// How often an item may be run at most without an attempt.
    fn free(&self) -> u32 {
        let beside = |fault: &Fault| matches!(fault, Fault::Beside(_));
        if self.faults.iter().any(beside) { MAX_COLLATERAL } else { 0 }
    }

    fn check_batch(&self, batch: &[u64]) {
        assert!(!batch.is_empty() && batch.len() <= self.batch);
        assert!(batch.is_sorted());
        let total: u64 = batch.iter().map(|id| weight(*id)).sum();
        assert!(
            self.shape != Shape::Weighted || total <= MAX_WEIGHT || batch.len() == 1,
            "it weighs {total}"
        );
        if let Shape::Keyed(keys, ..) = self.shape {
            assert!(batch.iter().all(|id| id % keys == batch[0] % keys), "a batch holds two keys");
        }
    }

    /// Plays the case to its end. Time passes only when nothing else can happen.
    fn play(&self) -> Played {
        let limits = self.limits();
        limits.validate().expect("the limits make sense");
        let began = Instant::now();
        let mut now = began;
        let mut started = 0;
        let mut source = 0;
        let mut core: Core<u64, u64, u64> = Core::new(limits.resolve(), Arc::default(), None);
        let mut running: Vec<Flying> = Vec::new();
        let mut yielded: BTreeSet<u64> = BTreeSet::new();
        let mut runs: BTreeMap<u64, u32> = BTreeMap::new();
        let mut input = 0..self.faults.len() as u64;
        let mut delivered = Vec::new();
        let (mut dispatches, mut one_by_one) = (0, OneByOne::default());
        let mut halted = false;
        for step in 0usize.. {
            assert!(step < 200_000, "it does not end");
            if self.cancel_after == Some(step) {
                running.clear();
                core.cancel();
            }
            if core.halted().is_some() && !halted {
                halted = true;
                running.clear();
                core.cancel_unfinished();
            }
            if core.is_done() {
                break;
            }
            let choice = self.choices[step % self.choices.len()].wrapping_add(step as u8);
            let admitted = core.admitted();
            let moved = (0..4u8).any(|action| match (choice % 4 + action) % 4 {
                0 if core.wants_input() => {
                    // With a bound on waiting, the source sometimes has nothing for a while.
                    source += 1;
                    if self.max_wait.is_some() && source % 11 == 0 {
                        return false;
                    }
                    if core.follows_slots() {
                        core.follow(1 + step / 16 % 3, Some(input.clone().count()));
                    }
                    match input.next() {
                        Some(id) => core.offer(Item::new(id, id), id, now),
                        None => core.end_input(),
                    }
                    true
                }
                1 => match core.start(now) {
                    Some(Started { permit, batch, attempt }) => {
                        dispatches += 1;
                        let ids: Vec<u64> = batch.items.iter().map(|item| item.id.0).collect();
                        self.check_batch(&ids);
                        started += ids.len() as u64;
                        if let Some(rate) = self.rate {
                            // The last batch may be larger than what is left.
                            let earned = (now - began).as_secs_f64() * rate as f64 + rate as f64;
                            let paid = started - ids.len() as u64 + (ids.len() as u64).min(rate);
                            assert!(paid as f64 <= earned + 0.001, "{started} items, {earned} earned");
                        }
                        for id in &ids {
                            assert!(!yielded.contains(id), "what was yielded is final");
                            let run = runs.entry(*id).or_default();
                            *run += 1;
                            assert!(
                                (runs[id].saturating_sub(self.free())..=runs[id]).contains(&attempt),
                                "the attempt is how often the items have been run, but for what was lost to others"
                            );
                        }
                        if let Shape::Keyed(keys, _, true) = self.shape {
                            let others = running.iter().map(|flying| flying.first % keys);
                            one_by_one.check(ids[0] % keys, &ids, attempt, others);
                        }
                        let batch = batch.id;
                        let (early, reply) = self.run(&ids, &runs);
                        running.push(Flying { permit, batch, first: ids[0], early, reply });
                        true
                    }
                    None => false,
                },
                2 if !running.is_empty() => {
                    let at = usize::from(choice) % running.len();
                    if !running[at].early.is_empty() && choice % 5 > 1 {
                        let part = running[at].take(usize::from(choice) % 4);
                        let good: Vec<u64> =
                            part.results.iter().flatten().map(|payload| payload / 10).collect();
                        yielded.extend(good);
                        return core.partial(part).is_some();
                    }
                    let (permit, reply) = running.swap_remove(at).into_reply();
                    core.complete(permit, reply, now).is_some()
                }
                3 => match core.next() {
                    Some((ended, tag)) => {
                        let (id, end) = match ended {
                            Ended::Done(item) => {
                                assert_eq!(item.payload, item.id.0 * 10);
                                (item.id.0, End::Done)
                            }
                            Ended::Failed(failure) => (failure.item.0, End::Failed),
                            Ended::Routed(routed) => {
                                assert_eq!(routed.payload, routed.failure.item.0);
                                (routed.payload, End::Routed)
                            }
                        };
                        assert_eq!(tag, id, "a tag comes back with its item");
                        delivered.push((id, end));
                        true
                    }
                    None => false,
                },
                _ => false,
            });
            assert!(running.len() <= core.in_flight() && core.in_flight() <= self.max_in_flight);
            let ledger = core.ledger();
            let inside = ledger.pulled - ledger.emitted - ledger.failed - ledger.cancelled;
            assert!(inside <= (self.window * self.batch) as u64, "{inside} items are inside");
            let keyed = matches!(self.shape, Shape::Keyed(..));
            assert!(keyed || core.admitted() <= self.window);
            // Reading a batch to its end frees its place, even if there is nothing more to read.
            if !moved && core.admitted() == admitted {
                match core.wake_at(now) {
                    Some(at) => now = at,
                    None => assert!(core.wants_input(), "it stalls at step {step}"),
                }
            }
        }
        Played { delivered, ledger: core.ledger(), dispatches, halted, attempts: runs }
    }
}

fn policies() -> impl Strategy<Value = OnError> {
    let last = || {
        prop_oneof![
            2 => Just(OnError::Halt),
            2 => Just(OnError::Skip),
            3 => Just(OnError::Isolate),
            2 => Just(OnError::Route("rejects".into())),
        ]
    };
    let retry = (1u32..5, last(), any::<u64>())
        .prop_map(|(attempts, then, seed)| OnError::Retry(Retry::new(attempts).then(then).seed(seed)));
    prop_oneof![last(), retry]
}

fn cases() -> impl Strategy<Value = Case> {
    let fault = prop_oneof![
        16 => Just(Fault::None),
        1 => Just(Fault::Raises),
        1 => Just(Fault::Kills),
        1 => (1u32..4).prop_map(Fault::KillsTimes),
        1 => (1u32..4).prop_map(Fault::Again),
        1 => Just(Fault::Alone),
        1 => (1u32..12).prop_map(Fault::Beside),
    ];
    let order = prop_oneof![Just(Order::Preserve), Just(Order::AsCompleted)];
    let shape = prop_oneof![
        Just(Shape::Fixed),
        Just(Shape::Auto),
        Just(Shape::Weighted),
        (1u64..20, 1usize..8, any::<bool>())
            .prop_map(|(keys, open, sticky)| Shape::Keyed(keys, open, sticky)),
    ];
    let bounds = (1usize..9, 1usize..6, 1usize..10, order);
    let times = (
        prop::option::weighted(0.3, (0u64..3000).prop_map(Duration::from_millis)),
        prop::option::weighted(0.3, 1u64..50),
        any::<bool>(),
    );
    let rest = (policies(), any::<[u8; 32]>(), prop::option::weighted(0.2, 0usize..400));
    (prop::collection::vec(fault, 0..120), shape, bounds, times, rest).prop_map(
        |(faults, shape, bounds, (max_wait, rate, yields), rest)| {
            let (batch, max_in_flight, window, order) = bounds;
            let (policy, choices, cancel_after) = rest;
            let choices = choices.to_vec();
            Case {
                faults,
                shape,
                batch,
                max_wait,
                rate,
                max_in_flight,
                window,
                order,
                policy,
                yields,
                choices,
                cancel_after,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_policy_keeps_the_promises(case in cases()) {
        let played = case.play();
        let Played { delivered, ledger, halted, attempts, .. } = &played;
        prop_assert!(ledger.balanced(), "{}", ledger);
        let ids: BTreeSet<u64> = delivered.iter().map(|(id, _)| *id).collect();
        prop_assert_eq!(ids.len(), delivered.len(), "an item was delivered twice");
        if case.order == Order::Preserve {
            prop_assert!(delivered.is_sorted_by_key(|(id, _)| *id));
        }
        if !halted && case.cancel_after.is_none() {
            prop_assert_eq!(ids.len(), case.faults.len(), "an item was lost");
            prop_assert_eq!(ledger.cancelled, 0);
        }
        prop_assert!(!halted || *case.policy.last() == OnError::Halt);
        let (routes, isolates) = (case.policy.output().is_some(), *case.policy.last() == OnError::Isolate);
        for (id, end) in delivered {
            let fault = case.faults[*id as usize];
            match end {
                End::Done => prop_assert!(!matches!(fault, Fault::Raises | Fault::Kills | Fault::Alone)),
                End::Failed => prop_assert!(!routes, "a failed item is routed"),
                End::Routed => prop_assert!(routes),
            }
            if isolates && fault == Fault::None {
                prop_assert_eq!(*end, End::Done, "an innocent item failed");
            }
            if isolates && fault == Fault::KillsTimes(1) {
                prop_assert_eq!(*end, End::Done, "an item was blamed for one death");
            }
            if isolates && matches!(fault, Fault::Beside(times) if times <= MAX_COLLATERAL) {
                prop_assert_eq!(*end, End::Done, "an item was blamed for what another call did");
            }
        }
        if let OnError::Retry(retry) = &case.policy && !isolates {
            // Its own attempts are the most that any item has seen, and those that were lost to other calls.
            prop_assert!(attempts.values().all(|runs| retry.attempts() + case.free() >= *runs));
        }
        if matches!(case.policy, OnError::Halt | OnError::Skip | OnError::Route(_)) {
            prop_assert!(attempts.values().all(|runs| *runs == 1), "nothing is run again");
        }
    }

    #[test]
    fn isolate_costs_at_most_its_bound(
        n in 1usize..=128,
        culprits in prop::collection::btree_set(0usize..128, 0..20),
        kills in any::<bool>(),
        yields in any::<bool>(),
    ) {
        let culprits: BTreeSet<u64> = culprits.into_iter().filter(|at| *at < n).map(|at| at as u64).collect();
        let played = isolate(n, &culprits, kills, yields);
        let failed: BTreeSet<u64> =
            played.delivered.iter().filter(|(_, end)| *end == End::Failed).map(|(id, _)| *id).collect();
        prop_assert_eq!(&failed, &culprits, "only the culprits fail");
        let bound = bound(n, culprits.len());
        prop_assert!(played.dispatches <= bound, "{} dispatches, the bound is {}", played.dispatches, bound);
    }
}

fn isolate(n: usize, culprits: &BTreeSet<u64>, kills: bool, yields: bool) -> Played {
    let culprit = if kills { Fault::Kills } else { Fault::Raises };
    let case = Case {
        faults: (0..n as u64).map(|id| if culprits.contains(&id) { culprit } else { Fault::None }).collect(),
        shape: Shape::Fixed,
        max_wait: None,
        rate: None,
        batch: n,
        max_in_flight: 1,
        window: 2,
        order: Order::Preserve,
        policy: OnError::Isolate,
        yields,
        choices: vec![1],
        cancel_after: None,
    };
    case.play()
}

fn bound(n: usize, k: usize) -> usize {
    2 * k * (1 + n.next_power_of_two().ilog2() as usize) + 1
}

#[test]
fn isolate_keeps_its_bound_when_all_are_culprits() {
    for n in 1..=128 {
        let all = (0..n as u64).collect();
        for kills in [false, true] {
            let played = isolate(n, &all, kills, n % 2 == 0);
            assert!(played.delivered.iter().all(|(_, end)| *end == End::Failed));
            assert!(played.dispatches <= bound(n, n), "{} for {n}", played.dispatches);
        }
    }
}
