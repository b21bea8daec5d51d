//! An executor that does what its items say, and looks at each batch that it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use slither::dispatch::{Batch, Executor, OnError, Reply};
use slither::{Context, ErrorKind, ItemError};

use super::case::{Fault, MAX_WEIGHT, Shape, Stage, weight};

/// Runs batches of a [`Stage`].
pub(super) struct Faulty {
    stage: Stage,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    runs: BTreeMap<u64, u32>,
    in_flight: usize,
    dispatches: usize,
    /// What `isolate` may cost, added up over the batches as they were first formed.
    bound: usize,
    /// What was wrong with a batch; told at the end, because a panic here would be the batch's failure.
    wrong: Vec<String>,
}

/// Leaves when the reply is taken, or is not wanted any more.
struct InFlight(Arc<Mutex<Seen>>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().expect("nothing panics under the lock").in_flight -= 1;
    }
}

impl Faulty {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage, seen: Arc::default() }
    }

    /// What was seen keeps the bounds.
    pub(super) fn check(&self) {
        let seen = self.seen.lock().expect("nothing panics under the lock");
        assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
        assert_eq!(seen.in_flight, 0);
        if self.stage.policy == OnError::Isolate {
            assert!(seen.dispatches <= seen.bound, "{} dispatches, bound {}", seen.dispatches, seen.bound);
        }
        let once = matches!(self.stage.policy, OnError::Halt | OnError::Skip | OnError::Route(_));
        assert!(!once || seen.runs.values().all(|runs| *runs == 1), "nothing is run again");
    }

    fn look(&self, batch: &[u64], attempt: u32) -> InFlight {
        let stage = &self.stage;
        let mut seen = self.seen.lock().expect("nothing panics under the lock");
        seen.in_flight += 1;
        seen.dispatches += 1;
        let weighs: u64 = batch.iter().map(|item| weight(*item)).sum();
        let mut check = |holds: bool, what: &str| {
            if !holds {
                seen.wrong.push(format!("{what}: {batch:?}"));
            }
        };
        check(!batch.is_empty() && batch.len() <= stage.batch, "too many items");
        let light = stage.shape != Shape::Weighted || weighs <= MAX_WEIGHT || batch.len() == 1;
        check(light, "too heavy");
        if let Shape::Keyed(keys, _) = stage.shape {
            check(batch.iter().all(|item| item % keys == batch[0] % keys), "two keys");
        }
        if seen.in_flight > stage.max_in_flight {
            let told = format!("{} in flight", seen.in_flight);
            seen.wrong.push(told);
        }
        if batch.iter().all(|item| !seen.runs.contains_key(item)) {
            let culprits = batch.iter().filter(|item| stage.fault(**item) != Fault::None).count();
            seen.bound += 2 * culprits * (1 + batch.len().next_power_of_two().ilog2() as usize) + 1;
        }
        for item in batch {
            let runs = seen.runs.entry(*item).or_default();
            *runs += 1;
            if *runs != attempt {
                let told = format!("item {item}: run {runs} times, attempt {attempt}");
                seen.wrong.push(told);
            }
        }
        InFlight(self.seen.clone())
    }

    fn reply(&self, batch: &[u64]) -> Reply<u64> {
        let seen = self.seen.lock().expect("nothing panics under the lock");
        let before = |item: &u64| seen.runs[item] - 1;
        let fault = |item: &u64| self.stage.fault(*item);
        let kills = |item: &u64| match fault(item) {
            Fault::Kills => true,
            Fault::KillsTimes(times) => before(item) < times,
            _ => false,
        };
        if batch.iter().any(kills) {
            return Err(ItemError::new(ErrorKind::Crash, "was killed"));
        }
        if batch.iter().any(|item| fault(item) == Fault::Raises) {
            return Err(ItemError::new(ErrorKind::Exception, "raised"));
        }
        let result = |item: &u64| match fault(item) {
            Fault::Alone => Err(ItemError::new(ErrorKind::Failed, "alone")),
            Fault::Again(times) if before(item) < times => Err(ItemError::new(ErrorKind::Retry, "again")),
            _ => Ok(*item),
        };
        let short = batch.iter().filter(|item| fault(item) == Fault::Short).count().min(1);
        Ok(batch[short..].iter().map(result).collect())
    }
}

impl Executor<u64, u64> for Faulty {
    fn execute(&self, batch: &Batch<u64>, context: &Context) -> BoxFuture<'static, Reply<u64>> {
        let items: Vec<u64> = batch.payloads().copied().collect();
        let in_flight = self.look(&items, context.attempt);
        let panics = items.iter().any(|item| self.stage.fault(*item) == Fault::Panics);
        let reply = self.reply(&items);
        let turns = self.stage.turns[batch.id.0 as usize % self.stage.turns.len()];
        Box::pin(async move {
            let _in_flight = in_flight;
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            assert!(!panics, "this batch panics");
            reply
        })
    }

    fn name(&self) -> &str {
        "faulty"
    }
}
