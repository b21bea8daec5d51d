//! Retry: what can succeed the next time is run again, later, and what cannot meets the other policy.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures_core::future::BoxFuture;
use slither::dispatch::{Batch, Executor, Limits, Reply, dispatch};
use slither::{Call, Context, ErrorKind, ItemError, OnError, Order, Retry, RunError, Value};
use tokio::time::Instant;

use crate::support::{pool, runtime, within};

fn soon(attempts: u32) -> Retry {
    Retry::new(attempts).backoff(Duration::from_millis(5))
}

#[tokio::test(flavor = "multi_thread")]
async fn python_is_run_again_after_what_can_pass() {
    within(async {
        let slither = runtime(pool(1)).await;
        for deed in ["busy", "retry", "die", "hang"] {
            // The attempt that works is to end within it, too.
            let limit = Duration::from_secs(if deed == "hang" { 4 } else { 600 });
            let call =
                Call::new("policies:attempts").timeout(limit).on_error(soon(3).on("policies.Busy").into());
            let done = slither.dispatch::<_, u64>([deed, "other"], call).await.unwrap();
            assert_eq!(done.into_payloads(), [3, 3], "{deed}");
        }
        let call = Call::new("policies:attempts").on_error(soon(3).into());
        let done = slither.dispatch::<_, u64>(["before", "alone", "behind"], call).await.unwrap();
        assert_eq!(done.into_payloads(), [1, 3, 1], "only the item that asked is run again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_attempts_are_used_up_the_other_policy_is_met() {
    within(async {
        let slither = runtime(pool(1)).await;
        let call = |retry: Retry| Call::new("policies:attempts").on_error(retry.into());
        let error = slither.dispatch::<_, u64>(["retry"], call(soon(2))).await.unwrap_err();
        let RunError::Halted(failure) = &error.cause else { panic!("{error}") };
        assert_eq!(failure.error.kind(), ErrorKind::Retry);
        assert_eq!(failure.error.retry_after(), Some(Duration::from_millis(10)));
        assert!(failure.error.traceback().unwrap().contains("not yet"));

        let skip = soon(2).then(OnError::Skip);
        let done = slither.dispatch::<_, u64>(["retry", "alone"], call(skip)).await.unwrap();
        assert_eq!(done.failures.len(), 2);

        // The culprit of a batch that another attempt does not mend is looked for.
        let isolate = call(soon(2).then(OnError::Isolate)).batch_size(8);
        let done = slither.dispatch::<_, u64>(["a", "b", "retry", "c"], isolate).await.unwrap();
        let ended: Vec<_> = done.results.iter().map(|item| (item.id.0, item.payload)).collect();
        assert_eq!(ended, [(0, 3), (1, 3), (2, 3), (3, 3)], "parts are attempts too");

        let call = call(soon(3)).on_error(OnError::Skip);
        let done = slither.dispatch::<_, u64>(["alone", "fine"], call).await.unwrap();
        assert_eq!((done.failures.len(), done.failures[0].error.kind()), (1, ErrorKind::Retry));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_exceptions_are_not_run_again() {
    within(async {
        let slither = runtime(pool(1)).await;
        let retry = soon(5).on("policies.VeryBusy").then(OnError::Skip);
        let call = Call::new("policies:poison").on_error(retry.into());
        let done = slither.dispatch::<Value, Value>(["bad".into()], call).await.unwrap();
        assert_eq!(done.failures[0].error.exception()[0], "ValueError");
    })
    .await;
}

/// Loses its first `failures` batches to a crash; notes when each came.
struct Failing {
    failures: usize,
    seen: Mutex<Vec<(Instant, u64, u32)>>,
}

impl Failing {
    fn new(failures: usize) -> Arc<Self> {
        Arc::new(Self { failures, seen: Mutex::default() })
    }
}

impl Executor<u64, u64> for Failing {
    fn execute(&self, batch: &Batch<u64>, context: &Context) -> BoxFuture<'static, Reply<u64>> {
        let mut seen = self.seen.lock().unwrap();
        seen.push((Instant::now(), batch.items[0].id.0, context.attempt));
        let reply = match seen.len() <= self.failures {
            true => Err(ItemError::new(ErrorKind::Crash, "gone")),
            false => Ok(batch.payloads().map(|n| Ok(*n)).collect()),
        };
        Box::pin(std::future::ready(reply))
    }

    fn name(&self) -> &str {
        "failing"
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_grows_and_gives_the_permit_back_and_keeps_the_place() {
    let failing = Failing::new(1);
    let retry =
        Retry::new(3).backoff(Duration::from_secs(60)).max_backoff(Duration::from_secs(90)).jitter(0.0);
    let limits = Limits::new().batch_size(1).max_in_flight(1).window(3).on_error(retry.clone().into());
    let began = Instant::now();
    let done = dispatch(failing.clone(), 0..6, &limits, Context::run()).await.unwrap();
    assert_eq!(done.into_payloads(), [0, 1, 2, 3, 4, 5]);
    let seen: Vec<_> =
        failing.seen.lock().unwrap().iter().map(|(at, id, n)| (*id, *n, *at - began)).collect();
    let ids: Vec<_> = seen.iter().map(|(id, attempt, _)| (*id, *attempt)).collect();
    // With one permit the next two run while the first waits; the window holds the others back.
    assert_eq!(ids, [(0, 1), (1, 1), (2, 1), (0, 2), (3, 1), (4, 1), (5, 1)]);
    assert!(seen[2].2 < Duration::from_secs(1) && seen[3].2 >= Duration::from_secs(60));

    let failing = Failing::new(2);
    let began = Instant::now();
    let one = Limits::new().on_error(retry.into());
    dispatch(failing.clone(), [7], &one, Context::run()).await.unwrap();
    let waits = failing.seen.lock().unwrap()[2].0 - began;
    assert!((150..152).contains(&waits.as_secs()), "60 s and then 90 s, not {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_waits_the_same() {
    let took = |seed| async move {
        let retry = Retry::new(5).backoff(Duration::from_secs(60)).jitter(1.0).seed(seed);
        let limits = Limits::new().order(Order::AsCompleted).on_error(retry.into());
        let began = Instant::now();
        dispatch(Failing::new(4), [7], &limits, Context::run()).await.unwrap();
        began.elapsed()
    };
    let (first, again, other) = (took(3).await, took(3).await, took(4).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn dropping_withdraws_what_waits_for_its_next_attempt() {
    let limits: Limits<u64> =
        Limits::new().on_error(Retry::new(9).backoff(Duration::from_secs(9)).jitter(0.0).into());
    let failing = Failing::new(99);
    let run = dispatch(failing.clone(), 0..3, &limits, Context::run());
    assert!(tokio::time::timeout(Duration::from_secs(5), run).await.is_err());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(failing.seen.lock().unwrap().len(), 1);
}
