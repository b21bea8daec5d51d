//! Pipes: what flows, what is accounted for, and what a failure does.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use slither::dispatch::{Batch, Executor, InProcess, Limits, OnError, Order, Reply};
use slither::pipe::{
    Defaults, Discard, Event, Pipe, Router, RunOptions, run_pipe, stream_pipe, try_stream_pipe,
};
use slither::{Context, ErrorKind, ItemError, RunError};
use tokio::sync::Semaphore;

use crate::support::within;

fn doubler() -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new("local", |payloads: Vec<u64>| {
        Ok::<_, Infallible>(payloads.into_iter().map(|n| n * 2).collect())
    }))
}

/// Answers batches only while permits are there.
struct Gated {
    gate: Arc<Semaphore>,
    started: Arc<AtomicU64>,
}

impl Executor<u64, u64> for Gated {
    fn execute(
        &self,
        batch: &Batch<u64>,
        _: &Context,
    ) -> futures_core::future::BoxFuture<'static, Reply<u64>> {
        let reply: Vec<Result<u64, ItemError>> = batch.payloads().map(|n| Ok(*n)).collect();
        self.started.fetch_add(1, SeqCst);
        let gate = self.gate.clone();
        Box::pin(async move {
            gate.acquire().await.expect("the gate is never closed").forget();
            Ok(reply)
        })
    }

    fn name(&self) -> &str {
        "gated"
    }
}

#[tokio::test]
async fn stages_an_executor_and_a_router_make_a_pipe() {
    let pipe = Pipe::builder("score")
        .map("parse", |text: String, _: &Context| text.len() as u64)
        .dispatch("double", doubler(), Limits::new().batch_size(2))
        .route("route", Router::new().when("long", |n: &u64| *n > 10).when("short", |n: &u64| *n > 0))
        .on_error("double", OnError::Skip)
        .on_error("*", OnError::Halt)
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, ["first", "a longer one", ""], RunOptions::new())).await.unwrap();
    assert_eq!(outputs.payloads("long"), [&24]);
    assert_eq!(outputs.payloads("short"), [&10]);
    assert_eq!(outputs.items("default")[0].id.0, 2);
    assert!(outputs.failures().is_empty() && outputs.ledger().balanced());
    assert_eq!(outputs.report().stages[1].items_out, 3);
    assert_eq!(outputs.ledger().emitted, 3);
}

#[tokio::test]
async fn the_first_item_comes_out_while_the_input_goes_on() {
    let pulled = Arc::new(AtomicU64::new(0));
    let count = pulled.clone();
    let endless = stream::iter((0u64..).inspect(move |_| {
        count.fetch_add(1, SeqCst);
    }));
    let pipe = Pipe::builder("endless")
        .map("same", |n: u64, _: &Context| n)
        .dispatch("double", doubler(), Limits::new())
        .build()
        .unwrap();
    let mut run = within(stream_pipe(&pipe, endless, RunOptions::new())).await.unwrap();
    for expected in 0..10_000u64 {
        match within(run.next()).await {
            Some(Ok(Event::Emitted { item, .. })) => assert_eq!(item.payload, expected * 2),
            other => panic!("{other:?}"),
        }
        // Four channels, the window and a batch being gathered.
        assert!(pulled.load(SeqCst) <= expected + 4 * 64 + 33 * 64 + 4);
    }
    let report = within(run.cancel()).await;
    assert!(report.ledger.balanced(), "{report}");
    assert_eq!(report.ledger.emitted, 10_000);
    assert!(report.ledger.cancelled > 0);
    let pulled_at_the_end = pulled.load(SeqCst);
    tokio::task::yield_now().await;
    assert_eq!(pulled.load(SeqCst), pulled_at_the_end);
}

#[tokio::test]
async fn a_stuck_executor_bounds_what_is_pulled() {
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let gated = Arc::new(Gated { gate: gate.clone(), started: started.clone() });
    let pulled = Arc::new(AtomicU64::new(0));
    let count = pulled.clone();
    let endless = stream::iter((0u64..).inspect(move |_| {
        count.fetch_add(1, SeqCst);
    }));
    let pipe = Pipe::builder("stuck")
        .dispatch("stuck", gated, Limits::new().batch_size(4).max_in_flight(2))
        .defaults(Defaults::new().batch_size(8))
        .build()
        .unwrap();
    let mut run = within(stream_pipe(&pipe, endless, RunOptions::new())).await.unwrap();
    let stuck = tokio::time::timeout(Duration::from_millis(200), run.next()).await;
    assert!(stuck.is_err());
    assert_eq!(started.load(SeqCst), 2);
    // Two batches in flight, one gathered, the channel's eight.
    assert_eq!(pulled.load(SeqCst), 2 * 4 + 4 + 8);
    gate.add_permits(1);
    assert!(matches!(within(run.next()).await, Some(Ok(Event::Emitted { .. }))));
    assert!(within(run.cancel()).await.ledger.balanced());
}

#[tokio::test]
async fn halt_returns_the_cause_and_what_was_finished() {
    let pipe = Pipe::builder("halting")
        .try_map("check", |n: u64, _: &Context| if n == 100 { Err("a hundred") } else { Ok(n) })
        .build()
        .unwrap();
    let error = within(run_pipe(&pipe, 0u64.., RunOptions::new())).await.unwrap_err();
    let RunError::Halted(failure) = &error.cause else { panic!("{error}") };
    assert_eq!(failure.to_string(), "item 100 in stage `check`: handler: a hundred");
    assert_eq!(error.outputs.payloads("default"), (0..100).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert_eq!(error.outputs.failures().len(), 1);
    assert!(error.outputs.ledger().balanced(), "{error}");
}

#[tokio::test]
async fn a_panic_is_the_items_failure_wherever_it_happens() {
    let pipe = Pipe::builder("panics")
        .map("map", |n: u64, _: &Context| if n == 1 { panic!("one") } else { n })
        .map("threads", |n: u64, _: &Context| if n == 2 { panic!("two") } else { n })
        .concurrency(3)
        .flat_map("children", |n: u64, _: &Context| {
            (0..1).map(move |_| if n == 3 { panic!("three") } else { n })
        })
        .route(
            "route",
            Router::new().when("even", |n: &u64| if *n == 4 { panic!("four") } else { n.is_multiple_of(2) }),
        )
        .on_error("*", OnError::Skip)
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..8, RunOptions::new())).await.unwrap();
    let mut failed: Vec<_> = outputs.failures().iter().map(|f| (f.item.0, f.error.to_string())).collect();
    failed.sort();
    let said = |n, word: &str| (n, format!("panicked: {word}"));
    assert_eq!(failed, [said(1, "one"), said(2, "two"), said(3, "three"), said(4, "four")]);
    assert!(outputs.failures().iter().all(|failure| failure.error.kind() == ErrorKind::Handler));
    assert_eq!(outputs.payloads("even"), [&0, &6]);
    assert_eq!(outputs.payloads("default"), [&5, &7]);
}

#[tokio::test]
async fn expansion_and_drops_are_counted_by_reason() {
    let pipe = Pipe::builder("counts")
        .flat_map("repeat", |n: u64, _: &Context| std::iter::repeat_n(n, n as usize))
        .filter_map("odd", |n: u64, _: &Context| (n % 2 == 1).then_some(n))
        .filter_map(
            "small",
            |n: u64, _: &Context| if n < 4 { Ok(n) } else { Err(Discard::because("too large")) },
        )
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..6, RunOptions::new())).await.unwrap();
    let ledger = outputs.ledger();
    assert_eq!((ledger.pulled, ledger.expanded), (6, 1 + 2 + 3 + 4));
    assert_eq!((ledger.emitted, ledger.dropped), (1 + 3, 1 + (2 + 4) + 5));
    let drops = outputs.report().drops();
    assert_eq!((drops["no children"], drops["filtered"], drops["too large"]), (1, 6, 5));
}

#[tokio::test]
async fn no_input_and_one_item_and_a_source_that_errs_midway() {
    let pipe = Pipe::builder("small").map("same", |n: u64, _: &Context| n).build().unwrap();
    let none = within(run_pipe(&pipe, Vec::<u64>::new(), RunOptions::new())).await.unwrap();
    assert_eq!(none.ledger().pulled, 0);
    let one = within(run_pipe(&pipe, [7u64], RunOptions::new())).await.unwrap();
    assert_eq!(one.payloads("default"), [&7]);

    let source = stream::iter((0u64..).map(|n| if n == 50 { Err("the disk is gone") } else { Ok(n) }));
    let run = within(try_stream_pipe(&pipe, source, RunOptions::new())).await.unwrap();
    let error = within(run.into_outputs()).await.unwrap_err();
    assert!(matches!(&error.cause, RunError::Source(message) if message == "the disk is gone"));
    assert_eq!(error.outputs.items("default").len(), 50);

    let panics = (0u64..).inspect(|n| assert!(*n < 5, "no more"));
    let error = within(run_pipe(&pipe, panics, RunOptions::new())).await.unwrap_err();
    assert!(matches!(&error.cause, RunError::Source(message) if message == "panicked: no more"));
    assert_eq!(error.outputs.items("default").len(), 5);
}

fn picky(bad: u64) -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new(
        "picky",
        move |payloads: Vec<u64>| {
            if payloads.contains(&bad) { Err("no good") } else { Ok(payloads) }
        },
    ))
}

#[tokio::test]
async fn policies_reach_the_batches_of_their_stage() {
    let run = |first: OnError, rest: OnError| async move {
        let pipe = Pipe::builder("policies")
            .dispatch("first", picky(5), Limits::new().batch_size(2))
            .dispatch("second", picky(9), Limits::new().batch_size(2))
            .on_error("first", first)
            .on_error("*", rest)
            .build()
            .unwrap();
        within(run_pipe(&pipe, 0u64..20, RunOptions::new())).await
    };
    let skipped = run(OnError::Skip, OnError::Skip).await.unwrap();
    assert_eq!((skipped.ledger().emitted, skipped.ledger().failed), (16, 4));
    let halted = run(OnError::Skip, OnError::Halt).await.unwrap_err();
    let RunError::Halted(failure) = &halted.cause else { panic!("{halted}") };
    assert_eq!(failure.stage.as_deref(), Some("second"));
    // What was in flight beside the failing batch may have finished too.
    assert!(halted.outputs.payloads("default").starts_with(&[&0, &1, &2, &3, &6, &7]));
    let halted = run(OnError::Halt, OnError::Skip).await.unwrap_err();
    let RunError::Halted(failure) = &halted.cause else { panic!("{halted}") };
    assert_eq!(failure.stage.as_deref(), Some("first"));
    assert!(halted.outputs.ledger().balanced());

    let explicit = Pipe::builder("explicit")
        .dispatch("first", picky(5), Limits::new().batch_size(2).on_error(OnError::Skip))
        .on_error("first", OnError::Halt)
        .build()
        .unwrap();
    assert_eq!(explicit.plan().stages[0].on_error, OnError::Skip);
}

#[tokio::test]
async fn the_order_is_preserved_across_threads_and_batches() {
    let pipe = Pipe::builder("ordered")
        .map("spin", |n: u64, _: &Context| {
            (0..(n * 7919) % 500).fold(n, |sum, step| std::hint::black_box(sum ^ step ^ step))
        })
        .concurrency(4)
        .dispatch("double", doubler(), Limits::new().batch_size(3).order(Order::Preserve))
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..2000, RunOptions::new())).await.unwrap();
    let expected: Vec<u64> = (0..2000).map(|n| n * 2).collect();
    assert_eq!(outputs.payloads("default"), expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn dropping_a_run_stops_its_source() {
    let (gone, waits) = tokio::sync::oneshot::channel::<()>();
    let pipe = Pipe::builder("dropped").map("same", |n: u64, _: &Context| n).build().unwrap();
    let endless = stream::iter((0u64..).inspect(move |_| {
        let _held = &gone;
    }));
    let mut run = within(stream_pipe(&pipe, endless, RunOptions::new())).await.unwrap();
    assert!(within(run.next()).await.is_some());
    drop(run);
    assert!(within(waits).await.is_err(), "the source is dropped with the run");
}
