//! Every item is accounted for once, however many workers die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use slither::{ErrorKind, OnError};

use super::{alone, children, counting_runtime, holdings, kill, pids, unlimited};
use crate::support::{behave, pool, runtime, until, within};

const ITEMS: u64 = 20_000;

#[test]
fn twenty_thousand_items_under_a_hail_of_kills() {
    if !alone("faults::storm::twenty_thousand_items_under_a_hail_of_kills") {
        return;
    }
    counting_runtime().block_on(within(async {
        let warm = runtime(pool(1)).await;
        assert_eq!(warm.dispatch::<u64, u64>(0..10, behave("work")).await.unwrap().ledger.emitted, 10);
        drop(warm);
        until(|| holdings().1 <= 4 && children() == 0).await;
        let before = holdings();

        let slither = runtime(pool(3).restart_budget(unlimited())).await;
        let over = Arc::new(AtomicBool::new(false));
        let kills = Arc::new(AtomicUsize::new(0));
        let killer = tokio::spawn({
            let (slither, over, kills) = (slither.clone(), over.clone(), kills.clone());
            async move {
                let mut every = tokio::time::interval(Duration::from_millis(50));
                while !over.load(Ordering::Relaxed) {
                    every.tick().await;
                    // A set has an order of its own each time: whoever comes first is as good as random.
                    if let Some(pid) = pids(&slither).into_iter().next() {
                        kill(pid);
                        kills.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let call = behave("work").batch_size(64).on_error(OnError::Skip);
        let done = slither.dispatch::<u64, u64>(0..ITEMS, call).await.unwrap();
        over.store(true, Ordering::Relaxed);
        killer.await.unwrap();

        let deaths = slither.stats("default").unwrap().deaths;
        println!("{} kills, {deaths} deaths: {}", kills.load(Ordering::Relaxed), done.ledger);
        assert!(done.ledger.balanced() && done.ledger.pulled == ITEMS && done.ledger.cancelled == 0);
        let good: Vec<u64> = done.results.iter().map(|item| item.payload).collect();
        assert!(good.is_sorted(), "order is kept");
        assert!(done.results.iter().all(|item| item.id.0 == item.payload));
        let mut all: Vec<u64> = done.failures.iter().map(|failure| failure.item.0).chain(good).collect();
        all.sort_unstable();
        assert_eq!(all, (0..ITEMS).collect::<Vec<_>>());
        assert!(done.failures.iter().all(|failure| failure.error.kind() == ErrorKind::Crash));
        assert!(deaths > 10 && !done.failures.is_empty(), "{deaths} deaths");

        drop(slither);
        until(|| holdings() == before && children() == 0).await;
    }));
}
