//! Calls as coroutines in the event loop of one worker, on any Python.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use slither::{ErrorKind, OnError, Slither, Value};

use super::{Squares, coroutines, several, stats};
use crate::support::{Folder, runtime, until, within};

fn value(value: serde_json::Value) -> Value {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_waits_take_little_longer_than_the_four_rounds_that_they_need() {
    within(async {
        let slither = runtime(coroutines(2, 50)).await;
        assert_eq!(stats(&slither).slots, 100);
        // A hundred of them are there at once: none ends before all have begun.
        let folder = Folder::new();
        let gate = folder.path("gate");
        let waits = vec![value(json!({"await_file": gate, "deed": "nothing"})); 100];
        let call = several("act_in_loop").batch_size(1).max_in_flight(100);
        let hundred = {
            let slither = slither.clone();
            tokio::spawn(async move { slither.dispatch::<Value, String>(waits, call).await })
        };
        until(|| stats(&slither).running == 100).await;
        std::fs::write(&gate, "").unwrap();
        assert_eq!(hundred.await.unwrap().unwrap().results.len(), 100);

        let call = several("sleep").batch_size(1).max_in_flight(100);
        let begun = Instant::now();
        let done = slither.dispatch::<f64, u32>(vec![0.1; 200], call).await.unwrap();
        let took = begun.elapsed();
        println!("200 calls of 100 ms through 2 x 50 slots: {} ms", took.as_millis());
        assert_eq!(done.results.len(), 200);
        // One after the other they take 20 s.
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(15), "{took:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_and_yields_work_in_an_event_loop_and_plain_functions_beside_it() {
    within(async {
        let slither = Slither::builder().pool(coroutines(1, 8)).store(Squares).start().await.unwrap();
        let items: Vec<u64> = (0..100).collect();
        let squares: Vec<_> = items.iter().map(|number| number * number).collect();
        for function in ["views_in_loop", "views"] {
            let call = several(function).batch_size(5).max_in_flight(8);
            let done = slither.dispatch::<u64, u64>(items.clone(), call).await.unwrap();
            assert_eq!(done.into_payloads(), squares, "{function}");
        }
        for function in ["rows_in_loop", "rows"] {
            let call = several(function).batch_size(10).max_in_flight(8);
            let done = slither.dispatch::<u64, u64>(items.clone(), call).await.unwrap();
            assert_eq!(
                done.into_payloads(),
                items.iter().map(|item| item * 2).collect::<Vec<_>>(),
                "{function}"
            );
        }
        // All of them are in the loop at once.
        let call = several("meet_in_loop").batch_size(1).max_in_flight(8);
        slither.dispatch::<i32, u32>(vec![8; 32], call).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coroutine_past_its_deadline_is_cancelled_and_awaited_and_the_others_go_on() {
    within(async {
        let slither = runtime(coroutines(1, 8)).await;
        let folder = Folder::new();
        let before = stats(&slither).workers;
        let (closed, mark, gate) = (folder.path("closed"), folder.path("mark"), folder.path("gate"));
        let other = {
            let slither = slither.clone();
            let item = value(json!({"mark": mark, "await_file": gate, "deed": "nothing"}));
            tokio::spawn(
                async move { slither.dispatch::<Value, String>([item], several("act_in_loop")).await },
            )
        };
        until(|| std::path::Path::new(&mark).exists()).await;
        // Ample, as it is a coroutine that is cancelled only from where the worker has begun it.
        let late = || several("act_in_loop").timeout(Duration::from_secs(3)).on_error(OnError::Skip);
        let (done, rescued) = tokio::join!(
            slither.dispatch::<Value, String>([value(json!({"deed": "wait", "closed": closed}))], late()),
            slither.dispatch::<Value, String>([value(json!({"deed": "rescue"}))], late())
        );
        let done = done.unwrap();
        let error = &done.failures[0].error;
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        assert_eq!(error.message(), "the call ran past its deadline of 3 s, and was cancelled");
        assert!(error.traceback().unwrap().contains("in _act_in_loop"), "{error:?}");
        assert!(std::path::Path::new(&closed).exists(), "it was awaited");
        assert_eq!(rescued.unwrap().into_payloads(), ["rescued"], "what it makes of its end counts");

        assert!(!other.is_finished());
        std::fs::write(&gate, "").unwrap();
        assert_eq!(other.await.unwrap().unwrap().into_payloads(), [format!("nothing in {}", before[0].1)]);
        assert_eq!(stats(&slither).workers, before, "nobody died");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_end_costs_the_worker_and_says_where_it_was() {
    within(async {
        let each = ["block", "cling"].map(async |deed| {
            let slither = runtime(coroutines(1, 8)).await;
            let folder = Folder::new();
            let mark = folder.path("mark");
            let bystander = {
                let slither = slither.clone();
                let item = value(json!({"deed": "wait", "mark": mark}));
                let call = several("act_in_loop").on_error(OnError::Skip);
                tokio::spawn(async move { slither.dispatch::<Value, String>([item], call).await })
            };
            until(|| std::path::Path::new(&mark).exists()).await;
            // Ample, as it is to be in Python when it is over.
            let limit = Duration::from_secs(3);
            let call = several("act_in_loop").timeout(limit).on_error(OnError::Skip);
            let begun = Instant::now();
            let done = slither.dispatch::<Value, String>([value(json!({"deed": deed}))], call).await.unwrap();
            let over = begun.elapsed().saturating_sub(limit);
            println!("{deed}: {} ms beyond the deadline", over.as_millis());
            // By itself it would never end.
            assert!(over < Duration::from_secs(30), "{over:?}");
            let error = &done.failures[0].error;
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
            let stack = error.traceback().unwrap_or("");
            assert!(stack.contains("in _act_in_loop"), "{deed}: {error:?}");
            if deed == "cling" {
                // Where it awaits, and not what the loop does meanwhile.
                assert!(stack.starts_with("Task of call ") && !stack.contains("Thread 0x"), "{stack}");
            }
            let other = bystander.await.unwrap().unwrap();
            assert_eq!(other.failures[0].error.kind(), ErrorKind::Collateral, "{other:?}");
        });
        join_all(each).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_loop_is_blamed_on_who_computed() {
    within(async {
        let slither = runtime(coroutines(1, 8)).await;
        let folder = Folder::new();
        let mark = folder.path("mark");
        let items = [value(json!({"deed": "wait", "mark": mark})), value(json!({"deed": "segv"}))];
        let [bystander, culprit] = items;
        let call = || several("act_in_loop").on_error(OnError::Skip);
        let waiting = {
            let (slither, call) = (slither.clone(), call());
            tokio::spawn(async move { slither.dispatch::<Value, String>([bystander], call).await })
        };
        until(|| std::path::Path::new(&mark).exists()).await;
        let done = slither.dispatch::<Value, String>([culprit], call()).await.unwrap();
        assert_eq!(done.failures[0].error.kind(), ErrorKind::Crash, "{done:?}");
        let other = waiting.await.unwrap().unwrap();
        assert_eq!(other.failures[0].error.kind(), ErrorKind::Collateral, "{other:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_waits_for_any_more_is_cancelled() {
    within(async {
        let slither = runtime(coroutines(1, 2)).await;
        let folder = Folder::new();
        let (mark, closed) = (folder.path("mark"), folder.path("closed"));
        let before = stats(&slither).workers;
        let item = value(json!({"deed": "wait", "mark": mark, "closed": closed}));
        let call = {
            let slither = slither.clone();
            tokio::spawn(async move {
                slither.dispatch::<Value, String>([item], several("act_in_loop")).await.map(|_| ())
            })
        };
        until(|| std::path::Path::new(&mark).exists()).await;
        call.abort();
        until(|| std::path::Path::new(&closed).exists()).await;
        until(|| stats(&slither).running == 0).await;
        assert_eq!(stats(&slither).workers, before);
    })
    .await;
}
