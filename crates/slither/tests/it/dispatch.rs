//! Dispatch: what it delivers, what it bounds, and what it does when something fails.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use slither::dispatch::{
    Batch, Executor, InProcess, Limits, OnError, Order, Outcome, Reply, Yields, dispatch, dispatch_stream,
    try_dispatch_stream,
};
use slither::{Context, ErrorKind, Item, ItemError, RunError};
use tokio::sync::Semaphore;

use crate::support::within;

fn doubler() -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new("local", |payloads: Vec<u64>| {
        Ok::<_, Infallible>(payloads.into_iter().map(|n| n * 2).collect())
    }))
}

#[tokio::test]
async fn results_come_back_in_the_order_of_the_input() {
    let limits = Limits::new().batch_size(7);
    let done = within(dispatch(doubler(), 0..1000, &limits, Context::run())).await.unwrap();
    assert_eq!((done.ledger.pulled, done.ledger.emitted), (1000, 1000));
    assert_eq!(done.into_payloads(), (0..1000).map(|n| n * 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_input_is_no_work_and_one_item_is_one_result() {
    let none = within(dispatch(doubler(), [], &Limits::new(), Context::run())).await.unwrap();
    assert!(none.results.is_empty() && none.ledger.balanced());
    let one = within(dispatch(doubler(), [21], &Limits::new(), Context::run())).await.unwrap();
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
        let done = within(dispatch(fails_on(25), 0..100, &limits, Context::run())).await.unwrap();
        assert_eq!(done.failures.iter().map(|f| f.item.0).collect::<Vec<_>>(), (20..30).collect::<Vec<_>>());
        assert_eq!(done.failures[3].batch.len(), 10);
        assert_eq!((done.ledger.emitted, done.ledger.failed), (90, 10));
        assert!(done.ledger.balanced());
    }
}

#[tokio::test]
async fn halt_returns_the_error_and_what_was_finished() {
    let limits = Limits::new().batch_size(10).max_in_flight(1);
    let error = within(dispatch(fails_on(25), 0.., &limits, Context::run())).await.unwrap_err();
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
    let done = within(dispatch(Arc::new(panics), 0..6, &limits, Context::run())).await.unwrap();
    assert_eq!(done.failures.len(), 2);
    assert_eq!(done.failures[0].error.to_string(), "panicked: three is right out");

    let short = InProcess::new("local", |payloads: Vec<u64>| Ok::<_, Infallible>(payloads[1..].to_vec()));
    let done = within(dispatch(Arc::new(short), 0..2, &limits, Context::run())).await.unwrap();
    assert_eq!(done.failures[0].error.kind(), ErrorKind::Contract);
    assert_eq!(done.failures[0].error.to_string(), "expected 2 results, got 1");
}

/// Counts what is inside it, and lets a batch go for each permit of the gate.
struct Gated {
    gate: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gated {
    fn new(open: usize) -> Self {
        Self { gate: Arc::new(Semaphore::new(open)), inside: Arc::default(), most: Arc::default() }
    }
}

/// One batch inside; leaves when it is done or dropped.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Executor<u64, u64> for Gated {
    fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
        let reply: Vec<_> = batch.payloads().map(|n| Ok(*n)).collect();
        self.most.fetch_max(self.inside.fetch_add(1, SeqCst) + 1, SeqCst);
        let (inside, gate) = (Inside(self.inside.clone()), self.gate.clone());
        Box::pin(async move {
            let _inside = inside;
            gate.acquire().await.expect("the gate is never closed").forget();
            Ok(reply)
        })
    }

    fn name(&self) -> &str {
        "gated"
    }
}

/// An endless source that counts what was pulled.
fn counted() -> (Arc<AtomicUsize>, impl futures_core::Stream<Item = Item<u64>> + Send) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = pulled.clone();
    let items = (0..).map(move |n| {
        count.fetch_add(1, SeqCst);
        Item::new(n, n)
    });
    (pulled, stream::iter(items))
}

#[tokio::test]
async fn in_flight_and_pulled_input_are_bounded_and_dropping_withdraws() {
    let gated = Arc::new(Gated::new(0));
    let (pulled, source) = counted();
    let limits = Limits::new().batch_size(4).max_in_flight(3);
    assert_eq!(pulled.load(SeqCst), 0);
    let mut outcomes = dispatch_stream(gated.clone(), source, &limits, Context::run()).unwrap();
    assert!(outcomes.next().now_or_never().is_none());
    assert_eq!(gated.inside.load(SeqCst), 3);
    // Three batches in flight, and one that waits for a permit.
    assert_eq!(pulled.load(SeqCst), 16);
    gated.gate.add_permits(100);
    for n in 0..200 {
        match within(outcomes.next()).await {
            Some(Ok(Outcome::Done(item))) => assert_eq!(item.payload, n),
            other => panic!("{other:?}"),
        }
        assert!(pulled.load(SeqCst) <= n as usize + 12 * 4);
    }
    assert!(gated.most.load(SeqCst) <= 3);
    drop(outcomes);
    assert_eq!(gated.inside.load(SeqCst), 0, "what was in flight is withdrawn");
}

#[tokio::test]
async fn a_slow_batch_holds_back_others_only_up_to_the_window() {
    /// The first batch never comes back.
    struct FirstHangs;
    impl Executor<u64, u64> for FirstHangs {
        fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
            let reply = Ok(batch.payloads().map(|n| Ok(*n)).collect());
            if batch.id.0 == 0 {
                Box::pin(std::future::pending())
            } else {
                Box::pin(std::future::ready(reply))
            }
        }
        fn name(&self) -> &str {
            "first hangs"
        }
    }
    let limits = Limits::new().batch_size(2).max_in_flight(2).window(5);
    let (pulled, source) = counted();
    let mut preserved = dispatch_stream(Arc::new(FirstHangs), source, &limits, Context::run()).unwrap();
    assert!(preserved.next().now_or_never().is_none());
    assert_eq!(pulled.load(SeqCst), 5 * 2);
    let ledger = preserved.cancel();
    assert_eq!((ledger.cancelled, ledger.emitted), (10, 0));
    assert!(within(preserved.next()).await.is_none());

    let (_, source) = counted();
    let limits = limits.order(Order::AsCompleted);
    let mut completed = dispatch_stream(Arc::new(FirstHangs), source, &limits, Context::run()).unwrap();
    for n in 2..2000 {
        match within(completed.next()).await {
            Some(Ok(Outcome::Done(item))) => assert_eq!(item.payload, n),
            other => panic!("{other:?}"),
        }
    }
    assert!(completed.cancel().balanced());
}

#[tokio::test]
async fn a_source_that_errs_midway_delivers_everything_up_to_there() {
    let source = stream::iter((0..).map(|n| if n < 100 { Ok(Item::new(n, n)) } else { Err("unplugged") }));
    let mut outcomes = try_dispatch_stream(doubler(), source, &Limits::new(), Context::run()).unwrap();
    for n in 0..100 {
        match within(outcomes.next()).await {
            Some(Ok(Outcome::Done(item))) => assert_eq!(item.payload, n * 2),
            other => panic!("{other:?}"),
        }
    }
    let end = within(outcomes.next()).await;
    assert!(matches!(end, Some(Err(RunError::Source(message))) if message == "unplugged"));
    assert!(within(outcomes.next()).await.is_none());
    assert!(outcomes.ledger().balanced());
}

#[tokio::test]
async fn an_item_that_fails_alone_does_not_halt() {
    struct OddFails;
    impl Executor<u64, u64> for OddFails {
        fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
            let odd = || ItemError::new(ErrorKind::Failed, "odd");
            let reply = batch.payloads().map(|n| if n % 2 == 0 { Ok(*n) } else { Err(odd()) }).collect();
            Box::pin(std::future::ready(Ok(reply)))
        }
        fn name(&self) -> &str {
            "odd fails"
        }
    }
    let done = within(dispatch(Arc::new(OddFails), 0..10, &Limits::new(), Context::run())).await.unwrap();
    assert_eq!((done.results.len(), done.failures.len()), (5, 5));
    assert_eq!(done.failures[0].batch.len(), 1);
}

#[tokio::test]
async fn metadata_travels_with_its_item() {
    let mut item = Item::new(7, 1);
    item.metadata.insert("origin", "file.txt");
    let source = stream::iter([item]);
    let mut outcomes = dispatch_stream(doubler(), source, &Limits::new(), Context::run()).unwrap();
    let Some(Ok(Outcome::Done(item))) = within(outcomes.next()).await else { panic!() };
    assert_eq!((item.id.0, item.payload, item.metadata.len()), (7, 2, 1));
}

#[tokio::test]
async fn a_batch_that_yielded_everything_before_its_reply_frees_its_place() {
    struct Generator;

    impl Executor<u64, u64> for Generator {
        fn execute(&self, _: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
            unreachable!("dispatch asks for what is yielded")
        }

        fn execute_yielding(
            &self,
            batch: &Batch<u64>,
            _: &Context,
            mut yields: Yields<u64>,
        ) -> BoxFuture<'static, Reply<u64>> {
            yields.leave(batch.payloads().map(|n| Ok(*n)).collect::<Vec<_>>());
            Box::pin(async {
                // Until what was yielded has been read.
                tokio::time::sleep(Duration::from_millis(1)).await; // sleep: the reader is the task that would wait
                Ok(Vec::new())
            })
        }

        fn name(&self) -> &str {
            "generator"
        }
    }

    for order in [Order::Preserve, Order::AsCompleted] {
        let limits = Limits::new().batch_size(2).window(1).order(order);
        let done = within(dispatch(Arc::new(Generator), 0..10, &limits, Context::run())).await.unwrap();
        assert_eq!(done.into_payloads(), (0..10).collect::<Vec<_>>());
    }
}

#[test]
fn streams_and_futures_of_dispatch_can_move_between_threads() {
    fn moves<T: Send>(_: &T) {}
    moves(&dispatch(doubler(), 0..10, &Limits::new(), Context::run()));
    moves(&dispatch_stream(doubler(), stream::iter([Item::new(0, 1)]), &Limits::new(), Context::run()));
}
