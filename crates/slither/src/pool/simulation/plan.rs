//! What a seed decides beforehand: the pool, its callers, how often things go wrong, and when it is all ended.

use std::time::Duration;

use super::dice::Dice;
use crate::dispatch::{
    AutoBatch, Batching, FixedBatch, KeyPartition, Limits, OnError, Order, Retry, WeightedBatch,
};
use crate::pool::{Affinity, Breaker, RestartBudget, supervisor};

/// No fault begins after this.
pub(super) const QUIET: Duration = Duration::from_millis(1500);

/// A simulated pool and what is done to it.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) size: usize,
    /// How many calls each worker runs at once.
    pub(super) slots: usize,
    /// And in the order in which they are sent, or as they come to their turn.
    pub(super) in_order: bool,
    pub(super) queue: usize,
    pub(super) budget: RestartBudget,
    pub(super) start_timeout: Duration,
    /// When a worker is recycled; each call that it completes takes a byte.
    pub(super) limits: supervisor::Limits,
    pub(super) breaker: Option<Breaker>,
    pub(super) bound: bool,
    pub(super) faults: Faults,
    /// Most calls take less than the time below which calls are sent ahead.
    pub(super) short: bool,
    pub(super) runs: Vec<Run>,
    pub(super) sessions: Vec<Visits>,
    /// Calls that have to be answered, however often they are made: they show that a breaker closes.
    pub(super) knocks: usize,
    /// Objects that are made in workers, one after the other, and held for a while.
    pub(super) objects: usize,
    /// Calls made once on each worker, or imports.
    pub(super) rounds: usize,
    /// When the pool is shut down, should its callers not have ended before; and with what grace.
    pub(super) shutdown: Option<Duration>,
    pub(super) grace: Duration,
    /// When the nursery is killed, and when a random worker is.
    pub(super) nursery_dies: Vec<Duration>,
    pub(super) worker_dies: Vec<Duration>,
}

/// How often, in a thousand times, something goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    /// A call ends otherwise than with its results.
    pub(super) call: u64,
    /// An answer is followed by one that nobody asked for.
    pub(super) echo: u64,
    /// A worker fails to start.
    pub(super) start: u64,
    /// The nursery fails to start.
    pub(super) nursery: u64,
    /// A signal, or being asked to stop, does not end a worker.
    pub(super) stubborn: u64,
}

/// One dispatch of items.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) items: u64,
    pub(super) shape: Shape,
    pub(super) batch: usize,
    pub(super) max_wait: Option<Duration>,
    pub(super) max_in_flight: usize,
    pub(super) window: usize,
    pub(super) order: Order,
    pub(super) policy: OnError,
    pub(super) yields: bool,
    pub(super) timeout: Duration,
    /// Its batches go to a session.
    pub(super) in_session: bool,
    pub(super) ending: Ending,
    /// The source, or the reader, pauses now and then.
    pub(super) slow_source: bool,
    pub(super) slow_reader: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Fixed,
    Auto,
    Weighted,
    Keyed { keys: u64, open: usize, sticky: bool },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ending {
    /// The input ends.
    Input,
    /// The source fails behind so many items.
    Error(u64),
    /// After so many results nothing more is wanted, but what has finished.
    Cancel(u64),
    /// All of it is dropped at that time.
    Drop(Duration),
}

/// One session, from its opening to its end.
#[derive(Debug, Clone)]
pub(super) struct Visits {
    pub(super) affinity: Affinity,
    pub(super) ttl: Option<Duration>,
    pub(super) calls: usize,
    pub(super) pause: u64,
    pub(super) closes: bool,
    pub(super) dropped: Option<Duration>,
}

impl Plan {
    /// What the supervisor goes by.
    pub(super) fn supervised(&self) -> supervisor::Plan {
        let Self { size, budget, breaker, limits, start_timeout, .. } = *self;
        supervisor::Plan { size, budget, breaker, limits, start_timeout }
    }

    pub(super) fn new(dice: &mut Dice) -> Self {
        // In a third of the seeds little goes wrong, in a third much.
        let harm = *dice.pick(&[8, 60, 220]);
        let kills = |dice: &mut Dice, most: u64| -> Vec<Duration> {
            (0..dice.below(most + 1)).map(|_| dice.millis(0, 400)).collect()
        };
        let slots = if dice.permille(400) { dice.size(2, 4) } else { 1 };
        Self {
            size: dice.size(1, 3),
            slots,
            in_order: slots == 1 && dice.permille(750),
            queue: dice.size(1, 12),
            budget: RestartBudget {
                deaths: dice.size(0, 6),
                period: dice.millis(100, 4000),
                backoff: dice.millis(1, 50),
            },
            start_timeout: dice.millis(50, 300),
            bound: dice.permille(400),
            faults: Faults {
                call: harm,
                echo: harm / 2,
                start: harm / 3,
                nursery: harm / 6,
                stubborn: 20 + harm,
            },
            short: dice.permille(600),
            runs: (0..dice.size(1, 2)).map(|_| Run::new(dice)).collect(),
            sessions: (0..dice.size(0, 2)).map(|_| Visits::new(dice)).collect(),
            rounds: if dice.permille(250) { dice.size(1, 2) } else { 0 },
            shutdown: dice.permille(250).then(|| dice.millis(0, 300)),
            grace: dice.millis(0, 400),
            nursery_dies: if dice.permille(120) { kills(dice, 2) } else { Vec::new() },
            worker_dies: if dice.permille(400) { kills(dice, 4) } else { Vec::new() },
            limits: supervisor::Limits {
                max_requests: dice.permille(500).then(|| dice.between(1, 6)),
                ttl: dice.permille(200).then(|| dice.millis(10, 200)),
                max_rss: dice.permille(200).then(|| dice.between(1, 8)),
            },
            breaker: dice.permille(400).then(|| {
                let cooldown = dice.millis(1, 100);
                let max_cooldown = cooldown.saturating_mul(dice.between(1, 8) as u32);
                Breaker { deaths: dice.size(1, 6), cooldown, max_cooldown }
            }),
            objects: if dice.permille(300) { dice.size(1, 4) } else { 0 },
            knocks: if dice.permille(300) { dice.size(1, 4) } else { 0 },
        }
    }
}

impl Run {
    fn new(dice: &mut Dice) -> Self {
        let last = |dice: &mut Dice| dice.weighted(&[(2, 0), (4, 1), (3, 2)]);
        let policy = |which| match which {
            0 => OnError::Halt,
            1 => OnError::Skip,
            _ => OnError::Isolate,
        };
        let then = policy(last(dice));
        let policy = match dice.permille(300) {
            true => {
                let backoff = dice.millis(1, 30);
                let retry = Retry::new(dice.between(1, 4) as u32).backoff(backoff).seed(dice.below(u64::MAX));
                OnError::Retry(retry.then(then))
            }
            false => then,
        };
        let items = dice.between(0, 24);
        let ending = match dice.below(8) {
            0 => Ending::Error(dice.between(0, items)),
            1 => Ending::Cancel(dice.between(0, items)),
            2 => Ending::Drop(dice.millis(0, 120)),
            _ => Ending::Input,
        };
        let shape = match dice.below(5) {
            0 => Shape::Weighted,
            2 => Shape::Auto,
            1 => Shape::Keyed { keys: dice.between(1, 5), open: dice.size(1, 4), sticky: dice.permille(600) },
            _ => Shape::Fixed,
        };
        Self {
            items,
            shape,
            batch: dice.size(1, 5),
            max_wait: dice.permille(300).then(|| dice.millis(0, 20)),
            max_in_flight: dice.size(1, 5),
            window: dice.size(1, 8),
            order: *dice.pick(&[Order::Preserve, Order::AsCompleted]),
            policy,
            yields: dice.permille(300),
            timeout: dice.millis(20, 120),
            in_session: shape == Shape::Fixed && dice.permille(150),
            ending,
            slow_source: dice.permille(200),
            slow_reader: dice.permille(200),
        }
    }

    pub(super) fn limits(&self) -> Limits<u64> {
        let batching: Batching<u64> = match (self.shape, self.max_wait) {
            (Shape::Fixed, None) => FixedBatch(self.batch).into(),
            (Shape::Fixed, Some(wait)) => FixedBatch(self.batch).max_wait(wait),
            (Shape::Auto, wait) => {
                let auto = AutoBatch::new().max_items(self.batch);
                wait.map_or(auto, |wait| auto.max_wait(wait)).into()
            }
            (Shape::Weighted, wait) => {
                let by_weight = WeightedBatch::new(10, |item| item * 7 % 13).max_items(self.batch);
                wait.map_or(by_weight.clone(), |wait| by_weight.max_wait(wait)).into()
            }
            (Shape::Keyed { keys, open, sticky }, wait) => {
                let by_key = KeyPartition::new(move |item| item % keys).batch_size(self.batch);
                let by_key = if sticky { by_key.sticky() } else { by_key }.max_open_keys(open);
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

impl Visits {
    fn new(dice: &mut Dice) -> Self {
        Self {
            affinity: *dice.pick(&[
                Affinity::StrictQueue,
                Affinity::StrictQueue,
                Affinity::StrictFailFast,
                Affinity::Hint,
            ]),
            ttl: dice.permille(300).then(|| dice.millis(5, 80)),
            calls: dice.size(0, 6),
            pause: dice.between(0, 25),
            closes: dice.permille(500),
            dropped: dice.permille(150).then(|| dice.millis(0, 150)),
        }
    }
}
