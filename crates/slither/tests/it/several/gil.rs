//! How many calls run at once follows the interpreter's lock, as it really is.

use std::iter::repeat_n;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::{StreamExt, stream};
use slither::python::Interpreter;
use slither::{Item, MaxInFlight, Outcome, Pool, Slither};

use super::extension::extension;
use super::{PYTHON, free_threaded, several, stats, threads};
use crate::support::{Folder, runtime, until, within};

pub(crate) fn with_gil() -> PathBuf {
    Interpreter::find_with_gil().expect("there is a Python with a GIL").executable
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_a_gil_a_worker_has_one_slot_and_says_why_unless_its_calls_wait() {
    within(async {
        let python = with_gil();
        let slither = runtime(threads(&python, 2, 16)).await;
        assert_eq!(stats(&slither).slots, 2);
        let gil = stats(&slither).usage[0].gil.clone().unwrap();
        assert_eq!(gil.to_string(), "this Python has a GIL");
        // It works all the same.
        let call = several("spin").batch_size(1).max_in_flight(8);
        assert_eq!(slither.dispatch::<u64, u64>(vec![10; 20], call).await.unwrap().results.len(), 20);

        let slither = runtime(threads(&python, 1, 4).io_bound(true)).await;
        assert_eq!(stats(&slither).slots, 4);
        let call = several("meet").batch_size(1).max_in_flight(4);
        slither.dispatch::<i32, String>(vec![4; 8], call).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_turns_the_gil_on_is_named_and_capacity_follows() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let folder = Folder::new();
        let library = extension(&python, &folder.path(""));
        let slither = runtime(threads(&python, 1, 4)).await;
        assert_eq!(stats(&slither).slots, 4);
        let on: bool = slither.execute("default", "several:load", &[&library]).await.unwrap();
        assert!(on, "it was made to turn the GIL on");
        until(|| stats(&slither).slots == 1).await;
        let gil = stats(&slither).usage[0].gil.clone().unwrap();
        assert_eq!(gil.turned_on_by.as_deref(), Some("needy"));
        assert_eq!(gil.to_string(), "importing `needy` turned the GIL on");
        let call = several("spin").batch_size(1).max_in_flight(8);
        assert_eq!(slither.dispatch::<u64, u64>(vec![10; 40], call).await.unwrap().results.len(), 40);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preload_that_turns_the_gil_on_is_named_from_the_start() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let folder = Folder::new();
        extension(&python, &folder.path(""));
        let pool = threads(&python, 1, 4).python_path(folder.path("")).preload("needy");
        let slither = runtime(pool).await;
        let usage = stats(&slither).usage[0].clone();
        assert_eq!(usage.slots, 1);
        assert_eq!(usage.gil.unwrap().turned_on_by.as_deref(), Some("needy"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_on_work_in_flight_follows_the_slots() {
    let Some(python) = free_threaded() else { return };
    within(async {
        for (python, slots) in [(python, 64), (with_gil(), 4)] {
            let slither = runtime(threads(&python, 4, 16)).await;
            assert_eq!(stats(&slither).slots, slots);
            // `auto` is twice the slots: as many calls as that are there at once, in workers and in line, and never more.
            let most = Arc::new(AtomicUsize::new(0));
            let watch = {
                let (slither, most) = (slither.clone(), most.clone());
                tokio::spawn(async move {
                    loop {
                        let stats = stats(&slither);
                        most.fetch_max(stats.running + stats.queued, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                })
            };
            let (folder, items) = (Folder::new(), slots * 8);
            let gate = folder.path("gate");
            let call = several("await_file").batch_size(1).max_in_flight(MaxInFlight::Auto);
            let all = tokio::spawn({
                let (slither, gate) = (slither.clone(), gate.clone());
                async move { slither.dispatch::<String, u32>(vec![gate; items], call).await }
            });
            until(|| most.load(Ordering::Relaxed) >= 2 * slots).await;
            std::fs::write(gate, "").unwrap();
            assert_eq!(all.await.unwrap().unwrap().ledger.emitted, items as u64);
            watch.abort();
            assert_eq!(most.load(Ordering::Relaxed), 2 * slots);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_on_work_in_flight_falls_in_the_middle_of_a_run() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let folder = Folder::new();
        let library = extension(&python, &folder.path(""));
        let slither = runtime(threads(&python, 1, 16)).await;
        // The most calls at once: before, and with one slot, once what was in flight has come back.
        let (high, low) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let watch = {
            let (slither, high, low) = (slither.clone(), high.clone(), low.clone());
            tokio::spawn(async move {
                let mut fallen = false;
                loop {
                    let stats = stats(&slither);
                    let all = stats.running + stats.queued;
                    fallen |= stats.slots == 1 && all <= 2;
                    match (stats.slots, fallen) {
                        (1, true) => low.fetch_max(all, Ordering::Relaxed),
                        (1, false) => 0,
                        _ => high.fetch_max(all, Ordering::Relaxed),
                    };
                    tokio::task::yield_now().await;
                }
            })
        };
        let gates = [folder.path("first"), folder.path("second")];
        let [first, second] = gates.clone().map(|gate| ("await".to_owned(), gate));
        let load = ("load".to_owned(), library);
        let before = repeat_n(first.clone(), 200).chain([load]).chain(repeat_n(first, 200));
        // What waits at the second gate comes when the slots have fallen, or it would hold them all.
        let fallen = {
            let slither = slither.clone();
            stream::once(async move { until(|| stats(&slither).slots == 1).await })
        };
        let after = fallen.flat_map(move |()| stream::iter(repeat_n(second.clone(), 200)));
        let source = stream::iter(before).chain(after).zip(stream::iter(0u64..));
        let source = source.map(|(payload, id)| Item::new(id, payload));
        let call = several("await_or_load").batch_size(1).max_in_flight(MaxInFlight::Auto);
        let run = {
            let slither = slither.clone();
            let run = slither.dispatch_stream::<(String, String), u32>(source, call).await.unwrap();
            tokio::spawn(run.map(|outcome| matches!(outcome, Ok(Outcome::Done(_)))).collect::<Vec<_>>())
        };
        for (gate, most, calls) in [(&gates[0], &high, 32), (&gates[1], &low, 2)] {
            until(|| most.load(Ordering::Relaxed) >= calls).await;
            std::fs::write(gate, "").unwrap();
        }
        assert_eq!(run.await.unwrap(), [true; 601]);
        watch.abort();
        assert_eq!(
            [high, low].map(|most| most.load(Ordering::Relaxed)),
            [32, 2],
            "with 16 slots, and with 1"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_share_the_constants_of_a_module_that_was_compiled_as_it_was_imported() {
    let Some(python) = free_threaded() else { return };
    within(async {
        for preloads in [false, true] {
            let pool = threads(&python, 1, 2).env("PYTHONDONTWRITEBYTECODE", "1");
            let slither = runtime(if preloads { pool.preload("several") } else { pool }).await;
            let counted: Vec<String> =
                slither.execute("default", "several:counted_constants", &()).await.unwrap();
            assert!(counted.is_empty(), "{counted:?}");
        }
    })
    .await;
}

/// Not a promise of a time, but of what a second thread is worth; run where nothing else runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two idle cores"]
async fn two_threads_compute_nearly_twice_as_much_as_one() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let mut took = [Vec::new(), Vec::new()];
        let pool = |threads: usize| super::threads(&python, 1, threads);
        let (one, two) = (runtime(pool(1)).await, runtime(pool(2)).await);
        for _ in 0..5 {
            for (slither, took) in [&one, &two].into_iter().zip(&mut took) {
                let call = several("spin").batch_size(1).max_in_flight(4);
                let begun = Instant::now();
                slither.dispatch::<u64, u64>(vec![300_000; 40], call).await.unwrap();
                took.push(begun.elapsed());
            }
        }
        let median = |took: &mut Vec<std::time::Duration>| {
            took.sort_unstable();
            took[2].as_secs_f64()
        };
        let ratio = median(&mut took[0]) / median(&mut took[1]);
        println!("two threads: {ratio:.2} times the throughput of one");
        assert!(ratio >= 1.7, "{ratio}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_pool_does_not_have_are_refused() {
    for (pool, message) in [
        (
            Pool::processes("p").threads_per_worker(2),
            "threads_per_worker is set, which a pool of processes does not have",
        ),
        (Pool::coroutines("p").io_bound(true), "io_bound is set, which a pool of coroutines does not have"),
        (Pool::threads("p").concurrency(2), "concurrency is set, which a pool of threads does not have"),
        (Pool::threads("p").threads_per_worker(0), "threads_per_worker is 0, expected 1 to 256"),
        (Pool::coroutines("p").concurrency(1025), "concurrency is 1025, expected 1 to 1024"),
    ] {
        let error = Slither::builder().pool(pool.python_path(PYTHON)).start().await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("pool `p`: {message}\n  hint: ")), "{error}");
    }
}
