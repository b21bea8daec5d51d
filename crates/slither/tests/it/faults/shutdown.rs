//! Every end is bounded, and leaves nothing behind.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use slither::{ErrorKind, OnError, Slither, Value};

use super::stories::plain;
use super::{alone, children, counting_runtime, holdings, pids};
use crate::support::{Folder, alive, behave, pool, runtime, until, within};

/// What has no end of its own ends so soon at least, however slow the machine is.
const BOUND: Duration = Duration::from_secs(60);

/// The files that stubborn calls make when SIGTERM does not end them any more.
fn signs(folder: &Folder) -> [String; 2] {
    ["first", "second"].map(|name| folder.path(name))
}

/// Both workers are stubborn, and so many calls wait for one.
async fn both_stuck(slither: &Slither, signs: &[String; 2], waiting: usize) {
    until(|| signs.iter().all(|sign| std::fs::exists(sign).unwrap())).await;
    until(|| {
        let stats = slither.stats("default").unwrap();
        (stats.running, stats.queued) == (2, waiting)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_worker_ends_at_the_deadline_of_the_shutdown() {
    within(async {
        let slither = runtime(pool(2)).await;
        let workers = pids(&slither);
        let folder = Folder::new();
        let signs = signs(&folder);
        let running = tokio::spawn({
            let (slither, [first, second]) = (slither.clone(), signs.clone());
            async move {
                let call = behave("act").batch_size(1).on_error(OnError::Skip);
                let items = [format!("stubborn:{first}"), format!("stubborn:{second}"), "never run".into()];
                slither.dispatch::<String, Value>(items, call).await.unwrap()
            }
        });
        both_stuck(&slither, &signs, 1).await;
        let begun = Instant::now();
        slither.shutdown(Duration::from_millis(300)).await;
        let took = begun.elapsed();
        println!("a shutdown with a grace of 300 ms took {} ms", took.as_millis());
        assert!(took >= Duration::from_millis(300) && took < BOUND, "{took:?}");
        assert!(!workers.iter().any(|pid| alive(*pid)));
        let done = running.await.unwrap();
        assert_eq!(done.ledger.failed, 3);
        for failure in &done.failures {
            assert_eq!(failure.error.kind(), ErrorKind::Pool, "{}", failure.error.report());
        }
        // It ignores SIGTERM, which it gets first.
        assert_snapshot!("shutdown_of_a_stuck_worker", plain(&done.failures[0].error.report()));
        assert_snapshot!("shutdown_of_what_waits", plain(&done.failures[2].error.report()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_and_an_exit_handler_that_do_not_end_are_cut_short() {
    within(async {
        let slither = runtime(pool(2)).await;
        let workers = pids(&slither);
        for what in ["thread", "exit handler"] {
            slither.execute::<_, Value>("default", "behave:linger", &[what]).await.unwrap();
        }
        let begun = Instant::now();
        slither.shutdown(Duration::from_millis(500)).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(500) && took < BOUND, "{took:?}");
        assert!(!workers.iter().any(|pid| alive(*pid)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_busy_runtime_leaves_no_process() {
    within(async {
        let slither = runtime(pool(2)).await;
        let workers = pids(&slither);
        let folder = Folder::new();
        let signs = signs(&folder);
        let running = tokio::spawn({
            let (slither, [first, second]) = (slither.clone(), signs.clone());
            async move {
                let call = behave("act").batch_size(1);
                let stubborn = [first, second].map(|sign| format!("stubborn:{sign}"));
                let items = stubborn.into_iter().chain((0..6).map(|_| "stubborn".to_owned()));
                slither.dispatch::<String, Value>(items, call).await
            }
        });
        both_stuck(&slither, &signs, 6).await;
        let begun = Instant::now();
        drop(slither);
        running.abort();
        assert!(running.await.is_err());
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        assert!(!workers.iter().any(|pid| alive(*pid)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_during_a_replacement_leaves_the_other_workers_calls_alone() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        let gate = folder.path("gate");
        let running = tokio::spawn({
            let (slither, gate) = (slither.clone(), gate.clone());
            async move { slither.dispatch::<String, String>([gate], behave("wait_for_file")).await }
        });
        until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
        let killed = slither.execute::<_, Value>("default", "behave:act", &[["kill"]]).await.unwrap_err();
        assert_eq!(killed.kind(), ErrorKind::Crash);
        // The replacement is only being started now.
        let ending = tokio::spawn(slither.shutdown(Duration::from_secs(30)));
        until(|| ending.is_finished() || running.is_finished() || std::fs::write(&gate, "").is_ok()).await;
        assert_eq!(running.await.unwrap().unwrap().ledger.emitted, 1);
        ending.await.unwrap();
    })
    .await;
}

#[test]
fn twenty_runtimes_leave_no_descriptor_thread_or_child() {
    if !alone("shutdown::twenty_runtimes_leave_no_descriptor_thread_or_child") {
        return;
    }
    counting_runtime().block_on(within(async {
        let round = async |number: usize| {
            let slither = runtime(pool(1 + number % 3)).await;
            let call = behave("echo").batch_size(3);
            assert_eq!(slither.dispatch::<u64, u64>(0..10, call).await.unwrap().ledger.emitted, 10);
            if number.is_multiple_of(2) {
                slither.shutdown(Duration::from_secs(5)).await;
            }
        };
        round(0).await;
        until(|| children() == 0).await;
        let mut before = holdings();
        until(|| {
            let now = holdings();
            std::mem::replace(&mut before, now) == now && now.1 <= 4
        })
        .await;
        for number in 1..=20 {
            round(number).await;
        }
        println!("descriptors and threads: {before:?} before, {:?} after 20 runtimes", holdings());
        until(|| holdings() == before && children() == 0).await;
    }));
}
