//! Workers are replaced in time: by the number of their calls, by age, by memory; and it costs nothing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use slither::{Call, ErrorKind, Pool, PoolStats, PyRef, RestartBudget, Slither, Value, WorkerUsage};
use tracing::{Event, Subscriber, span};

use crate::faults::alone_at;
use crate::support::{Folder, alive, behave, pool, runtime, until, within};

const MEGABYTE: u64 = 1 << 20;

fn stats(slither: &Slither) -> PoolStats {
    slither.stats("default").unwrap()
}

fn pids(slither: &Slither) -> HashSet<u32> {
    stats(slither).workers.iter().map(|worker| worker.1).collect()
}

fn usage(slither: &Slither, pid: u32) -> Option<WorkerUsage> {
    stats(slither).usage.into_iter().find(|usage| usage.pid == pid)
}

/// A pool that bears no death at all.
fn brittle(size: usize) -> Pool {
    pool(size).breaker(None).restart_budget(RestartBudget { deaths: 0, ..RestartBudget::default() })
}

/// Waits until the workers have been looked at twice.
async fn looked_at(slither: &Slither) {
    for _ in 0..2 {
        let late = Duration::from_millis(100);
        until(|| stats(slither).usage[0].sampled.unwrap() > late).await;
        until(|| stats(slither).usage[0].sampled.unwrap() < late).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_that_a_worker_takes_is_seen() {
    within(async {
        let slither = runtime(pool(2)).await;
        let grown: u32 = slither.execute("default", "leaky:leak", &[64]).await.unwrap();
        until(|| usage(&slither, grown).unwrap().growth > 50 * MEGABYTE).await;
        for usage in stats(&slither).usage {
            assert!(usage.rss.unwrap() > usage.growth, "{usage:?}");
            assert!(usage.sampled.is_some(), "{usage:?}");
            assert_eq!(usage.growth > 20 * MEGABYTE, usage.pid == grown, "{usage:?}");
        }
    })
    .await;
}

/// The deadlock of CPython's gh-115634, and what else may go wrong when each worker lives for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_one_to_three_calls_loses_nothing_of_ten_thousand() {
    for calls in 1..=3 {
        within(async {
            let slither = runtime(brittle(1).max_requests(calls)).await;
            let mut sent = 0;
            // Where replacements start slowly, few are there by the time the calls are done.
            while sent == 0 || stats(&slither).recycled < 10 {
                let call = behave("echo").batch_size(1);
                let done = slither.dispatch::<u64, u64>(0..10_000, call).await.unwrap();
                assert_eq!((done.ledger.emitted, done.ledger.failed), (10_000, 0));
                assert!(done.ledger.balanced());
                assert_eq!(done.into_payloads(), (0..10_000).collect::<Vec<_>>(), "in order, each once");
                sent += 10_000;
            }
            let after = stats(&slither);
            assert_eq!(after.strays, 0);
            println!("max_requests {calls}: {} workers for {sent} calls", after.recycled + 1);
            slither.shutdown(Duration::from_secs(10)).await;
        })
        .await;
    }
}

/// How many workers were ready and not yet replaced, at its least since all were.
#[derive(Debug, Default)]
struct Ready {
    now: AtomicI64,
    least: AtomicI64,
    recycled: AtomicI64,
}

static READY: Ready =
    Ready { now: AtomicI64::new(0), least: AtomicI64::new(i64::MAX), recycled: AtomicI64::new(0) };

struct Watch;

impl Subscriber for Watch {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "slither"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        match &*message.0 {
            "slither.pool.worker.ready" => {
                READY.now.fetch_add(1, Ordering::SeqCst);
            }
            "slither.pool.worker.recycled" => {
                let now = READY.now.fetch_sub(1, Ordering::SeqCst) - 1;
                READY.least.fetch_min(now, Ordering::SeqCst);
                READY.recycled.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_there_are_never_fewer_workers_than_the_pool_is_to_have() {
    if !alone_at("recycling::under_load_there_are_never_fewer_workers_than_the_pool_is_to_have") {
        return;
    }
    tracing::subscriber::set_global_default(Watch).unwrap();
    within(async {
        let slither = runtime(brittle(3).max_requests(20)).await;
        let mut recycled = 0;
        while recycled < 10 {
            let call = behave("echo").batch_size(4);
            let done = slither.dispatch::<u64, u64>(0..20_000, call).await.unwrap();
            assert_eq!((done.ledger.emitted, done.ledger.failed), (20_000, 0));
            assert_eq!(done.into_payloads(), (0..20_000).collect::<Vec<_>>());
            recycled = READY.recycled.load(Ordering::SeqCst);
        }
        assert_eq!(READY.least.load(Ordering::SeqCst), 3, "a worker leaves when another one is in its place");
        println!("{recycled} workers replaced, never fewer than 3 ready");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_worker_is_replaced_whether_it_works_or_not() {
    within(async {
        let slither = runtime(brittle(2).ttl(Duration::from_millis(200))).await;
        let first = pids(&slither);
        until(|| stats(&slither).recycled >= 4 && pids(&slither).is_disjoint(&first)).await;
        until(|| !first.iter().any(|pid| alive(*pid))).await;
        let who: u32 = slither.execute("default", "behave:who", &()).await.unwrap();
        assert!(!first.contains(&who));
        let reasons = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap().lost;
        for lost in reasons {
            assert_eq!(lost.reason, "was recycled: its ttl of 0.2 s was over");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_leaks_is_replaced_and_its_call_finished_and_its_neighbours_stay() {
    within(async {
        let slither = runtime(brittle(3).max_rss(40 * MEGABYTE)).await;
        let before = pids(&slither);
        let folder = Folder::new();
        let gate = folder.path("gate");
        let running = tokio::spawn({
            let (slither, gate) = (slither.clone(), gate.clone());
            async move { slither.execute::<_, u32>("default", "leaky:leak_and_wait", &(50, gate)).await }
        });
        until(|| stats(&slither).recycled == 1).await;
        let after = pids(&slither);
        assert_eq!((after.len(), before.intersection(&after).count()), (3, 2), "only the one that has grown");
        std::fs::write(&gate, "").unwrap();
        let grown = running.await.unwrap().expect("a call that runs is finished");
        assert!(before.contains(&grown) && !after.contains(&grown));
        until(|| !alive(grown)).await;
        until(|| stats(&slither).deaths == 1).await;
        let lost = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap().lost;
        assert_eq!(lost.len(), 1);
        assert!(lost[0].reason.starts_with("was recycled: its memory had grown by "), "{lost:?}");
        assert!(lost[0].reason.ends_with(" MiB, and max_rss is 40.0 MiB"), "{lost:?}");
        looked_at(&slither).await;
        assert_eq!(stats(&slither).recycled, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_under_load_loses_nothing() {
    within(async {
        let slither = runtime(brittle(2).max_rss(30 * MEGABYTE)).await;
        let call = Call::new("leaky:leak_each").batch_size(2);
        let mut next = 0;
        while stats(&slither).recycled < 3 {
            let items = next..next + 20;
            let done = slither.dispatch::<u64, u64>(items.clone(), call.clone()).await.unwrap();
            assert_eq!(done.into_payloads(), items.collect::<Vec<_>>());
            next += 20;
        }
        println!("{next} items of a megabyte each, {} workers replaced", stats(&slither).recycled);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn max_requests_waits_for_a_session() {
    within(async {
        let slither = runtime(brittle(1).max_requests(3)).await;
        let session = slither.open_session("default").await.unwrap();
        let mut homes = HashSet::new();
        for number in 1..=10u64 {
            let put = session.dispatch::<_, (u32, u64)>([number], Call::new("keep:put")).await.unwrap();
            let (home, kept) = put.into_payloads()[0];
            assert_eq!(kept, number, "nothing of the session is lost");
            homes.insert(home);
        }
        looked_at(&slither).await;
        assert_eq!((homes.len(), stats(&slither).recycled), (1, 0));
        session.close().await.unwrap();
        until(|| stats(&slither).recycled == 1).await;
        until(|| !homes.iter().any(|pid| alive(*pid))).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn max_requests_waits_for_who_holds_an_object() {
    within(async {
        let slither = runtime(brittle(1).max_requests(1)).await;
        let model: PyRef = slither.execute("default", "objects:model", &()).await.unwrap();
        for learned in 1..=10u64 {
            assert_eq!(model.call::<_, u64>("train", &1.0).await.unwrap(), learned);
        }
        looked_at(&slither).await;
        assert_eq!(stats(&slither).recycled, 0);
        drop(model);
        until(|| stats(&slither).recycled >= 1).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn max_rss_ends_a_session_with_that_reason() {
    within(async {
        let slither = runtime(brittle(1).max_rss(30 * MEGABYTE)).await;
        let session = slither.open_session("default").await.unwrap();
        let model: PyRef = slither.execute("default", "objects:model", &()).await.unwrap();
        let home: u32 = session.execute("leaky:leak", &[50]).await.unwrap();
        until(|| stats(&slither).recycled == 1).await;
        let lost = |error: slither::ItemError| {
            assert_eq!(error.kind(), ErrorKind::SessionLost);
            let grown = error
                .message()
                .split_once("was recycled: its memory had grown by ")
                .and_then(|(_, said)| said.split_once(" MiB, and max_rss is 30.0 MiB"))
                .and_then(|(grown, _)| grown.parse::<f64>().ok());
            // It may have been looked at before it had touched all of the 50 MiB.
            assert!(grown.is_some_and(|grown| (30.0..60.0).contains(&grown)), "{error}");
        };
        lost(session.execute::<_, Value>("keep:kept", &()).await.unwrap_err());
        lost(model.call::<_, u64>("train", &1.0).await.unwrap_err());
        session.reopen().await.unwrap();
        assert_ne!(session.execute::<_, u32>("behave:who", &()).await.unwrap(), home);
        until(|| !alive(home)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_cannot_start_costs_nothing_but_the_attempt() {
    within(async {
        let folder = Folder::new();
        let budget =
            RestartBudget { deaths: 1, period: Duration::from_millis(700), ..RestartBudget::default() };
        let config = pool(1)
            .env("DEADLY", folder.path("imports"))
            .breaker(None)
            .restart_budget(budget)
            .max_requests(5);
        let slither = runtime(config).await;
        let call = || Call::new("deadly:echo").batch_size(1);
        slither.dispatch::<u64, u64>(0..1, call()).await.unwrap();
        let old = pids(&slither);
        std::fs::write(folder.path("imports.die"), "").unwrap();
        while stats(&slither).deaths < 3 {
            let done = slither.dispatch::<u64, u64>(0..20, call()).await.unwrap();
            assert_eq!(done.ledger.emitted, 20);
        }
        assert_eq!((pids(&slither), stats(&slither).recycled), (old.clone(), 0), "the old one goes on");
        std::fs::remove_file(folder.path("imports.die")).unwrap();
        until(|| stats(&slither).recycled == 1).await;
        assert!(pids(&slither).is_disjoint(&old));
        let done = slither.dispatch::<u64, u64>(0..20, call()).await.unwrap();
        assert_eq!(done.ledger.emitted, 20);
    })
    .await;
}
