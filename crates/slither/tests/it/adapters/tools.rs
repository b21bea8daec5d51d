//! Tools called by name, one by one, in batches, in pipes and in sessions; and what was counted.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use slither::{Call, Context, ErrorKind, OnError, Pipe, Pool, Router, Slither, Value};

use super::{PYTHON, Scored, meeting, profiles, start, with};
use crate::support::{Folder, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_built_once_and_its_tools_are_called_by_name() {
    within(async {
        for (profile, slots, pool) in profiles("Predictions") {
            let slither = start(pool).await;
            let named = BTreeMap::from([("text", "good good bad")]);
            let first: Scored = slither.call("predict", &named).await.unwrap();
            assert_eq!(first.score, 1.0, "{profile}");
            let listed: Scored = slither.call("predict", &["bad"]).await.unwrap();
            let alone: Scored = slither.call("predict", "good").await.unwrap();
            assert_eq!((listed.score, alone.score), (-1.0, 1.0), "{profile}");
            assert!(listed.pid == first.pid && alone.pid == first.pid);
            assert_eq!(slither.call::<_, u64>("logged", &()).await.unwrap(), 3, "one object had all of them");

            let adapter = slither.adapter("default").unwrap();
            assert_eq!(adapter.class(), "showcase:Predictions");
            let tool = &adapter.tools()[0];
            assert_eq!((tool.name.as_str(), tool.description.as_str()), ("predict", "The score of a text"));
            assert_eq!(tool.parameters[0].annotation.as_deref(), Some("str"));
            assert!(!tool.streaming && adapter.tools().iter().any(|tool| tool.streaming));
            assert_eq!(slither.stats("default").unwrap().slots, slots, "{profile}");
            slither.shutdown(Duration::from_secs(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_calls_are_in_one_object_at_once_as_the_worker_has_slots() {
    within(async {
        for (profile, slots, pool) in profiles("Predictions") {
            // The tool is no coroutine, and those that are none run one at a time.
            let together = if profile == "coroutines" { 1 } else { slots };
            let slither = start(pool).await;
            let folder = Folder::new();
            let calls = (0..together).map(|number| {
                let (slither, args) = (slither.clone(), meeting(&folder, number, together));
                async move { slither.call::<_, String>("meet", &args).await.unwrap() }
            });
            let mut threads = join_all(calls).await;
            threads.sort();
            threads.dedup();
            assert_eq!(threads.len(), together, "{profile}");

            let stats = slither.adapter("default").unwrap().stats().await.unwrap();
            let counts = stats.replies[0].result.as_ref().unwrap();
            assert_eq!(counts.total_requests, together as u64, "{profile}");
            assert_eq!(counts.active_requests, 0);
            assert_eq!(counts.max_workers, Some(slots as u64));
            let per_thread: Vec<u64> = counts.thread_utilization.values().map(|each| each.requests).collect();
            assert_eq!(per_thread, vec![1; together], "{profile}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tool_is_told_those_that_there_are() {
    within(async {
        let slither = Slither::builder()
            .pool(with(Pool::processes("scores"), "Predictions"))
            .pool(with(Pool::processes("counts"), "Unlocked"))
            .start()
            .await
            .unwrap();
        let error = slither.call::<_, Value>("predicts", &()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Import);
        assert_eq!(
            error.message(),
            "no adapter has a tool `predicts`: pool `counts` has increment; pool `scores` has predict, logged, meet, \
             gated, gated_later, count, mixed, die, negative, session_id"
        );
        let error =
            slither.adapter("scores").unwrap().call::<_, Value>("predicts", &()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Import);
        assert_eq!(
            error.message(),
            "Predictions has no tool 'predicts'; it has predict, logged, meet, gated, gated_later, count, mixed, die, \
             negative, session_id\nhint: did you mean 'predict'?"
        );
        let call = Call::tool("predicts").pool("scores");
        let error = slither.dispatch::<_, Value>(["x"], call).await.unwrap_err();
        let said = "tool `predicts` cannot be called in pool `scores`: Predictions has no tool 'predicts'";
        assert!(error.to_string().contains(said), "{error}");
        let error = slither.call::<_, Value>("", &()).await.unwrap_err();
        assert!(error.message().starts_with("no adapter has a tool ``"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_of_two_pools_has_to_be_asked_for_in_one_of_them() {
    within(async {
        let slither = Slither::builder()
            .pool(with(Pool::processes("one"), "Predictions"))
            .pool(with(Pool::processes("two"), "Predictions"))
            .pool(Pool::processes("bare").size(1).python_path(PYTHON))
            .pool(Pool::processes("any").size(1).python_path(PYTHON).adapter("from_snakepit:Dispatching"))
            .start()
            .await
            .unwrap();
        let error = slither.call::<_, Value>("logged", &()).await.unwrap_err();
        assert_eq!(
            error.message(),
            "pool `one` has a tool `logged`, and so has pool `two`\n  hint: say which one, as \
             `slither.adapter(\"one\")?.call(…)`"
        );
        // Who calls its tools itself, and so has any, is meant by the names that nobody else has.
        let (name, ..): (String, Value, Value) =
            slither.call("another", &BTreeMap::from([("a", 1)])).await.unwrap();
        assert_eq!(name, "another");
        let two = slither.adapter("two").unwrap();
        assert_eq!(two.call::<_, u64>("logged", &()).await.unwrap(), 0);
        let error = slither.adapter("bare").unwrap_err();
        assert_eq!(error.to_string(), "pool `bare` has no adapter\n  hint: give it one with `Pool::adapter`");
        let error = slither.execute::<_, Value>("bare", ":logged", &()).await.unwrap_err();
        assert_eq!(error.message(), "this pool has no adapter\nhint: give it one with `Pool::adapter`");
    })
    .await;
}

#[derive(Serialize)]
struct Text {
    text: &'static str,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_and_a_stage_of_a_pipe_call_a_tool_for_each_item() {
    within(async {
        for (profile, _, pool) in profiles("Predictions") {
            let slither = start(pool).await;
            let texts = ["good", "bad", "good bad"].map(|text| Text { text });
            let done = slither.dispatch::<_, Scored>(texts, Call::tool("predict")).await.unwrap();
            let scores: Vec<f64> = done.into_payloads().iter().map(|scored| scored.score).collect();
            assert_eq!(scores, [1.0, -1.0, 0.0], "{profile}");

            // In a batch they are called one after the other, and the policy of the stage finds who is to blame.
            let call = Call::tool("negative").batch_size(8).on_error(OnError::Isolate);
            let done = slither.dispatch::<_, i64>([-1, -2, 3, -4], call).await.unwrap();
            assert_eq!(done.failures.len(), 1, "{profile}");
            assert_eq!(done.failures[0].item.0, 2);
            assert_eq!(done.failures[0].error.message(), "3 is not negative");
            assert_eq!(done.into_payloads(), [-1, -2, -4]);
            // All that a streaming tool yields is the result of its item.
            let done = slither.dispatch::<_, Vec<u64>>([2, 0], Call::tool("count")).await.unwrap();
            assert_eq!(done.into_payloads(), [vec![0, 1], vec![]], "{profile}");

            let pipe = Pipe::builder("scores")
                .map("prepare", |text: &'static str, _: &Context| Text { text })
                .python::<Scored>("score", Call::tool("predict"))
                .route("route", Router::new().when("good", |scored: &Scored| scored.score > 0.0))
                .build()
                .unwrap();
            let outputs = slither.run_pipe(&pipe, ["good", "bad", "good good"]).await.unwrap();
            assert_eq!((outputs.payloads("good").len(), outputs.payloads("default").len()), (2, 1));
            assert!(outputs.ledger().balanced());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_calls_the_adapter_of_its_worker() {
    within(async {
        let pool = with(Pool::processes("default"), "Predictions").size(3);
        let slither = start(pool).await;
        let session = slither.open_session("default").await.unwrap();
        let adapter = session.adapter().unwrap();
        let (_, pid) = session.worker().unwrap();
        for known in [false, true, true] {
            let scored: Scored = adapter.call("predict", "good").await.unwrap();
            assert_eq!((scored.known, scored.pid), (known, pid), "the same worker, with its cache");
        }
        let id: String = adapter.call("session_id", &()).await.unwrap();
        assert_eq!(id, session.id().to_string());
        let stats = adapter.stats().await.unwrap();
        let totals: u64 =
            stats.replies.iter().map(|reply| reply.result.as_ref().unwrap().total_requests).sum();
        assert_eq!((stats.replies.len(), totals), (3, 4));
        session.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_the_deadline_that_its_caller_gives_it() {
    within(async {
        let slither = start(with(Pool::processes("default"), "Predictions")).await;
        let folder = Folder::new();
        let adapter = slither.adapter("default").unwrap().timeout(Duration::from_millis(200));
        let error = adapter.call::<_, Value>("meet", &meeting(&folder, 0, 2)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.traceback().unwrap().contains("in meet"), "{error:?}");
        // Its replacement has built the adapter anew.
        assert_eq!(slither.call::<_, u64>("logged", &()).await.unwrap(), 0);
    })
    .await;
}
