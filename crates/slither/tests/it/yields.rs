//! Generators: what is yielded is final, and comes before its batch has ended; a failure costs only the rest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use slither::dispatch::{Dispatched, InProcess, Limits, dispatch, dispatch_stream};
use slither::{Call, Context, ErrorKind, Item, OnError, Order, Outcome, Retry, RunError, Value};

use crate::support::{Folder, pool, runtime, until, within};

fn yields<I>(function: &str) -> Call<I> {
    Call::new(format!("yields:{function}"))
}

fn ids<O>(done: &Dispatched<O>) -> (Vec<u64>, Vec<u64>) {
    let good = done.results.iter().map(|item| item.id.0).collect();
    (good, done.failures.iter().map(|failure| failure.item.0).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_yielded_arrives_while_the_batch_runs() {
    within(async {
        let slither = runtime(pool(2)).await;
        for function in ["one_by_one", "one_by_one_async"] {
            for order in [Order::Preserve, Order::AsCompleted] {
                let folder = Folder::new();
                let gates = [folder.path("first"), folder.path("second")];
                // The first batch waits in its middle, the second before its end.
                let items = ["a", "b", &gates[0], "c", "d", &gates[1]].map(str::to_owned);
                let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
                let call = yields(function).batch_size(3).order(order);
                let mut results = slither.dispatch_stream::<_, String>(source, call).await.unwrap();
                let mut early = Vec::new();
                let wanted = if order == Order::Preserve { 2 } else { 4 };
                while early.len() < wanted {
                    match results.next().await {
                        Some(Ok(Outcome::Done(item))) => early.push(item.id.0),
                        other => panic!("{other:?}"),
                    }
                }
                early.sort_unstable();
                let expected: &[u64] = if order == Order::Preserve { &[0, 1] } else { &[0, 1, 3, 4] };
                assert_eq!(early, expected, "{function}, {order:?}");
                assert!(results.next().now_or_never().is_none(), "both batches wait");
                for gate in &gates {
                    std::fs::write(gate, "").unwrap();
                }
                let late: Vec<_> = results.by_ref().map(|result| result.unwrap()).collect().await;
                assert_eq!(late.len(), 6 - wanted);
                assert!(results.ledger().balanced());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_costs_only_what_was_not_yielded() {
    within(async {
        let slither = runtime(pool(2)).await;
        for (deed, kind) in [
            ("raise", ErrorKind::Exception),
            ("segfault", ErrorKind::Crash),
            ("kill", ErrorKind::Crash),
            ("hang", ErrorKind::Timeout),
        ] {
            // What comes before the hang is to be yielded within it.
            let limit = Duration::from_secs(if deed == "hang" { 4 } else { 600 });
            let run = async |order| {
                let call =
                    yields("one_by_one").batch_size(6).order(order).timeout(limit).on_error(OnError::Skip);
                let items = ["a", "b", "c", deed, "e", "f"];
                let done = slither.dispatch::<_, String>(items, call).await.unwrap();
                assert_eq!(ids(&done), (vec![0, 1, 2], vec![3, 4, 5]), "{deed}, {order:?}");
                assert!(done.failures.iter().all(|failure| failure.error.kind() == kind), "{deed}");
                assert_eq!(done.failures[0].batch.len(), 3, "only the rest is blamed");
                assert!(done.ledger.balanced(), "{}", done.ledger);
            };
            tokio::join!(run(Order::Preserve), run(Order::AsCompleted));
        }
        let call = yields("one_by_one").batch_size(4);
        let error = slither.dispatch::<_, String>(["a", "b", "raise", "d"], call).await.unwrap_err();
        let RunError::Halted(failure) = &error.cause else { panic!("{error}") };
        assert_eq!(failure.item.0, 2, "the first that was not yielded");
        assert_eq!(ids(&error.finished), (vec![0, 1], vec![2, 3]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn isolate_and_retry_run_only_the_rest_again() {
    within(async {
        let slither = runtime(pool(1)).await;
        let run = async |deeds: [&str; 5], policy: OnError| {
            let folder = Folder::new();
            let log = folder.path("log");
            let items = deeds.map(|deed| vec![log.clone(), deed.to_owned()]);
            let call = yields("noted").batch_size(8).on_error(policy);
            let done = slither.dispatch::<_, u64>(items, call).await.unwrap();
            assert!(done.ledger.balanced(), "{}", done.ledger);
            (done, std::fs::read_to_string(&log).unwrap().replace('\n', ","))
        };
        let soon = Retry::new(3).backoff(Duration::from_millis(5));
        for deed in ["raise", "kill"] {
            let retry = soon.clone().on("ValueError").then(OnError::Skip);
            let (done, log) = run(["a", "b", deed, "d", "e"], retry.into()).await;
            let attempts: Vec<_> = done.results.iter().map(|item| (item.id.0, item.payload)).collect();
            assert_eq!(attempts, [(0, 1), (1, 1), (2, 3), (3, 3), (4, 3)], "{deed}");
            assert_eq!(log, format!("a 1,b 1,{deed} 1,{deed} 2,{deed} 3,d 3,e 3,"));
        }
        let (done, log) = run(["a", "raise", "c", "d", "e"], OnError::Isolate).await;
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        assert_eq!(log, "a 1,raise 1,raise 2,raise 3,c 3,d 2,e 2,", "what was yielded is not run again");
        // A single item may ask for another attempt, while the rest of its batch goes on.
        let (done, log) = run(["a", "again", "c", "d", "e"], soon.into()).await;
        assert_eq!(done.into_payloads(), [1, 2, 1, 1, 1]);
        assert_eq!(log, "a 1,again 1,c 1,d 1,e 1,again 2,");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_number_of_results_names_both_counts_and_costs_the_rest() {
    within(async {
        let slither = runtime(pool(1)).await;
        for (function, says) in [
            ("too_few", "the generator yielded 2 results for 3 items"),
            ("too_many", "the generator yielded at least 4 results for 3 items"),
        ] {
            let call = yields(function).on_error(OnError::Skip);
            let done = slither.dispatch::<u64, Value>(0..3, call).await.unwrap();
            assert_eq!(ids(&done), (vec![0, 1], vec![2]), "{function}");
            let error = &done.failures[0].error;
            assert_eq!(error.kind(), ErrorKind::Contract);
            assert!(error.message().contains(says), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn single_items_fail_alone_and_items_that_cannot_be_sent_keep_their_places() {
    within(async {
        let slither = runtime(pool(1)).await;
        let items = ["a", "failed", "c", "set", "e"];
        let done = slither.dispatch::<_, String>(items, yields("one_by_one")).await.unwrap();
        assert_eq!(ids(&done), (vec![0, 2, 4], vec![1, 3]));
        assert_eq!(done.failures[0].error.message(), "not this one");
        assert_eq!(done.failures[1].error.kind(), ErrorKind::Value);
        let unfit = Duplicate;
        let items = [Ok("a"), Err(unfit), Ok("b"), Err(unfit), Err(unfit), Ok("c"), Err(unfit)].map(Odd);
        let done = slither.dispatch::<_, String>(items, yields("one_by_one")).await.unwrap();
        assert_eq!(ids(&done), (vec![0, 2, 5], vec![1, 3, 4, 6]));
    })
    .await;
}

/// Refuses to be encoded.
#[derive(Clone, Copy)]
struct Duplicate;

struct Odd(Result<&'static str, Duplicate>);

impl serde::Serialize for Odd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Ok(text) => serializer.serialize_str(text),
            Err(Duplicate) => Err(serde::ser::Error::custom("it does not want to")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_quick_results_all_arrive_in_their_order() {
    within(async {
        let slither = runtime(pool(2)).await;
        let call = yields("one_by_one").batch_size(500);
        let done = slither.dispatch::<u64, u64>(0..20_000, call).await.unwrap();
        assert_eq!(done.into_payloads(), (0..20_000).collect::<Vec<_>>());
        until(|| slither.stats("default").unwrap().running == 0).await;
        assert_eq!(slither.stats("default").unwrap().strays, 0);
    })
    .await;
}

#[tokio::test]
async fn a_stand_in_for_a_pool_yields_too_and_an_executor_without_is_as_it_was() {
    within(async {
        let (gate, opened) = std::sync::mpsc::sync_channel::<()>(1);
        let opened = std::sync::Mutex::new(opened);
        let half = InProcess::yielding("half", move |numbers: Vec<u64>, yields| {
            yields.leave(numbers[..2].iter().map(|n| Ok(n * 2)));
            opened.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
            Ok::<_, String>(numbers[2..].iter().map(|n| n * 2).collect())
        });
        let source = stream::iter((0..4).map(|n| Item::new(n, n)));
        let mut results = dispatch_stream(Arc::new(half), source, &Limits::new(), Context::run()).unwrap();
        for n in 0..2 {
            let Some(Ok(Outcome::Done(item))) = results.next().await else { panic!() };
            assert_eq!(item.payload, n * 2);
        }
        gate.send(()).unwrap();
        assert_eq!(results.collect::<Vec<_>>().await.len(), 2);

        let greedy = InProcess::yielding("greedy", |numbers: Vec<u64>, yields| {
            yields.leave((0..).map(Ok));
            Ok::<_, String>(numbers)
        });
        let limits = Limits::new().batch_size(4);
        let done = dispatch(Arc::new(greedy), 0..8, &limits, Context::run()).await.unwrap();
        assert_eq!(done.into_payloads(), [0, 1, 2, 3, 0, 1, 2, 3], "what is yielded is final");
        let lazy = InProcess::yielding("lazy", |numbers: Vec<u64>, yields| {
            yields.leave([Ok(numbers[0])]);
            Ok::<_, String>(Vec::new())
        });
        let limits = limits.on_error(OnError::Skip);
        let done = dispatch(Arc::new(lazy), 0..4, &limits, Context::run()).await.unwrap();
        assert_eq!(ids(&done), (vec![0], vec![1, 2, 3]));
        assert_eq!(done.failures[0].error.message(), "expected 4 results, got 1");
    })
    .await;
}
