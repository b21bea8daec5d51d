//! Poison is bounded: under `isolate` only the culprits fail, at a bounded cost, also when they kill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use slither::dispatch::{Batch, Executor, InProcess, Limits, Reply, dispatch};
use slither::{Call, Context, ErrorKind, ItemError, OnError, Slither, Value};

use crate::support::{Folder, pool, runtime, within};

/// 2k(1+⌈log₂ n⌉)+1.
fn bound(n: usize, k: usize) -> usize {
    2 * k * (1 + n.next_power_of_two().ilog2() as usize) + 1
}

/// Dispatches 64 items in one batch, of which those `at` are `deed`.
async fn isolate(slither: &Slither, deed: &str, at: &[usize]) {
    let items = (0..64usize).map(|n| match at.contains(&n) {
        true => Value::from(deed),
        false => Value::from(n as u64),
    });
    let call = Call::new("policies:poison").batch_size(64).on_error(OnError::Isolate);
    let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
    let failed: Vec<_> = done.failures.iter().map(|failure| failure.item.0 as usize).collect();
    assert_eq!(failed, at, "only the culprits fail");
    let survived: Vec<_> = done.results.iter().map(|item| item.id.0 as usize).collect();
    assert_eq!(survived, (0..64).filter(|n| !at.contains(n)).collect::<Vec<_>>(), "the order holds");
    assert!(done.ledger.balanced());
    for failure in &done.failures {
        assert_eq!(failure.batch.len(), 1);
        let kind = if deed == "bad" { ErrorKind::Exception } else { ErrorKind::Crash };
        assert_eq!(failure.error.kind(), kind, "{}", failure.error.report());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_segfault_fail_alone() {
    for culprits in [vec![37], vec![0, 63], (0..64).collect()] {
        within(async {
            let slither = runtime(pool(2)).await;
            isolate(&slither, "poison", &culprits).await;
            let deaths = slither.stats("default").unwrap().deaths;
            let (least, most) = (2 * culprits.len(), bound(64, culprits.len()));
            assert!((least..=most).contains(&deaths), "{deaths} deaths");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_raise_fail_alone_and_kill_nobody() {
    within(async {
        let slither = runtime(pool(1)).await;
        isolate(&slither, "bad", &[5, 6, 40]).await;
        assert_eq!(slither.stats("default").unwrap().deaths, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_not_blamed_for_one_death() {
    within(async {
        let (slither, folder) = (runtime(pool(1)).await, Folder::new());
        let call = Call::new("policies:fails_once").batch_size(1).on_error(OnError::Isolate);
        let done = slither.dispatch::<_, String>([folder.path("a")], call).await.unwrap();
        assert_eq!((done.results.len(), done.failures.len()), (1, 0));
        assert_eq!(slither.stats("default").unwrap().deaths, 1);
    })
    .await;
}

/// Fails every batch with a multiple of ten in it; notes what it was given.
#[derive(Default)]
struct Noting(Mutex<Vec<(u64, u32, Vec<u64>)>>);

impl Executor<u64, u64> for Noting {
    fn execute(&self, batch: &Batch<u64>, context: &Context) -> BoxFuture<'static, Reply<u64>> {
        let payloads: Vec<u64> = batch.payloads().copied().collect();
        self.0.lock().unwrap().push((batch.id.0, context.attempt, payloads.clone()));
        let bad = payloads.iter().any(|n| n.is_multiple_of(10));
        let reply = match bad {
            true => Err(ItemError::new(ErrorKind::Exception, "a ten")),
            false => Ok(payloads.into_iter().map(Ok).collect()),
        };
        Box::pin(std::future::ready(reply))
    }

    fn name(&self) -> &str {
        "noting"
    }
}

#[tokio::test]
async fn each_half_is_a_dispatch_of_its_own_with_its_attempt() {
    let noting = Arc::new(Noting::default());
    let limits = Limits::new().batch_size(4).max_in_flight(1).on_error(OnError::Isolate);
    let done = within(dispatch(noting.clone(), 8u64..12, &limits, Context::run())).await.unwrap();
    assert_eq!(done.failures.iter().map(|failure| failure.item.0).collect::<Vec<_>>(), [2]);
    let seen = noting.0.lock().unwrap().clone();
    let expected = [
        (0, 1, vec![8, 9, 10, 11]),
        (1, 2, vec![8, 9]),
        (2, 2, vec![10, 11]),
        (3, 3, vec![10]),
        (4, 3, vec![11]),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_innocent_survive_in_every_batch() {
    let picky = Arc::new(InProcess::new("local", |payloads: Vec<u64>| {
        if payloads.iter().any(|n| n.is_multiple_of(50)) { Err("no good") } else { Ok(payloads) }
    }));
    let limits = Limits::new().batch_size(20).on_error(OnError::Isolate);
    let done = within(dispatch(picky, 0..1000, &limits, Context::run())).await.unwrap();
    assert_eq!((done.results.len(), done.failures.len()), (980, 20));
    assert!(done.results.is_sorted_by_key(|item| item.id));
    let by_error: BTreeMap<String, usize> = done.failures.iter().fold(BTreeMap::new(), |mut all, failure| {
        *all.entry(failure.error.to_string()).or_default() += 1;
        all
    });
    assert_eq!(by_error, BTreeMap::from([("no good".to_owned(), 20)]));
}
