//! Which batch meets which fault: a pure function of who the batch is; and the count of what was injected.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::Chaos;
use crate::context::Context;
use crate::dispatch::{Batch, ids};
use crate::error::{ErrorKind, ItemError};
use crate::telemetry::{self, ChaosInjected, Labels};
use crate::wire::Fault;

/// What a pool with [`Chaos`] has injected so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChaosStats {
    /// Workers that killed themselves.
    pub kill: u64,
    /// Batches that hung.
    pub hang: u64,
    /// Batches that began later.
    pub slow: u64,
    /// Answers that broke the protocol.
    pub garbage: u64,
    /// Batches that raised.
    pub raise: u64,
    /// Batches that ran again because an earlier attempt had failed, for whatever reason.
    pub again: u64,
}

impl ChaosStats {
    /// All faults.
    pub fn injected(&self) -> u64 {
        self.kill + self.hang + self.slow + self.garbage + self.raise
    }
}

/// Draws the faults of a pool, and counts them.
#[derive(Debug)]
pub(crate) struct Striker {
    chaos: Chaos,
    counts: [AtomicU64; 5],
    again: AtomicU64,
}

/// A fault that goes with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Planned {
    kind: usize,
    pub(crate) fault: Fault,
}

const KILL_POINTS: [&str; 4] = ["before", "during", "after", "reply"];
const HANG_POINTS: [&str; 2] = ["gil", "sleep"];
const GARBAGE_POINTS: [&str; 3] = ["length", "kind", "body"];

impl Striker {
    pub(crate) fn new(chaos: Chaos) -> Self {
        Self { chaos, counts: Default::default(), again: AtomicU64::new(0) }
    }

    /// The fault that this attempt at this batch meets, if any.
    pub(crate) fn draw<I>(&self, function: &str, batch: &Batch<I>, context: &Context) -> Option<Planned> {
        if context.attempt > 1 {
            self.again.fetch_add(1, Relaxed);
        }
        let mut dice = Dice(self.chaos.seed);
        dice.text(function);
        dice.text(context.stage.as_deref().unwrap_or_default());
        dice.add(u64::from(context.attempt));
        for item in &batch.items {
            dice.add(item.id.0);
        }
        let mut left = dice.throw();
        for (kind, (name, share)) in self.chaos.shares().into_iter().enumerate() {
            if left >= share {
                left -= share;
                continue;
            }
            let (point, amount) = (dice.throw(), dice.throw());
            let of = |points: &[&'static str]| points[(point * points.len() as f64) as usize % points.len()];
            let fault = match name {
                "kill" => Fault { name, point: of(&KILL_POINTS), amount },
                "hang" => Fault { name, point: of(&HANG_POINTS), amount },
                "slow" => Fault { name, point: "before", amount: self.chaos.slow_by.as_secs_f64() },
                "garbage" => Fault { name, point: of(&GARBAGE_POINTS), amount },
                _ => Fault { name, point: "before", amount },
            };
            return Some(Planned { kind, fault });
        }
        None
    }

    /// A call that a fault went with has ended so; it counts unless the call never reached a worker.
    pub(crate) fn ended(
        &self,
        planned: Planned,
        error: Option<&ItemError>,
        call: u64,
        pool: &str,
        context: &Context,
    ) {
        let unsent =
            [ErrorKind::Pool, ErrorKind::SessionLost, ErrorKind::SessionBusy, ErrorKind::SessionEnded];
        if error.is_some_and(|error| unsent.contains(&error.kind())) {
            return;
        }
        self.counts[planned.kind].fetch_add(1, Relaxed);
        let [run, pipe, stage, session] = ids(context);
        let labels = Labels {
            pool: Some(pool),
            pipe: context.pipe.as_deref(),
            stage: context.stage.as_deref(),
            ..Labels::default()
        };
        let Fault { name, point, .. } = &planned.fault;
        let event =
            ChaosInjected::new(run, pipe, stage, session, &pool, &call, &context.attempt, name, point);
        telemetry::emit(labels, &event);
    }

    pub(crate) fn stats(&self) -> ChaosStats {
        let [kill, hang, slow, garbage, raise] = [0, 1, 2, 3, 4].map(|kind| self.counts[kind].load(Relaxed));
        ChaosStats { kill, hang, slow, garbage, raise, again: self.again.load(Relaxed) }
    }
}

/// Numbers from a seed and what was added: splitmix64, the same on every machine and in every version.
struct Dice(u64);

impl Dice {
    fn add(&mut self, word: u64) {
        self.0 = mix(self.0 ^ mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }

    fn text(&mut self, text: &str) {
        // FNV-1a.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        self.add(text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash));
    }

    /// From 0 to below 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::BatchId;
    use crate::item::Item;

    fn drawn(striker: &Striker, first: u64, attempt: u32) -> Option<Fault> {
        let batch = Batch {
            id: BatchId(first * 3),
            items: vec![Item::new(first, ()), Item::new(first + 1, ())],
            suspect: false,
            key: None,
        };
        let context = Context { attempt, ..Context::run() };
        striker.draw("m:f", &batch, &context).map(|planned| planned.fault)
    }

    #[test]
    fn the_shares_are_kept_and_a_seed_repeats_its_faults_whatever_the_run() {
        let chaos: Chaos = "kill=5%,hang=1%,slow=10%:50ms,garbage=2%,raise=4%,seed=7".parse().unwrap();
        let (one, two) = (Striker::new(chaos.clone()), Striker::new(chaos.clone()));
        let other = Striker::new(chaos.with_seed(8));
        let all: Vec<_> = (0..20_000).map(|n| drawn(&one, n, 1)).collect();
        assert!(
            (0..20_000).rev().all(|n| drawn(&two, n, 1) == all[n as usize]),
            "it does not depend on the order"
        );
        assert!((0..20_000).any(|n| drawn(&other, n, 1) != all[n as usize]));
        for (name, share) in [("kill", 1000), ("hang", 200), ("slow", 2000), ("garbage", 400), ("raise", 800)]
        {
            let count = all.iter().flatten().filter(|fault| fault.name == name).count();
            assert!(count.abs_diff(share) < 60 + share / 8, "{name}: {count}, expected about {share}");
        }
        for point in KILL_POINTS.iter().chain(&HANG_POINTS).chain(&GARBAGE_POINTS) {
            assert!(all.iter().flatten().any(|fault| fault.point == *point), "{point}");
        }
    }

    #[test]
    fn another_attempt_is_another_draw() {
        let striker = Striker::new(Chaos::seeded(1).kill(0.5));
        for first in 0..50 {
            assert!(
                (1..40).any(|attempt| drawn(&striker, first, attempt).is_none()),
                "batch {first} never succeeds"
            );
        }
        assert!(striker.stats().again > 0);
    }

    #[test]
    fn all_or_nothing_is_all_or_nothing() {
        let (all, none) = (Striker::new(Chaos::seeded(3).raise(1.0)), Striker::new(Chaos::seeded(3)));
        assert!((0..1000).all(|n| drawn(&all, n, 1).is_some() && drawn(&none, n, 1).is_none()));
    }
}
