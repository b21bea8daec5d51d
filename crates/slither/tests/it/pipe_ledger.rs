//! Random pipes, held against a loop over their input: every item ends in exactly one place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use proptest::prelude::*;
use slither::dispatch::{Batch, Executor, Limits, OnError, Order, Reply};
use slither::pipe::{Defaults, Outputs, Pipe, Router, RunOptions, run_pipe, stream_pipe};
use slither::{Context, ErrorKind, ItemError};

/// Fails the items that a multiple of `modulus`, and waits a random number of turns before it answers.
struct Picky {
    modulus: u64,
    turns: Vec<u8>,
}

impl Executor<u64, u64> for Picky {
    fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
        let failed = || ItemError::new(ErrorKind::Failed, "picky");
        let judge = |n: &u64| if n.is_multiple_of(self.modulus) { Err(failed()) } else { Ok(n + 1) };
        let reply: Vec<_> = batch.payloads().map(judge).collect();
        let turns = self.turns[batch.id.0 as usize % self.turns.len()];
        Box::pin(async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            Ok(reply)
        })
    }

    fn name(&self) -> &str {
        "picky"
    }
}

#[derive(Debug, Clone)]
enum Kind {
    Add(u64),
    Refuse(u64),
    Filter(u64),
    Repeat(u64),
    Picky(u64),
}

#[derive(Debug, Clone)]
struct Stage {
    kind: Kind,
    concurrency: usize,
    batch_size: usize,
    max_in_flight: usize,
    turns: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Case {
    items: u64,
    stages: Vec<Stage>,
    capacity: usize,
    order: Order,
}

fn cases() -> impl Strategy<Value = Case> {
    let kind = prop_oneof![
        (0u64..9).prop_map(Kind::Add),
        (2u64..9).prop_map(Kind::Refuse),
        (2u64..9).prop_map(Kind::Filter),
        (1u64..4).prop_map(Kind::Repeat),
        (2u64..9).prop_map(Kind::Picky),
    ];
    let stage = (kind, 1usize..4, 1usize..9, 1usize..4, prop::collection::vec(0u8..4, 1..6)).prop_map(
        |(kind, concurrency, batch_size, max_in_flight, turns)| Stage {
            kind,
            concurrency,
            batch_size,
            max_in_flight,
            turns,
        },
    );
    let order = prop_oneof![Just(Order::Preserve), Just(Order::AsCompleted)];
    (0u64..150, prop::collection::vec(stage, 0..5), 1usize..20, order)
        .prop_map(|(items, stages, capacity, order)| Case { items, stages, capacity, order })
}

fn build(case: &Case, policy: OnError) -> Pipe<u64, u64> {
    let mut builder = Pipe::builder("random");
    for (index, stage) in case.stages.iter().enumerate() {
        let name = format!("s{index}");
        builder = match stage.kind {
            Kind::Add(n) => {
                builder.map(name, move |x: u64, _: &Context| x + n).concurrency(stage.concurrency)
            }
            Kind::Refuse(n) => builder
                .try_map(
                    name,
                    move |x: u64, _: &Context| if x.is_multiple_of(n) { Err("refused") } else { Ok(x) },
                )
                .concurrency(stage.concurrency),
            Kind::Filter(n) => builder
                .filter_map(name, move |x: u64, _: &Context| (!x.is_multiple_of(n)).then_some(x))
                .concurrency(stage.concurrency),
            Kind::Repeat(n) => builder
                .flat_map(name, move |x: u64, _: &Context| (0..x % (n + 1)).map(move |k| x + k))
                .concurrency(stage.concurrency),
            Kind::Picky(modulus) => builder.dispatch(
                name,
                Arc::new(Picky { modulus, turns: stage.turns.clone() }),
                Limits::new().batch_size(stage.batch_size).max_in_flight(stage.max_in_flight),
            ),
        };
    }
    builder
        .route("route", Router::new().when("even", |n: &u64| n.is_multiple_of(2)))
        .on_error("*", policy)
        .defaults(Defaults::new().batch_size(case.capacity).order(case.order))
        .build()
        .expect("random pipes are valid")
}

#[derive(Default)]
struct Model {
    even: Vec<u64>,
    odd: Vec<u64>,
    failed: u64,
    dropped: u64,
    expanded: u64,
}

impl Model {
    fn run(case: &Case) -> Self {
        let mut model = Self::default();
        for item in 0..case.items {
            model.follow(item, &case.stages);
        }
        model
    }

    fn follow(&mut self, x: u64, stages: &[Stage]) {
        let Some((stage, rest)) = stages.split_first() else {
            let bucket = if x.is_multiple_of(2) { &mut self.even } else { &mut self.odd };
            bucket.push(x);
            return;
        };
        match stage.kind {
            Kind::Add(n) => self.follow(x + n, rest),
            Kind::Refuse(n) | Kind::Picky(n) if x.is_multiple_of(n) => self.failed += 1,
            Kind::Picky(_) => self.follow(x + 1, rest),
            Kind::Refuse(_) => self.follow(x, rest),
            Kind::Filter(n) if x.is_multiple_of(n) => self.dropped += 1,
            Kind::Filter(_) => self.follow(x, rest),
            Kind::Repeat(n) if x.is_multiple_of(n + 1) => self.dropped += 1,
            Kind::Repeat(n) => {
                self.expanded += x % (n + 1) - 1;
                (0..x % (n + 1)).for_each(|k| self.follow(x + k, rest));
            }
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), future).await.expect("finishes in time")
    })
}

fn sorted(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values
}

fn bucket(outputs: &Outputs<u64>, name: &str) -> Vec<u64> {
    outputs.payloads(name).into_iter().copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipe_does_what_a_loop_does(case in cases()) {
        let model = Model::run(&case);
        let outputs = block_on(run_pipe(&build(&case, OnError::Skip), 0..case.items, RunOptions::new())).unwrap();
        let ledger = outputs.ledger();
        prop_assert!(ledger.balanced(), "{}", ledger);
        prop_assert_eq!((ledger.pulled, ledger.cancelled), (case.items, 0));
        prop_assert_eq!((ledger.failed, ledger.dropped, ledger.expanded), (model.failed, model.dropped, model.expanded));
        prop_assert_eq!(outputs.failures().len() as u64, model.failed);
        let (even, odd) = (bucket(&outputs, "even"), bucket(&outputs, "default"));
        if case.order == Order::Preserve {
            prop_assert_eq!((even, odd), (model.even, model.odd));
        } else {
            prop_assert_eq!((sorted(even), sorted(odd)), (sorted(model.even), sorted(model.odd)));
        }
    }

    #[test]
    fn a_halted_run_balances_and_invents_nothing(case in cases()) {
        let model = Model::run(&case);
        let halted = block_on(run_pipe(&build(&case, OnError::Halt), 0..case.items, RunOptions::new()));
        let outputs = halted.unwrap_or_else(|error| *error.outputs);
        prop_assert!(outputs.ledger().balanced(), "{}", outputs.ledger());
        let mut left: BTreeMap<u64, i64> = BTreeMap::new();
        model.even.iter().for_each(|n| *left.entry(*n).or_default() += 1);
        for n in outputs.payloads("even") {
            let left = left.entry(*n).or_default();
            *left -= 1;
            prop_assert!(*left >= 0, "{} came out too often", n);
        }
    }

    #[test]
    fn a_cancelled_run_balances(case in cases(), reads in 0usize..40) {
        let report = block_on(async {
            use futures_util::StreamExt;
            let source = futures_util::stream::iter(0u64..);
            let mut run = stream_pipe(&build(&case, OnError::Skip), source, RunOptions::new()).await.unwrap();
            for _ in 0..reads {
                // A pipe that leaves everything out has nothing to read: then it is cancelled at work.
                let wait = Duration::from_millis(5);
                if tokio::time::timeout(wait, run.next()).await.is_err() {
                    break;
                }
            }
            run.cancel().await
        });
        prop_assert!(report.ledger.balanced(), "{}", report);
    }
}
