//! A sticky key keeps to one worker slot, one batch at a time, through replacement of the worker.

use std::collections::{HashMap, HashSet};

use slither::{Batching, Call, ErrorKind, KeyPartition, OnError, Order, Retry};

use crate::support::{pool, runtime, within};

fn by_key() -> Batching<(u64, u64)> {
    KeyPartition::new(|(key, _): &(u64, u64)| *key).batch_size(8).sticky().into()
}

/// Each item's worker and slot, and how many items of its key that worker had seen.
type Seen = (u32, u64, u64, u64);

fn call(function: &str) -> Call<(u64, u64)> {
    Call::new(format!("keys:{function}")).batching(by_key()).max_in_flight(12)
}

fn items(keys: u64, each: u64) -> Vec<(u64, u64)> {
    (0..keys * each).map(|n| (n % keys, n / keys)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_to_one_worker_in_the_order_of_its_items() {
    within(async {
        let slither = runtime(pool(3)).await;
        for order in [Order::Preserve, Order::AsCompleted] {
            let done = slither.dispatch::<_, Seen>(items(20, 50), call("note").order(order)).await.unwrap();
            let mut homes: HashMap<u64, HashSet<u32>> = HashMap::new();
            let mut counts: HashMap<u64, Vec<u64>> = HashMap::new();
            for (pid, key, number, seen) in done.into_payloads() {
                homes.entry(key).or_default().insert(pid);
                let counts = counts.entry(key).or_default();
                assert_eq!(number, counts.len() as u64, "key {key}");
                counts.push(seen);
            }
            assert!(homes.values().all(|pids| pids.len() == 1), "{homes:?}");
            assert_eq!(
                homes.values().flatten().collect::<HashSet<_>>().len(),
                3,
                "every worker has its keys"
            );
            // A second dispatch finds its keys where the first had left them.
            let whole = |seen: &Vec<u64>| seen.windows(2).all(|pair| pair[1] == pair[0] + 1);
            assert!(counts.values().all(whole), "{counts:?}");
        }
        assert_eq!(slither.stats("default").unwrap().queued, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_keys_of_the_worker_go_on_in_its_replacement() {
    within(async {
        let slither = runtime(pool(2)).await;
        let first = slither.dispatch::<_, Seen>(items(8, 1), call("note")).await.unwrap();
        let homes: HashMap<u64, u32> = first.into_payloads().iter().map(|seen| (seen.1, seen.0)).collect();
        let retry = Retry::new(3).backoff(std::time::Duration::from_millis(1)).then(OnError::Skip);
        let once = call("die_once").on_error(OnError::Retry(retry));
        let done = slither.dispatch::<_, Seen>(items(8, 40), once).await.unwrap();
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        let stats = slither.stats("default").unwrap();
        assert_eq!(stats.deaths, 1);
        let mut after: HashMap<u64, HashSet<u32>> = HashMap::new();
        for (pid, key, ..) in done.into_payloads() {
            after.entry(key).or_default().insert(pid);
        }
        let moves = |(key, pids): (&u64, &HashSet<u32>)| {
            let home = homes[key];
            pids.iter().copied().filter(move |pid| *pid != home).collect::<Vec<_>>()
        };
        let moved: HashSet<u32> = after.iter().flat_map(moves).collect();
        assert_eq!(moved.len(), 1, "one replacement: {after:?}, {homes:?}");
        let victim = homes[&0];
        let stayed = after.iter().filter(|(key, _)| homes[*key] != victim);
        for (key, pids) in stayed {
            assert_eq!(pids, &HashSet::from([homes[key]]), "the other slot's keys stay");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_key_keeps_no_other_worker_idle() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = crate::support::Folder::new();
        let gate = folder.path("gate");
        // Two keys with different slots: found, because which slot a key has is the hash's business.
        let probe = slither.dispatch::<_, Seen>(items(16, 1), call("note")).await.unwrap().into_payloads();
        let slow = probe[0].1;
        let quick = probe.iter().find(|seen| seen.0 != probe[0].0).unwrap().1;
        let one = |key: u64, path: String| (key, path);
        let keyed = KeyPartition::new(|(key, _): &(u64, String)| *key).batch_size(1).sticky();
        let call = Call::new("keys:hold").batching(keyed).max_in_flight(4).order(Order::AsCompleted);
        let mut work: Vec<_> = (0..5).map(|_| one(slow, gate.clone())).collect();
        work.extend((0..20).map(|_| one(quick, String::new())));
        let source = futures_util::stream::iter(
            work.into_iter().zip(0u64..).map(|(work, id)| slither::Item::new(id, work)),
        );
        let mut stream = slither.dispatch_stream::<_, u64>(source, call).await.unwrap();
        for _ in 0..20 {
            let next = futures_util::StreamExt::next(&mut stream).await.unwrap().unwrap();
            let slither::Outcome::Done(item) = next else { panic!("{next:?}") };
            assert_eq!(item.payload, quick);
        }
        std::fs::write(&gate, "").unwrap();
        let mut rest = 0;
        while let Some(next) = futures_util::StreamExt::next(&mut stream).await {
            assert!(matches!(next.unwrap(), slither::Outcome::Done(item) if item.payload == slow));
            rest += 1;
        }
        assert_eq!(rest, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_ends_gives_back_what_waits_for_a_slot() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = crate::support::Folder::new();
        let gate = folder.path("gate");
        let keyed = KeyPartition::new(|(key, _): &(u64, String)| *key).batch_size(1).sticky();
        let call = Call::new("keys:hold").batching(keyed).max_in_flight(4).on_error(OnError::Skip);
        let work: Vec<_> = (0..4).map(|key| (key, gate.clone())).collect();
        let running = tokio::spawn({
            let slither = slither.clone();
            async move { slither.dispatch::<_, u64>(work, call).await.unwrap() }
        });
        // One runs; one may have been sent ahead.
        let holds = || slither.stats("default").map(|pool| pool.queued + pool.running).unwrap();
        crate::support::until(|| std::fs::exists(format!("{gate}.begun")).unwrap() && holds() == 4).await;
        slither.shutdown(std::time::Duration::from_millis(50)).await;
        let done = running.await.unwrap();
        assert_eq!(done.failures.len(), 4);
        for failure in &done.failures {
            assert_eq!(failure.error.kind(), ErrorKind::Pool, "{}", failure.error.report());
        }
    })
    .await;
}
