//! Dropping a stream or a run takes back what waits, lets go of what runs, and leaves the pool healthy.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use slither::{Call, Item, Order, Outcome, Pipe, PoolStats, Retry, RunOptions, Slither};
use tokio::time::Instant;

use crate::support::{Folder, behave, pool, runtime, until, within};

const WORKERS: usize = 3;

fn stats(slither: &Slither) -> PoolStats {
    slither.stats("default").unwrap()
}

/// The gates that eight batches wait for, one each.
fn gates(folder: &Folder) -> Vec<String> {
    (0..8).map(|at| folder.path(&format!("gate-{at}"))).collect()
}

fn open(gates: &[String]) {
    for gate in gates {
        std::fs::write(gate, "").unwrap();
    }
}

/// Every worker is busy, and the rest waits for one. What Python has not begun would end when nobody waits for it.
async fn all_in_flight(slither: &Slither, gates: &[String]) {
    let begun = || gates.iter().filter(|gate| std::fs::exists(format!("{gate}.begun")).unwrap()).count();
    until(|| stats(slither).running == WORKERS && stats(slither).queued == 8 - WORKERS && begun() == WORKERS)
        .await;
}

/// What waited is withdrawn; one worker that comes free answers though the others are busy; the rest ends
/// without a trace.
async fn is_healthy(slither: &Slither, gates: &[String], before: &PoolStats, what: &str) {
    let left = stats(slither);
    assert_eq!(
        (left.queued, left.running),
        (0, WORKERS),
        "{what}: what waits is withdrawn, what runs is let go"
    );
    open(&gates[..1]);
    let echo = slither.dispatch::<u64, u64>(0..100, behave("echo")).await.unwrap();
    assert_eq!(echo.into_payloads(), (0..100).collect::<Vec<_>>(), "{what}: and nothing else is delivered");
    assert_eq!(stats(slither).running, WORKERS - 1, "{what}");
    open(&gates[1..]);
    until(|| stats(slither).running == 0).await;
    // What its workers have taken and done has changed, and nothing else.
    let mut after = stats(slither);
    after.usage.clone_from(&before.usage);
    assert_eq!(after, *before, "{what}: no death, no stray answer, nothing queued");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_leaves_a_pool_that_answers_at_once() {
    within(async {
        let slither = runtime(pool(WORKERS)).await;
        let before = stats(&slither);
        for function in ["yields:one_by_one", "yields:one_by_one_async", "behave:wait_for_file"] {
            let folder = Folder::new();
            let gates = gates(&folder);
            let yields = function.starts_with("yields");
            let batch = |gate: &String| {
                if yields { vec!["early".to_owned(), gate.clone()] } else { vec![gate.clone()] }
            };
            let items: Vec<String> = gates.iter().flat_map(batch).collect();
            let size = items.len() / gates.len();
            let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
            let call = Call::new(function).batch_size(size).max_in_flight(8).order(Order::AsCompleted);
            let mut results = slither.dispatch_stream::<_, String>(source, call).await.unwrap();
            for _ in 0..if yields { WORKERS } else { 0 } {
                let early = results.next().await;
                assert!(matches!(early, Some(Ok(Outcome::Done(item))) if item.payload == "early"));
            }
            assert!(results.next().now_or_never().is_none(), "the batches wait");
            all_in_flight(&slither, &gates).await;
            drop(results);
            is_healthy(&slither, &gates, &before, function).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_run_of_a_pipe_leaves_a_pool_that_answers_at_once() {
    within(async {
        let slither = runtime(pool(WORKERS)).await;
        let before = stats(&slither);
        for function in ["yields:one_by_one", "behave:wait_for_file"] {
            let folder = Folder::new();
            let gates = gates(&folder);
            let call = Call::new(function).batch_size(1).max_in_flight(8);
            let pipe: Pipe<String, String> = Pipe::builder("waits").python("wait", call).build().unwrap();
            let source = stream::iter(gates.clone().into_iter().map(Ok::<_, String>));
            let mut run = slither.stream_pipe(&pipe, source, RunOptions::new()).await.unwrap();
            assert!(run.next().now_or_never().is_none(), "the batches wait");
            all_in_flight(&slither, &gates).await;
            drop(run);
            until(|| stats(&slither).queued == 0).await;
            is_healthy(&slither, &gates, &before, function).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_stream_of_generators_keeps_its_books() {
    within(async {
        let slither = runtime(pool(WORKERS)).await;
        let folder = Folder::new();
        let gates = gates(&folder);
        let items: Vec<String> = gates.iter().flat_map(|gate| ["early".to_owned(), gate.clone()]).collect();
        let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
        let call = Call::new("yields:one_by_one").batch_size(2).max_in_flight(8);
        let mut results = slither.dispatch_stream::<_, String>(source, call).await.unwrap();
        match results.next().await {
            Some(Ok(Outcome::Done(item))) => assert_eq!(item.id.0, 0),
            other => panic!("{other:?}"),
        }
        all_in_flight(&slither, &gates).await;
        let ledger = results.cancel();
        assert!(ledger.balanced(), "{ledger}");
        assert_eq!((ledger.emitted, ledger.cancelled), (1, 15));
        assert!(results.next().await.is_none());
        open(&gates);
        until(|| stats(&slither).running == 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_completed_is_not_sorted_again() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        let gate = folder.path("gate");
        let items = [gate.clone(), "/".to_owned(), "/tmp".to_owned(), "/proc".to_owned()];
        let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
        let call = Call::new("yields:one_by_one").batch_size(1).max_in_flight(2).order(Order::AsCompleted);
        let mut results = slither.dispatch_stream::<_, String>(source, call).await.unwrap();
        let mut order = Vec::new();
        while let Some(result) = results.next().await {
            let Ok(Outcome::Done(item)) = result else { panic!("{result:?}") };
            order.push(item.id.0);
            if order.len() == 3 {
                open(std::slice::from_ref(&gate));
            }
        }
        assert_eq!(order, [1, 2, 3, 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_waits_as_long_as_python_asked() {
    within(async {
        let slither = runtime(pool(1)).await;
        let soon = Retry::new(2).backoff(Duration::from_millis(1));
        for function in ["policies:after_a_while", "policies:item_after_a_while"] {
            let began = Instant::now();
            let call = Call::new(function).on_error(soon.clone().into());
            let done = slither.dispatch::<f64, u64>([0.4, 0.1], call).await.unwrap();
            assert!(began.elapsed() >= Duration::from_millis(400), "{function}: {:?}", began.elapsed());
            assert_eq!(done.ledger.emitted, 2, "{function}");
        }
    })
    .await;
}
