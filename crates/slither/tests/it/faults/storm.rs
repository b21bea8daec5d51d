//! Every item is accounted for once, however many workers die.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use slither::{Dispatched, ErrorKind, OnError, Retry, Slither};

use super::{alone, children, counting_runtime, holdings, kill, pids, unlimited};
use crate::support::{behave, pool, runtime, until};

fn retry() -> OnError {
    OnError::Retry(Retry::new(20).backoff(Duration::from_millis(5)).then(OnError::Skip))
}

/// More workers than this die in a storm, however slow the machine is.
const DEATHS: usize = 10;

/// A kill strikes among others only where a few batches have gone by since the one before.
const PACE: u64 = 4 * 64;

/// Sends so many items, and more until enough workers have died, while a worker is killed each 50 ms; has everything checked and
/// counted.
fn storm(test: &str, items: u64, policy: &OnError) -> Option<Counts> {
    alone(&format!("storm::{test}"))
        .then(|| counting_runtime().block_on(patiently(under_kills(items, policy))))
}

/// As [`within`](crate::support::within), for what takes minutes.
async fn patiently<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(900), test).await.expect("the test ran into its time limit")
}

struct Counts {
    deaths: usize,
    failed: u64,
}

async fn under_kills(items: u64, policy: &OnError) -> Counts {
    let warm = runtime(pool(1)).await;
    assert_eq!(warm.dispatch::<u64, u64>(0..10, behave("work")).await.unwrap().ledger.emitted, 10);
    drop(warm);
    until(|| holdings().1 <= 4 && children() == 0).await;
    let before = holdings();

    let slither = runtime(pool(3).restart_budget(unlimited())).await;
    let (over, pulled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let killer = tokio::spawn(killing(slither.clone(), over.clone(), pulled.clone()));
    let call = behave("work").batch_size(64).on_error(policy.clone());
    let source = (0..)
        .take_while(|item| *item < items || slither.stats("default").unwrap().deaths <= DEATHS)
        .inspect(|_| _ = pulled.fetch_add(1, Ordering::Relaxed));
    let done = slither.dispatch::<u64, u64>(source, call).await.unwrap();
    over.store(true, Ordering::Relaxed);
    let kills = killer.await.unwrap();

    let deaths = slither.stats("default").unwrap().deaths;
    accounted(&done, pulled.load(Ordering::Relaxed));
    println!(
        "{policy:?}: {} kills, {deaths} deaths: {}; 0 lost, 0 doubled, in order",
        kills.load(Ordering::Relaxed),
        done.ledger
    );
    drop(slither);
    until(|| holdings() == before && children() == 0).await;
    println!("descriptors and threads {before:?} before and {:?} after, no process left", holdings());
    Counts { deaths, failed: done.ledger.failed }
}

async fn killing(slither: Slither, over: Arc<AtomicBool>, pulled: Arc<AtomicU64>) -> AtomicUsize {
    let kills = AtomicUsize::new(0);
    let mut every = tokio::time::interval(Duration::from_millis(50));
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        every.tick().await;
        // The window moves when its first batch is done. Only so is none killed more often than it may be run.
        let now = pulled.load(Ordering::Relaxed);
        if now < next {
            continue;
        }
        next = now + PACE;
        // A set has an order of its own each time: whoever comes first is as good as random.
        if let Some(pid) = pids(&slither).into_iter().next() {
            kill(pid);
            kills.fetch_add(1, Ordering::Relaxed);
        }
    }
    kills
}

/// Each item is in one place, with its own result, and the results are in order.
fn accounted(done: &Dispatched<u64>, items: u64) {
    assert!(done.ledger.balanced() && done.ledger.pulled == items && done.ledger.cancelled == 0);
    let good: Vec<u64> = done.results.iter().map(|item| item.payload).collect();
    assert!(good.is_sorted(), "order is kept");
    assert!(done.results.iter().all(|item| item.id.0 == item.payload));
    let failed = done.failures.iter().map(|failure| failure.item.0);
    let each: HashSet<u64> = failed.chain(good.iter().copied()).collect();
    assert_eq!(each.len(), done.failures.len() + good.len(), "an item came twice");
    assert!(each.len() as u64 == items && each.iter().all(|id| *id < items), "an item was lost");
    assert!(done.failures.iter().all(|failure| failure.error.kind() == ErrorKind::Crash));
}

#[test]
fn twenty_thousand_items_under_a_hail_of_kills() {
    if let Some(counts) = storm("twenty_thousand_items_under_a_hail_of_kills", 20_000, &OnError::Skip) {
        assert!(counts.deaths > DEATHS && counts.failed > 0, "{} deaths", counts.deaths);
    }
}

#[test]
fn under_isolate_the_innocent_come_through_a_hail_of_kills() {
    if let Some(counts) =
        storm("under_isolate_the_innocent_come_through_a_hail_of_kills", 10_000, &OnError::Isolate)
    {
        assert!(counts.deaths > DEATHS, "{} deaths", counts.deaths);
        assert!(counts.failed < 64 * counts.deaths as u64 / 4, "{} failed", counts.failed);
    }
}

#[test]
fn under_retry_all_come_through_a_hail_of_kills() {
    if let Some(counts) = storm("under_retry_all_come_through_a_hail_of_kills", 10_000, &retry()) {
        assert!(counts.deaths > DEATHS, "{} deaths", counts.deaths);
        assert_eq!(counts.failed, 0);
    }
}

#[test]
#[ignore = "minutes; `cargo xtask soak` runs it"]
fn two_hundred_thousand_items_under_a_hail_of_kills_and_skip() {
    let name = "two_hundred_thousand_items_under_a_hail_of_kills_and_skip";
    storm(name, 200_000, &OnError::Skip);
}

#[test]
#[ignore = "minutes; `cargo xtask soak` runs it"]
fn two_hundred_thousand_items_under_a_hail_of_kills_and_isolate() {
    let name = "two_hundred_thousand_items_under_a_hail_of_kills_and_isolate";
    storm(name, 200_000, &OnError::Isolate);
}

#[test]
#[ignore = "minutes; `cargo xtask soak` runs it"]
fn two_hundred_thousand_items_under_a_hail_of_kills_and_retry() {
    let name = "two_hundred_thousand_items_under_a_hail_of_kills_and_retry";
    storm(name, 200_000, &retry());
}
