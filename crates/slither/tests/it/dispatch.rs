//! Dispatch: what it delivers, what it bounds, and what it does when something fails.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use slither::dispatch::{Executor, InProcess, Limits, OnError, Order, dispatch};
use slither::{Context, ErrorKind, RunError};

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("finishes in time")
}

fn doubler() -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new("local", |payloads: Vec<u64>| {
        Ok::<_, Infallible>(payloads.into_iter().map(|n| n * 2).collect())
    }))
}

#[tokio::test]
async fn results_come_back_in_the_order_of_the_input() {
    let limits = Limits::new().batch_size(7);
    let done = in_time(dispatch(doubler(), 0..1000, &limits, Context::run())).await.unwrap();
    assert_eq!((done.ledger.pulled, done.ledger.emitted), (1000, 1000));
    assert_eq!(done.into_payloads(), (0..1000).map(|n| n * 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_input_is_no_work_and_one_item_is_one_result() {
    let none = in_time(dispatch(doubler(), [], &Limits::new(), Context::run())).await.unwrap();
    assert!(none.results.is_empty() && none.ledger.balanced());
    let one = in_time(dispatch(doubler(), [21], &Limits::new(), Context::run())).await.unwrap();
    assert_eq!(one.into_payloads(), [42]);
}

fn fails_on(bad: u64) -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new(
        "local",
        move |payloads: Vec<u64>| {
            if payloads.contains(&bad) { Err("no good") } else { Ok(payloads) }
        },
    ))
}

#[tokio::test]
async fn skip_loses_the_failed_batch_and_goes_on() {
    for order in [Order::Preserve, Order::AsCompleted] {
        let limits = Limits::new().batch_size(10).on_error(OnError::Skip).order(order);
        let done = in_time(dispatch(fails_on(25), 0..100, &limits, Context::run())).await.unwrap();
        assert_eq!(done.failures.iter().map(|f| f.item.0).collect::<Vec<_>>(), (20..30).collect::<Vec<_>>());
        assert_eq!(done.failures[3].batch.len(), 10);
        assert_eq!((done.ledger.emitted, done.ledger.failed), (90, 10));
        assert!(done.ledger.balanced());
    }
}

#[tokio::test]
async fn halt_returns_the_error_and_what_was_finished() {
    let limits = Limits::new().batch_size(10).max_in_flight(1);
    let error = in_time(dispatch(fails_on(25), 0.., &limits, Context::run())).await.unwrap_err();
    let RunError::Halted(failure) = &error.cause else { panic!("{error}") };
    assert_eq!((failure.item.0, failure.error.kind()), (20, ErrorKind::Handler));
    assert_eq!(error.finished.results.len(), 20);
    assert_eq!(error.finished.failures.len(), 10);
    assert!(error.finished.ledger.balanced());
    assert!(error.to_string().starts_with("halted: item 20: handler: no good ("), "{error}");
}

#[tokio::test]
async fn a_panic_fails_its_batch_and_a_short_reply_too() {
    let panics = InProcess::new("local", |payloads: Vec<u64>| {
        assert!(!payloads.contains(&3), "three is right out");
        Ok::<_, Infallible>(payloads)
    });
    let limits = Limits::new().batch_size(2).on_error(OnError::Skip);
    let done = in_time(dispatch(Arc::new(panics), 0..6, &limits, Context::run())).await.unwrap();
    assert_eq!(done.failures.len(), 2);
    assert_eq!(done.failures[0].error.to_string(), "panicked: three is right out");

    let short = InProcess::new("local", |payloads: Vec<u64>| Ok::<_, Infallible>(payloads[1..].to_vec()));
    let done = in_time(dispatch(Arc::new(short), 0..2, &limits, Context::run())).await.unwrap();
    assert_eq!(done.failures[0].error.kind(), ErrorKind::Contract);
    assert_eq!(done.failures[0].error.to_string(), "expected 2 results, got 1");
}
