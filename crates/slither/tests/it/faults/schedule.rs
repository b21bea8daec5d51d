//! Nothing waits behind a long call, runs twice, or stays behind when nobody wants it any more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use slither::{Item, Order};

use super::{kill, pids, unlimited};
use crate::support::{Folder, behave, pool, runtime, until, within};

type Work = (String, String, f64);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ahead_of_its_turn_is_taken_back_by_an_idle_worker() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        for round in 0..5 {
            let path = folder.path(&format!("log-{round}"));
            let item = |name: String, seconds: f64| (path.clone(), name, seconds);
            // Short calls teach the workers that calls are short, so that one is sent ahead of the long one.
            let mut items: Vec<Work> = (0..60).map(|number| item(format!("short-{number}"), 0.0)).collect();
            items.push(item("long".into(), 0.7));
            items.extend((0..60).map(|number| item(format!("later-{number}"), 0.0)));
            let total = items.len();
            let call = behave("record").batch_size(1).max_in_flight(16).window(200).order(Order::AsCompleted);
            let done = slither.dispatch::<Work, String>(items, call).await.unwrap();
            assert_eq!(done.ledger.emitted as usize, total);
            let log = std::fs::read_to_string(&path).unwrap();
            let ends: HashMap<&str, u64> = log
                .lines()
                .map(|line| {
                    let mut words = line.split(' ');
                    (words.next().unwrap(), words.next().unwrap().parse().unwrap())
                })
                .collect();
            assert_eq!((log.lines().count(), ends.len()), (total, total), "each ran exactly once");
            let behind: Vec<_> =
                ends.iter().filter(|(name, end)| **name != "long" && **end > ends["long"]).collect();
            assert!(behind.is_empty(), "round {round}: {behind:?} waited for the long call");
        }
        assert_eq!(slither.stats("default").unwrap().deaths, 0, "taking back hurts nobody");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn much_taking_back_loses_nothing_and_runs_nothing_twice() {
    within(async {
        let slither = runtime(pool(4)).await;
        let folder = Folder::new();
        let path = folder.path("log");
        // Some are a little long, so that idle workers keep taking back what is ahead.
        let items = (0..3000)
            .map(|number| (path.clone(), number.to_string(), if number % 7 == 0 { 0.003 } else { 0.0 }));
        let call = behave("record").batch_size(1).max_in_flight(9);
        let done = slither.dispatch::<Work, String>(items, call).await.unwrap();
        assert_eq!(done.into_payloads(), (0..3000).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3000);
        let stats = slither.stats("default").unwrap();
        assert_eq!((stats.deaths, stats.strays, stats.queued, stats.running), (0, 0, 0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_leaves_an_empty_queue_and_a_healthy_pool() {
    within(async {
        let slither = runtime(pool(1)).await;
        let source = futures_util::stream::iter((0..).map(|number| Item::new(number, 0.05)));
        let call = behave("doze").batch_size(1).max_in_flight(16);
        let mut results = slither.dispatch_stream::<f64, f64>(source, call).await.unwrap();
        for _ in 0..3 {
            assert!(results.next().await.unwrap().is_ok());
        }
        assert!(slither.stats("default").unwrap().queued > 5);
        drop(results);
        assert_eq!(slither.stats("default").unwrap().queued, 0, "withdrawn at once");
        let begun = Instant::now();
        let echo = slither.dispatch::<u64, u64>(0..100, behave("echo")).await.unwrap();
        assert_eq!(echo.ledger.emitted, 100);
        assert!(begun.elapsed() < Duration::from_secs(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_each_worker_never_hangs_or_moves_when_workers_die() {
    within(async {
        let slither = runtime(pool(3).restart_budget(unlimited())).await;
        for _ in 0..30 {
            let victim = *pids(&slither).iter().next().unwrap();
            let killer = tokio::task::spawn_blocking(move || kill(victim));
            let each = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap();
            for reply in &each.replies {
                if let Ok(pid) = &reply.result {
                    assert_eq!(*pid, reply.pid, "a call for one worker runs in that one");
                }
            }
            killer.await.unwrap();
            until(|| pids(&slither).len() == 3 && !pids(&slither).contains(&victim)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_of_short_batches_never_stalls() {
    within(async {
        // A keeper once slept after every 64th read in a row without having looked for work.
        let slither = runtime(pool(2)).await;
        for in_flight in [2, 4, 16] {
            let call = behave("echo").batch_size(1).max_in_flight(in_flight);
            let done = slither.dispatch::<u64, u64>(0..15_000, call).await.unwrap();
            assert_eq!(done.ledger.emitted, 15_000);
            assert_eq!(slither.stats("default").unwrap().deaths, 0, "nobody had to be killed for it");
        }
    })
    .await;
}
