//! A batch without items and streams: each payload has its result or its error, in the order of the payloads.

use std::collections::HashSet;

use slither::{ErrorKind, OnError, RunError, Value};

use crate::support::{behave, pool, runtime, within};

#[tokio::test(flavor = "multi_thread")]
async fn all_payloads_go_to_one_worker_in_one_call() {
    within(async {
        let slither = runtime(pool(2)).await;
        let call = behave("pids").batch_size(1).max_in_flight(2);
        let pids = slither.call_batch::<u64, u32>(0..200, call).await.unwrap();
        let pids: HashSet<_> = pids.into_iter().map(Result::unwrap).collect();
        assert_eq!(pids.len(), 1, "whatever the call's batching");
        let results = slither.call_batch::<u64, u64>(0..1000, behave("echo")).await.unwrap();
        assert_eq!(
            results.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            (0..1000).collect::<Vec<_>>()
        );
        let none: Vec<u64> = Vec::new();
        assert!(slither.call_batch::<u64, u64>(none, behave("echo")).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_payload_has_its_own_error_or_that_of_the_batch() {
    within(async {
        let slither = runtime(pool(1)).await;
        let kinds = async |items: [&'static str; 4], function: &str, policy: OnError| {
            let call = behave(function).on_error(policy);
            let results = slither.call_batch::<_, Value>(items, call).await.unwrap();
            results.into_iter().map(|result| result.map_err(|error| error.kind()).err()).collect::<Vec<_>>()
        };
        let failed = Some(ErrorKind::Failed);
        assert_eq!(
            kinds(["a", "failed", "b", "set"], "act", OnError::Halt).await,
            [None, failed, None, Some(ErrorKind::Value)]
        );
        let raised = Some(ErrorKind::Exception);
        for policy in [OnError::Halt, OnError::Skip] {
            assert_eq!(kinds(["a", "raise", "b", "c"], "act", policy).await, [raised; 4]);
        }
        assert_eq!(
            kinds(["a", "raise", "b", "failed"], "act", OnError::Isolate).await,
            [None, raised, None, failed]
        );
        assert_eq!(kinds(["a", "b", "c", "d"], "short", OnError::Halt).await, [Some(ErrorKind::Contract); 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_called_is_the_programs_error() {
    within(async {
        let slither = runtime(pool(1)).await;
        let error = slither.call_batch::<u64, u64>([1], behave("ecko")).await.unwrap_err();
        assert!(matches!(&error, RunError::Config(_)) && error.to_string().contains("echo"), "{error}");
        let route = behave("echo").on_error(OnError::Route("away".into()));
        let error = slither.call_batch::<u64, u64>([1], route).await.unwrap_err();
        assert!(matches!(error, RunError::Config(_)), "{error}");
    })
    .await;
}
