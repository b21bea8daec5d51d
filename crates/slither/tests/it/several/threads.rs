//! Calls in the threads of one worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use slither::{Dispatched, ErrorKind, OnError, RestartBudget, Retry, Slither, Value};

use super::{Squares, free_threaded, several, stats, threads};
use crate::support::{Folder, alive, runtime, until, within};

fn value(value: serde_json::Value) -> Value {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_calls_run_at_once_as_there_are_threads() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let slither = runtime(threads(&python, 1, 4)).await;
        let stats = stats(&slither);
        assert_eq!((stats.slots, stats.usage[0].slots), (4, 4));
        let gil = stats.usage[0].gil.clone().unwrap();
        assert!(!gil.on && gil.free_threaded_build, "{gil:?}");
        assert_eq!(gil.to_string(), "the GIL is off");
        // Each call waits for three others.
        let call = several("meet").batch_size(1).max_in_flight(8);
        let names = slither.dispatch::<i32, String>(vec![4; 64], call).await.unwrap().into_payloads();
        let names: BTreeSet<_> = names.into_iter().collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["slither-0", "slither-1", "slither-2", "slither-3"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_sessions_and_yields_work_as_in_processes() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let slither = Slither::builder().pool(threads(&python, 1, 4)).store(Squares).start().await.unwrap();
        let items: Vec<u64> = (0..200).collect();
        let call = several("views").batch_size(5).max_in_flight(8);
        let squares = slither.dispatch::<u64, u64>(items.clone(), call).await.unwrap().into_payloads();
        assert_eq!(squares, items.iter().map(|number| number * number).collect::<Vec<_>>());

        let call = several("rows").batch_size(10).max_in_flight(8);
        let rows = slither.dispatch::<u64, u64>(items.clone(), call).await.unwrap().into_payloads();
        assert_eq!(rows, items.iter().map(|number| number * 2).collect::<Vec<_>>());

        // Two sessions at once: each counts alone, and one of its calls runs at a time.
        let first = slither.open_session("default").await.unwrap();
        let second = slither.open_session("default").await.unwrap();
        let call = || several("count").batch_size(3).max_in_flight(4);
        let (one, other) = tokio::join!(
            first.dispatch::<u32, u32>(vec![0; 60], call()),
            second.dispatch::<u32, u32>(vec![0; 60], call())
        );
        for counted in [one.unwrap(), other.unwrap()] {
            let counted: BTreeSet<_> = counted.into_payloads().into_iter().collect();
            assert_eq!(counted, (1..=60).collect());
        }
        first.close().await.unwrap();
        second.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_without_room_for_the_threads_says_so() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let pool = threads(&python, 1, 64).memory_limit(256 << 20);
        let error = Slither::builder().pool(pool).start().await.unwrap_err().to_string();
        assert!(
            error.contains("64 threads cannot be started within a memory_limit of 268435456 bytes"),
            "{error}"
        );
        assert!(!error.contains("Traceback"), "{error}");
    })
    .await;
}

/// A call does its deed when another runs beside it, and a third waits in line.
async fn disaster(
    python: &std::path::Path,
    deed: &str,
    timeout: Duration,
    policy: OnError,
) -> Dispatched<String> {
    let slither = runtime(threads(python, 1, 2).breaker(None)).await;
    let folder = Folder::new();
    let (go, pid) = (folder.path("go"), stats(&slither).workers[0].1);
    let items = [
        value(json!({"parties": 2, "deed": deed})),
        value(json!({"parties": 2, "await_file": go, "deed": "nothing"})),
        value(json!({"deed": "nothing"})),
    ];
    let call = several("act").batch_size(1).max_in_flight(3).timeout(timeout).on_error(policy);
    let done = {
        let slither = slither.clone();
        tokio::spawn(async move { slither.dispatch::<Value, String>(items, call).await })
    };
    until(|| !alive(pid)).await;
    // Whoever runs again finds nobody to meet: only the second is to be run again, and it is alone then.
    std::fs::write(&go, "").unwrap();
    done.await.unwrap().unwrap()
}

fn kinds(done: &Dispatched<String>) -> BTreeMap<u64, ErrorKind> {
    done.failures.iter().map(|failure| (failure.item.0, failure.error.kind())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_blamed_on_its_call_and_the_other_is_collateral() {
    let Some(python) = free_threaded() else { return };
    within(async {
        for deed in ["segv", "null"] {
            let done = disaster(&python, deed, Duration::from_secs(60), OnError::Skip).await;
            let expected = [(0, ErrorKind::Crash), (1, ErrorKind::Collateral)];
            assert_eq!(kinds(&done), BTreeMap::from(expected), "{deed}: {done:?}");
            let stack = done.failures[0].error.traceback().unwrap();
            assert!(stack.contains("in _act") && !stack.contains("_await_file"), "{stack}");
            let error = &done.failures[1].error;
            let message = error.message();
            assert!(message.contains("which ran there at the same time, brought it down"), "{message}");
            assert!(message.contains("SIGSEGV"), "{message}");
            assert_eq!(done.results.len(), 1, "the one in line went to the next worker");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_that_says_nothing_is_blamed_on_all_that_ran() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let done = disaster(&python, "exit", Duration::from_secs(60), OnError::Skip).await;
        assert_eq!(kinds(&done), BTreeMap::from([(0, ErrorKind::Crash), (1, ErrorKind::Crash)]));
        let message = done.failures[0].error.message();
        assert_eq!(
            message,
            "the worker exited with code 7 while it ran user code, with 1 more at the same time: which of them is \
             to blame cannot be told"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_takes_the_process_and_says_whose_work_went_with_it() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let folder = Folder::new();
        for deed in ["hang", "hold-gil"] {
            let slither = runtime(threads(&python, 1, 2)).await;
            let dispatch = |item: Value, timeout| {
                let slither = slither.clone();
                let call = several("act").timeout(timeout).on_error(OnError::Skip);
                tokio::spawn(async move { slither.dispatch::<Value, String>([item], call).await.unwrap() })
            };
            let (begun, never) = (folder.path(deed), folder.path("never"));
            let beside = value(json!({"mark": begun, "await_file": never, "deed": "nothing"}));
            let beside = dispatch(beside, Duration::from_secs(100));
            until(|| std::fs::exists(&begun).unwrap()).await;
            let late = dispatch(value(json!({"deed": deed})), Duration::from_millis(700));

            let late = late.await.unwrap().failures.remove(0).error;
            assert_eq!(late.kind(), ErrorKind::Timeout, "{deed}: {late:?}");
            let stack = late.traceback().unwrap_or_default();
            assert!(stack.contains("in _act") && !stack.contains("_await_file"), "{deed}: {stack}");
            let beside = beside.await.unwrap().failures.remove(0).error;
            assert_eq!(beside.kind(), ErrorKind::Collateral, "{deed}: {beside:?}");
            assert!(beside.message().contains("ran past its deadline of 0.7 s"), "{beside}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_beside_a_crash_is_run_again_without_an_attempt() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let slither = runtime(threads(&python, 1, 4).breaker(None)).await;
        // Item 13 kills whatever it runs in, beside others: only it may fail.
        for policy in [
            OnError::Isolate,
            OnError::Retry(Retry::new(2).backoff(Duration::from_millis(1)).then(OnError::Skip)),
        ] {
            let items =
                (0..40).map(|item| value(json!({"deed": if item == 13 { "segv" } else { "nothing" }})));
            let call = several("act").batch_size(1).max_in_flight(8).on_error(policy.clone());
            let done = slither.dispatch::<Value, String>(items, call).await.unwrap();
            assert_eq!(kinds(&done), BTreeMap::from([(13, ErrorKind::Crash)]), "{policy:?}: {done:?}");
            assert_eq!(done.results.len(), 39);
            assert!(done.ledger.balanced());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_costs_its_call_alone() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let slither = runtime(threads(&python, 1, 4)).await;
        let before = stats(&slither).workers;
        let items =
            (0..100).map(|item| value(json!({"deed": if item % 3 == 0 { "raise" } else { "nothing" }})));
        let call = several("act").batch_size(1).max_in_flight(8).on_error(OnError::Skip);
        let done = slither.dispatch::<Value, String>(items, call).await.unwrap();
        let failed: Vec<_> = done.failures.iter().map(|failure| failure.item.0).collect();
        assert_eq!(failed, (0..100).filter(|item| item % 3 == 0).collect::<Vec<_>>());
        assert_eq!(stats(&slither).workers, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_kills_loses_nothing() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let budget = RestartBudget { deaths: 10_000, ..RestartBudget::default() };
        let slither = runtime(threads(&python, 2, 3).breaker(None).restart_budget(budget)).await;
        let call = several("spin").batch_size(4).max_in_flight(12).on_error(OnError::Isolate);
        // Imported before the storm: a function that no worker lives to import cannot be called.
        slither.dispatch::<u64, u64>([1], several("spin")).await.unwrap();
        let (pulled, kills) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let run = {
            let (slither, pulled, kills) = (slither.clone(), pulled.clone(), kills.clone());
            // It goes on until the storm has been there, however slow the machine is.
            let more = move |sent: &usize| *sent < 1500 || kills.load(Ordering::Relaxed) < 5;
            let source = (0..).take_while(more).map(move |_| {
                pulled.fetch_add(1, Ordering::Relaxed);
                2000
            });
            tokio::spawn(async move { slither.dispatch::<u64, u64>(source, call).await })
        };
        let mut next = 0;
        while !run.is_finished() {
            tokio::time::sleep(Duration::from_millis(60)).await; // sleep: the pace of the storm
            let now = pulled.load(Ordering::Relaxed);
            // At least as much is done between two kills as runs at once.
            if now < next {
                continue;
            }
            if let Some((_, pid)) = stats(&slither).workers.first() {
                let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
                if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok() {
                    kills.fetch_add(1, Ordering::Relaxed);
                    next = now + 6 * 4;
                }
            }
        }
        let done = run.await.unwrap().unwrap();
        let (kills, pulled) = (kills.load(Ordering::Relaxed), pulled.load(Ordering::Relaxed));
        println!("{kills} kills: {}", done.ledger);
        assert!(done.ledger.balanced() && done.ledger.pulled == pulled as u64, "{}", done.ledger);
        assert_eq!(done.results.len() + done.failures.len(), pulled);
        assert!(kills >= 5 && pulled >= 1500, "{kills} kills in {pulled} calls");
        // Only who was alone twice when a kill came has failed.
        assert!(done.failures.iter().all(|failure| failure.error.kind() == ErrorKind::Crash));
        assert!(done.failures.len() <= 6 * kills, "{} of {kills} kills", done.failures.len());
    })
    .await;
}
