//! A caller that dispatches items, and holds what comes back against what was promised.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};

use super::book::{Answer, ITEMS, Rule, Shared, check};
use super::dice::Dice;
use super::plan::{Ending, Run, Shape};
use crate::context::Context;
use crate::dispatch::{Batch, Driver, Ended, Executor, OnError, Order, Reply, Yields};
use crate::error::{ErrorKind, RunError};
use crate::item::Item;
use crate::pool::station::lock;
use crate::pool::{PoolExecutor, RunningPool, Via};

/// Runs batches in the pool, and counts those in flight.
struct Watched {
    inner: PoolExecutor,
    book: Shared,
    flying: Arc<Mutex<Flying>>,
    most: usize,
    sticky: bool,
}

#[derive(Default)]
struct Flying {
    batches: usize,
    keys: HashSet<u64>,
}

/// One batch in flight.
struct Flight {
    flying: Arc<Mutex<Flying>>,
    key: Option<u64>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut flying = lock(&self.flying);
        flying.batches -= 1;
        if let Some(key) = self.key {
            flying.keys.remove(&key);
        }
    }
}

impl Watched {
    fn set_out(&self, batch: &Batch<u64>) -> Flight {
        check(&self.book, || {
            let mut flying = lock(&self.flying);
            flying.batches += 1;
            let batches = flying.batches;
            assert!(batches <= self.most, "{batches} batches are in flight, of at most {}", self.most);
            assert_eq!(batch.key.is_some(), self.sticky);
            if let Some(key) = batch.key {
                assert!(flying.keys.insert(key), "two batches of one key are in flight");
            }
        });
        Flight { flying: self.flying.clone(), key: batch.key }
    }
}

impl Executor<u64, Answer> for Watched {
    fn execute(&self, _: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<Answer>> {
        unreachable!("dispatch calls the other one")
    }

    fn execute_yielding(
        &self,
        batch: &Batch<u64>,
        context: &Context,
        yields: Yields<Answer>,
    ) -> BoxFuture<'static, Reply<Answer>> {
        let flight = self.set_out(batch);
        let items: Vec<u64> = batch.payloads().copied().collect();
        let (book, pool) = (self.book.clone(), self.inner.pool.clone());
        let reply = self.inner.execute_yielding(batch, context, yields);
        Box::pin(async move {
            let reply = reply.await;
            drop(flight);
            if let Err(error) = &reply {
                check(&book, || {
                    let refused = error.kind() == ErrorKind::Pool;
                    assert!(
                        !refused || pool.queue.closed().is_some(),
                        "a pool refuses that takes work: {error}"
                    );
                    lock(&book).check_blame(&items, error);
                });
            }
            reply
        })
    }

    fn name(&self) -> &str {
        "p"
    }

    fn slots(&self) -> usize {
        <PoolExecutor as Executor<u64, Answer>>::slots(&self.inner)
    }

    fn is_stateful(&self) -> bool {
        <PoolExecutor as Executor<u64, Answer>>::is_stateful(&self.inner)
    }
}

fn rule(run: &Run) -> Rule {
    let most_runs = match &run.policy {
        OnError::Retry(retry) if *run.policy.last() != OnError::Isolate => Some(retry.attempts() as usize),
        OnError::Halt | OnError::Skip => Some(1),
        _ => None,
    };
    let sticky = match run.shape {
        Shape::Keyed { keys, sticky: true, .. } => Some(keys),
        _ => None,
    };
    Rule { most_runs, sticky }
}

/// Items from the first on, as the plan says they come.
fn source(
    run: &Run,
    first: u64,
    pulled: Arc<Mutex<u64>>,
    mut dice: Dice,
) -> impl stream::Stream<Item = Result<(Item<u64>, u64), String>> + use<> {
    let (count, slow, ending) = (run.items, run.slow_source, run.ending);
    let pause = move |dice: &mut Dice| slow.then(|| dice.millis(0, 8)).filter(|_| dice.permille(300));
    stream::unfold(0, move |at| {
        let pause = pause(&mut dice);
        let pulled = pulled.clone();
        async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            match ending {
                Ending::Error(after) if at == after => return Some((Err("it broke".to_owned()), count + 1)),
                _ if at >= count => return None,
                _ => {}
            }
            *lock(&pulled) += 1;
            Some((Ok((Item::new(at, first + at), at)), at + 1))
        }
    })
}

/// Dispatches the items of a plan.
pub(super) async fn dispatch(
    pool: Arc<RunningPool>,
    via: Via,
    run: Run,
    number: u64,
    book: Shared,
    mut dice: Dice,
) {
    lock(&book).rules.insert(number, rule(&run));
    let limits = run.limits();
    limits.validate().expect("the limits make sense");
    let executor = Watched {
        inner: PoolExecutor { pool, function: "m:f".into(), timeout: run.timeout, yields: run.yields, via },
        book: book.clone(),
        flying: Arc::default(),
        most: run.max_in_flight,
        sticky: matches!(run.shape, Shape::Keyed { sticky: true, .. }),
    };
    let first = number * ITEMS;
    let pulled = Arc::new(Mutex::new(0));
    let source = source(&run, first, pulled.clone(), dice.split());
    let driver: Driver<_, u64, Answer, u64> =
        Driver::new(Arc::new(executor), source, limits.resolve(), Context::run(), Arc::default());
    let mut driver = pin!(driver);
    let (mut done, mut failed, mut last, mut cancelled) = (0, 0, None, false);
    let verdict = loop {
        if let Ending::Cancel(after) = run.ending
            && done + failed >= after
            && !cancelled
        {
            cancelled = true;
            lock(&book).tally.count("runs cancelled");
            driver.as_mut().get_mut().cancel_unfinished();
        }
        let inside = *lock(&pulled) - done - failed;
        let ended = match driver.next().await {
            Some(Ok((ended, tag))) => (ended, tag),
            Some(Err(error)) => break Some(error),
            None => break None,
        };
        // One batch more than the window may be gathered.
        let room = (run.window * run.batch) as u64;
        assert!(cancelled || inside <= room, "{inside} items are inside, there is room for {room}");
        let (item, tag) = match ended {
            (Ended::Done(item), tag) => {
                lock(&book).check_answer(first + tag, item.payload);
                done += 1;
                (item.id.0, tag)
            }
            (Ended::Failed(failure), tag) => {
                failed += 1;
                (failure.item.0, tag)
            }
            (Ended::Routed(_), _) => unreachable!("nothing is routed"),
        };
        assert_eq!(item, tag, "a tag comes back with its item");
        lock(&book).deliver(first + item);
        if run.order == Order::Preserve {
            assert!(last < Some(item), "item {item} comes behind {last:?}");
            last = Some(item);
        }
        if run.slow_reader && dice.permille(200) {
            tokio::time::sleep(dice.millis(0, 10)).await;
        }
    };
    let ledger = driver.ledger();
    assert!(ledger.balanced(), "{ledger}");
    assert_eq!((ledger.emitted, ledger.failed, ledger.pulled), (done, failed, *lock(&pulled)));
    let mut book = lock(&book);
    book.say(|| {
        format!(
            "run {number} ended: {ledger}, {verdict:?}",
            verdict = verdict.as_ref().map(ToString::to_string)
        )
    });
    match verdict {
        Some(RunError::Halted(_)) => {
            assert_eq!(*run.policy.last(), OnError::Halt, "nothing else halts");
            book.tally.count("runs halted");
        }
        Some(RunError::Source(_)) => {
            assert!(matches!(run.ending, Ending::Error(_)));
            assert_eq!(ledger.cancelled, 0, "everything up to the failure of the source ends");
            book.tally.count("sources that failed");
        }
        Some(other) => panic!("{other}"),
        None if !cancelled => {
            assert_eq!(ledger.cancelled, 0);
            assert_eq!(done + failed, run.items, "items are lost");
            book.tally.count("runs that came to their end");
        }
        None => {}
    }
    book.tally.count("dispatches");
}
