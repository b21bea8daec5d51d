//! Nothing waits behind a long call, runs twice, or stays behind when nobody wants it any more.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use slither::{Item, Order, Outcome};

use super::{kill, pids, unlimited};
use crate::support::{Folder, behave, pool, runtime, until, within};

type Work = (String, String, f64);
type Brief = (String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ahead_of_its_turn_is_taken_back_by_an_idle_worker() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        for round in 0..5 {
            let (path, gate) = (folder.path(&format!("log-{round}")), folder.path(&format!("gate-{round}")));
            let item = |name: String, what: &str| (path.clone(), name, what.to_owned());
            // Short calls teach the workers that calls are short, so that one is sent ahead of the long one.
            let mut items: Vec<Brief> = (0..60).map(|number| item(format!("short-{number}"), "")).collect();
            items.push(item("long".into(), &gate));
            items.extend((0..60).map(|number| item(format!("later-{number}"), "")));
            let total = items.len();
            let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
            let call = behave("brief").batch_size(1).max_in_flight(16).window(200).order(Order::AsCompleted);
            let mut results = slither.dispatch_stream::<Brief, String>(source, call).await.unwrap();
            // The long one ends when all others have: what waited for it would wait for ever.
            for _ in 1..total {
                let Some(Ok(Outcome::Done(item))) = results.next().await else { panic!("round {round}") };
                assert_ne!(item.payload, "long", "round {round}");
            }
            std::fs::write(&gate, "").unwrap();
            let last = results.next().await;
            assert!(matches!(last, Some(Ok(Outcome::Done(item))) if item.payload == "long"), "round {round}");
            assert!(results.next().await.is_none());
            let log = std::fs::read_to_string(&path).unwrap();
            let names: HashSet<&str> = log.lines().collect();
            assert_eq!((log.lines().count(), names.len()), (total, total), "each ran exactly once");
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
        let folder = Folder::new();
        // All but the first three wait for gates, so that none of them leaves the queue but by being withdrawn.
        let gates: Vec<String> = (0..100).map(|number| folder.path(&number.to_string())).collect();
        for gate in &gates[..3] {
            std::fs::write(gate, "").unwrap();
        }
        let begun = |gate: &String| std::fs::exists(format!("{gate}.begun")).unwrap();
        let source = stream::iter((0u64..).zip(gates.clone()).map(|(id, gate)| Item::new(id, gate)));
        let call = behave("wait_for_file").batch_size(1).max_in_flight(16);
        let mut results = slither.dispatch_stream::<String, String>(source, call).await.unwrap();
        for _ in 0..3 {
            assert!(results.next().await.unwrap().is_ok());
        }
        until(|| begun(&gates[3])).await;
        assert!(slither.stats("default").unwrap().queued > 5);
        drop(results);
        until(|| slither.stats("default").unwrap().queued == 0).await;
        assert_eq!(slither.stats("default").unwrap().running, 1, "what runs is let go");
        std::fs::write(&gates[3], "").unwrap();
        let echo = slither.dispatch::<u64, u64>(0..100, behave("echo")).await.unwrap();
        assert_eq!(echo.ledger.emitted, 100);
        assert!(!gates[4..].iter().any(begun), "what was withdrawn never begins");
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
