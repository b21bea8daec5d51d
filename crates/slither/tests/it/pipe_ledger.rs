//! Random pipes, held against a loop over their input: every item ends in exactly one place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use proptest::prelude::*;
use slither::dispatch::{Batch, Executor, Limits, OnError, Order, Reply};
use slither::pipe::{
    Branches, Defaults, Outputs, Pipe, PipeBuilder, Router, RunOptions, run_pipe, stream_pipe,
};
use slither::{Context, ErrorKind, ItemError};

use crate::support::within;

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
    /// Takes batches, and fails multiples.
    Batch(u64),
    /// Sends multiples to an output.
    Divert(u64),
    Fork(Fork),
}

/// A router with two branches: multiples of `modulus` take the first, the rest the second.
#[derive(Debug, Clone)]
struct Fork {
    modulus: u64,
    first: Vec<Stage>,
    /// Where the first ends, if it does not join.
    end: Option<&'static str>,
    /// None lets the rest leave by `default`.
    second: Option<Vec<Stage>>,
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
    (0u64..150, prop::collection::vec(stages(), 0..5), 1usize..20, order())
        .prop_map(|(items, stages, capacity, order)| Case { items, stages, capacity, order })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Preserve), Just(Order::AsCompleted)]
}

/// Stages, of which some are routers with branches, of which some have such stages.
fn stages() -> impl Strategy<Value = Stage> {
    let plain = prop_oneof![
        (0u64..9).prop_map(Kind::Add),
        (2u64..9).prop_map(Kind::Refuse),
        (2u64..9).prop_map(Kind::Filter),
        (1u64..4).prop_map(Kind::Repeat),
        (2u64..9).prop_map(Kind::Picky),
        (2u64..9).prop_map(Kind::Batch),
        (2u64..9).prop_map(Kind::Divert),
    ];
    stage(plain).prop_recursive(2, 12, 3, |inner| {
        let end = prop::option::weighted(0.3, prop_oneof![Just("aside"), Just("routed")]);
        let branch = || prop::collection::vec(inner.clone(), 0..3);
        let fork = (2u64..5, branch(), end, prop::option::weighted(0.8, branch())).prop_map(
            |(modulus, first, end, second)| {
                // One of the two joins, or nothing could come behind.
                let end = end.filter(|_| second.is_some());
                Kind::Fork(Fork { modulus, first, end, second })
            },
        );
        stage(fork)
    })
}

fn stage(kind: impl Strategy<Value = Kind>) -> impl Strategy<Value = Stage> {
    (kind, 1usize..4, 1usize..9, 1usize..4, prop::collection::vec(0u8..4, 1..6)).prop_map(
        |(kind, concurrency, batch_size, max_in_flight, turns)| Stage {
            kind,
            concurrency,
            batch_size,
            max_in_flight,
            turns,
        },
    )
}

fn build(case: &Case, policy: OnError) -> Pipe<u64, u64> {
    add(Pipe::builder("random"), "s", &case.stages)
        .route("route", Router::new().when("even", |n: &u64| n.is_multiple_of(2)))
        .on_error("*", policy)
        .defaults(Defaults::new().batch_size(case.capacity).order(case.order))
        .build()
        .expect("random pipes are valid")
}

fn add<Part>(
    builder: PipeBuilder<u64, u64, Part>,
    prefix: &str,
    stages: &[Stage],
) -> PipeBuilder<u64, u64, Part> {
    let mut builder = builder;
    for (index, stage) in stages.iter().enumerate() {
        let name = format!("{prefix}{index}");
        builder = match stage.kind.clone() {
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
            Kind::Batch(modulus) => {
                let judge = move |n: u64| if n.is_multiple_of(modulus) { Err("refused") } else { Ok(n + 2) };
                let each = move |batch: Vec<u64>, _: &Context| batch.into_iter().map(judge).collect();
                builder.try_map_batch(name, stage.batch_size, each).concurrency(stage.concurrency)
            }
            Kind::Divert(modulus) => builder
                .divert(
                    name,
                    "aside",
                    move |n: u64, _: &Context| if n.is_multiple_of(modulus) { Err(n) } else { Ok(n) },
                )
                .concurrency(stage.concurrency),
            Kind::Fork(fork) => builder.branch(name.clone(), |branches| branch(branches, &name, &fork)),
        };
    }
    builder
}

fn branch(branches: Branches<u64, u64>, name: &str, fork: &Fork) -> Branches<u64, u64> {
    let Fork { modulus, first, end, second } = fork;
    let (modulus, inner) = (*modulus, format!("{name}a"));
    let takes = move |n: &u64| n.is_multiple_of(modulus);
    let branches = match *end {
        None => branches.when("first", takes, |branch| add(branch, &inner, first)),
        Some("aside") => branches.when("first", takes, |branch| add(branch, &inner, first).emit("aside")),
        Some(output) => branches.when("first", takes, |branch| {
            let odd = Router::new().when(output, |n: &u64| !n.is_multiple_of(2));
            add(branch, &inner, first).route(format!("{name}r"), odd)
        }),
    };
    match second {
        Some(second) => branches.otherwise(|branch| add(branch, &format!("{name}b"), second)),
        None => branches,
    }
}

#[derive(Default)]
struct Model {
    /// What reaches each output: the id, the payload, and the branches it took.
    outputs: BTreeMap<&'static str, Vec<(u64, u64, String)>>,
    failed: u64,
    dropped: u64,
    expanded: u64,
}

/// What is left of an item's way.
#[derive(Clone, Copy)]
enum Part<'a> {
    Stages(&'a [Stage]),
    End(&'static str),
}

impl Model {
    fn run(case: &Case) -> Self {
        let mut model = Self::default();
        for item in 0..case.items {
            model.follow(item, item, String::new(), &[Part::Stages(&case.stages)]);
        }
        model
    }

    fn follow(&mut self, id: u64, x: u64, path: String, way: &[Part<'_>]) {
        let odd = !x.is_multiple_of(2);
        let (stage, rest, behind) = match way.split_first() {
            None => return self.leave(if odd { "default" } else { "even" }, id, x, path),
            Some((Part::End("routed"), _)) => {
                return self.leave(if odd { "routed" } else { "default" }, id, x, path);
            }
            Some((Part::End(output), _)) => return self.leave(output, id, x, path),
            Some((Part::Stages([]), behind)) => return self.follow(id, x, path, behind),
            Some((Part::Stages([stage, rest @ ..]), behind)) => (stage, rest, behind),
        };
        let then = [&[Part::Stages(rest)], behind].concat();
        match &stage.kind {
            Kind::Add(n) => self.follow(id, x + n, path, &then),
            Kind::Refuse(n) | Kind::Picky(n) | Kind::Batch(n) if x.is_multiple_of(*n) => self.failed += 1,
            Kind::Picky(_) => self.follow(id, x + 1, path, &then),
            Kind::Batch(_) => self.follow(id, x + 2, path, &then),
            Kind::Divert(n) if x.is_multiple_of(*n) => {
                self.leave("aside", id, x, format!("{path}/{stage:p}"))
            }
            Kind::Divert(_) | Kind::Refuse(_) => self.follow(id, x, path, &then),
            Kind::Filter(n) if x.is_multiple_of(*n) => self.dropped += 1,
            Kind::Filter(_) => self.follow(id, x, path, &then),
            Kind::Repeat(n) if x.is_multiple_of(n + 1) => self.dropped += 1,
            Kind::Repeat(n) => {
                self.expanded += x % (n + 1) - 1;
                (0..x % (n + 1)).for_each(|k| self.follow(id, x + k, path.clone(), &then));
            }
            Kind::Fork(fork) if x.is_multiple_of(fork.modulus) => {
                let path = format!("{path}/{fork:p}a");
                let first = [Part::Stages(&fork.first)];
                match fork.end {
                    None => self.follow(id, x, path, &[&first, then.as_slice()].concat()),
                    Some(end) => self.follow(id, x, path, &[first[0], Part::End(end)]),
                }
            }
            Kind::Fork(fork) => match &fork.second {
                None => self.leave("default", id, x, path),
                Some(second) => {
                    let path = format!("{path}/{fork:p}b");
                    self.follow(id, x, path, &[&[Part::Stages(second)], then.as_slice()].concat());
                }
            },
        }
    }

    fn leave(&mut self, output: &'static str, id: u64, x: u64, path: String) {
        self.outputs.entry(output).or_default().push((id, x, path));
    }

    /// What an output got, in order; items of different branches come as they come.
    fn check(&self, outputs: &Outputs<u64>, output: &str, order: Order) {
        let none = Vec::new();
        let expected = self.outputs.get(output).unwrap_or(&none);
        let came: Vec<(u64, u64)> =
            outputs.items(output).iter().map(|item| (item.id.0, item.payload)).collect();
        let model: Vec<(u64, u64)> = expected.iter().map(|(id, x, _)| (*id, *x)).collect();
        assert_eq!(sorted(came.clone()), sorted(model), "`{output}` got what it should");
        if order != Order::Preserve {
            return;
        }
        let mut ways: BTreeMap<(u64, u64), BTreeSet<&str>> = BTreeMap::new();
        expected.iter().for_each(|(id, x, path)| _ = ways.entry((*id, *x)).or_default().insert(path));
        for way in expected.iter().map(|(.., path)| path.as_str()).collect::<BTreeSet<_>>() {
            // The same payload of the same item may have come two ways; which is which cannot be told.
            let only = |item: &(u64, u64)| ways[item].len() == 1 && ways[item].contains(way);
            let came: Vec<_> = came.iter().filter(|item| only(item)).copied().collect();
            let model = expected.iter().map(|(id, x, _)| (*id, *x)).filter(only);
            assert_eq!(came, model.collect::<Vec<_>>(), "the items of a branch stay in order");
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(within(future))
}

fn sorted<T: Ord>(mut values: Vec<T>) -> Vec<T> {
    values.sort_unstable();
    values
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
        for output in outputs.names() {
            model.check(&outputs, output, case.order);
        }
    }

    #[test]
    fn a_halted_run_balances_and_invents_nothing(case in cases()) {
        let model = Model::run(&case);
        let halted = block_on(run_pipe(&build(&case, OnError::Halt), 0..case.items, RunOptions::new()));
        let outputs = halted.unwrap_or_else(|error| *error.outputs);
        prop_assert!(outputs.ledger().balanced(), "{}", outputs.ledger());
        let mut left: BTreeMap<(&str, u64, u64), i64> = BTreeMap::new();
        for (output, items) in &model.outputs {
            items.iter().for_each(|(id, x, _)| *left.entry((output, *id, *x)).or_default() += 1);
        }
        for (output, item) in
            outputs.names().flat_map(|output| outputs.items(output).iter().map(move |item| (output, item)))
        {
            let left = left.entry((output, item.id.0, item.payload)).or_default();
            *left -= 1;
            prop_assert!(*left >= 0, "{:?} came out of `{}` too often", item, output);
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
