//! What a function may return, and whom it costs if it returns something else.

use insta::assert_snapshot;
use slither::{Call, ErrorKind, OnError, Pool, Value};

use super::pids;
use super::stories::plain;
use crate::support::{behave, pool, runtime, within};

async fn failures(config: Pool, call: Call<Value>, items: Vec<Value>) -> Vec<Option<(ErrorKind, String)>> {
    let slither = runtime(config).await;
    let before = pids(&slither);
    let total = items.len();
    let done = slither.dispatch::<Value, Value>(items, call.on_error(OnError::Skip)).await.unwrap();
    assert_eq!(pids(&slither), before, "the worker survives");
    let mut out = vec![None; total];
    for failure in &done.failures {
        let error = &failure.error;
        out[failure.item.0 as usize] = Some((error.kind(), error.message().to_owned()));
    }
    assert_eq!(done.ledger.failed as usize, done.failures.len());
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_the_wrong_shape_says_what_came_and_what_was_expected() {
    within(async {
        for (function, came) in [("short", "2"), ("nothing", "None"), ("mapping", "dict")] {
            let items = (0..3u64).map(Value::from).collect();
            for outcome in failures(pool(1), behave(function), items).await {
                let (kind, message) = outcome.unwrap();
                assert_eq!(kind, ErrorKind::Contract);
                assert!(message.contains(came) && message.contains('3'), "{function}: {message}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_fails_alone_leaves_its_batch_alone() {
    within(async {
        let items = vec![Value::from(1), "failed".into(), "set".into(), Value::from(4)];
        let outcome = failures(pool(1), behave("act"), items).await;
        assert_eq!((&outcome[0], &outcome[3]), (&None, &None));
        let (kind, message) = outcome[1].clone().unwrap();
        assert_eq!((kind, &*message), (ErrorKind::Failed, "not this one"));
        let (kind, message) = outcome[2].clone().unwrap();
        assert!(kind == ErrorKind::Value && message.contains("set"), "{kind}: {message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_raised_is_a_typed_error_that_can_be_shown() {
    within(async {
        let slither = runtime(pool(1)).await;
        let before = pids(&slither);
        let mut reports = String::new();
        for deed in ["unspeakable", "unpicklable", "huge"] {
            let call = behave("act").on_error(OnError::Skip);
            let items = [Value::from(format!("raise-{deed}"))];
            let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
            let error = &done.failures[0].error;
            assert!(error.message().len() <= 8 << 10, "{deed}: {} bytes", error.message().len());
            let exception = error.exception().join(", ");
            let report = plain(&error.report()).replace(&"x".repeat(100), "");
            reports.push_str(&format!("{deed}: {}, {exception}\n{report}\n\n", error.kind()));
        }
        assert_snapshot!("raised", reports);
        assert_eq!(pids(&slither), before, "the worker survives");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_fails_and_the_worker_survives() {
    within(async {
        let small = || pool(1).max_frame(1 << 20);
        let outcome =
            failures(small(), behave("act").batch_size(1), vec!["big".into(), Value::from(1)]).await;
        let (kind, message) = outcome[0].clone().unwrap();
        assert!(kind == ErrorKind::TooLarge, "{kind}: {message}");
        assert_eq!(outcome[1], None);
        let items = vec![Value::from(0), Value::from("x".repeat(2 << 20)), Value::from(2)];
        let outcome = failures(small(), behave("echo"), items).await;
        assert_eq!((&outcome[0], &outcome[2]), (&None, &None), "only the item that is too large");
        let (kind, message) = outcome[1].clone().unwrap();
        assert!(kind == ErrorKind::TooLarge && message.contains("1048576"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 8 GB of memory; `cargo xtask soak` runs it"]
async fn an_argument_of_two_gigabytes_fails_and_the_worker_survives() {
    let size = 2_200_000_000;
    let items = vec![Value::from(0), Value::from("x".repeat(size)), Value::from(2)];
    let outcome = failures(pool(1), behave("echo"), items).await;
    assert_eq!((&outcome[0], &outcome[2]), (&None, &None));
    assert_eq!(outcome[1].clone().unwrap().0, ErrorKind::TooLarge);
}
