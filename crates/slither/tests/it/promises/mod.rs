//! Random stages with random faults, under every strategy, policy and order: what dispatch and pipes promise
//! holds through the real drivers, channels and timers. Their decisions alone are tried beside the code.

mod case;
mod faulty;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use slither::dispatch::{OnError, Order, Outcome, dispatch_stream};
use slither::pipe::{Outputs, Pipe, PipeBuilder, RunOptions, run_pipe};
use slither::{Context, Item, Ledger, RunError};

use crate::support::within;
use case::{Case, Fault, Stage, cases, stages};
use faulty::Faulty;

/// What a run came to.
struct Came {
    ledger: Ledger,
    done: Vec<u64>,
    failed: Vec<u64>,
    routed: Vec<u64>,
    halted: bool,
}

impl Came {
    fn of(result: Result<Outputs<u64>, slither::pipe::PipeError<u64>>) -> Self {
        let (outputs, halted) = match result {
            Ok(outputs) => (outputs, false),
            Err(error) => {
                assert!(matches!(error.cause, RunError::Halted(_)), "{error}");
                (*error.outputs, true)
            }
        };
        let ids = |output: &str| outputs.items(output).iter().map(|item| item.id.0).collect();
        for item in outputs.items("default") {
            assert_eq!(item.payload, item.id.0, "a result goes with its item");
        }
        Self {
            ledger: outputs.ledger(),
            done: ids("default"),
            failed: outputs.failures().iter().map(|failure| failure.item.0).collect(),
            routed: ids("rejects"),
            halted,
        }
    }

    /// What holds for every run over so many items.
    fn check(&self, items: u64) {
        assert!(self.ledger.balanced(), "{}", self.ledger);
        let emitted = (self.done.len() + self.routed.len()) as u64;
        assert_eq!((self.ledger.emitted, self.ledger.failed), (emitted, self.failed.len() as u64));
        let each: Vec<u64> = [&self.done[..], &self.failed, &self.routed].concat();
        let ids: BTreeSet<u64> = each.iter().copied().collect();
        assert_eq!(ids.len(), each.len(), "an item came out twice");
        if !self.halted {
            assert_eq!((self.ledger.pulled, self.ledger.cancelled), (items, 0));
            assert_eq!(ids, (0..items).collect(), "an item was lost");
        }
    }
}

/// An item that no run can mend does not succeed.
fn check_item(stage: &Stage, item: u64, came: &Came) {
    let fails = matches!(stage.fault(item), Fault::Raises | Fault::Kills | Fault::Alone);
    assert!(!(fails && came.done.contains(&item)), "{item} cannot have succeeded");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(within(future))
}

fn add<Part>(
    builder: PipeBuilder<u64, u64, Part>,
    name: &str,
    stage: &Stage,
) -> (PipeBuilder<u64, u64, Part>, Arc<Faulty>) {
    let faulty = Arc::new(Faulty::new(stage.clone()));
    (builder.dispatch(name, faulty.clone(), stage.limits()), faulty)
}

/// One stage for all items, then one for the odd and one for the even ones, which join.
fn build(case: &Case) -> (Pipe<u64, u64>, [Arc<Faulty>; 3]) {
    let (builder, all) = add(Pipe::builder("p"), "all", &case.all);
    let (mut odds, mut evens) = (None, None);
    let pipe = builder
        .branch("parity", |branches| {
            branches
                .when(
                    "odd",
                    |n: &u64| n % 2 == 1,
                    |odd| {
                        let (odd, faulty) = add(odd, "odd", &case.odd);
                        odds = Some(faulty);
                        odd
                    },
                )
                .otherwise(|even| {
                    let (even, faulty) = add(even, "even", &case.even);
                    evens = Some(faulty);
                    even
                })
        })
        .build()
        .expect("the limits make sense");
    (pipe, [Some(all), odds, evens].map(|faulty| faulty.expect("each stage was added")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipe_keeps_its_promises(case in cases()) {
        let (pipe, executors) = build(&case);
        let came = Came::of(block_on(run_pipe(&pipe, 0..case.items, RunOptions::new())));
        came.check(case.items);
        for executor in &executors {
            executor.check();
        }
        let policies = [&case.all, &case.odd, &case.even].map(|stage| stage.last.clone());
        prop_assert!(!came.halted || policies.contains(&OnError::Halt));
        for item in 0..case.items {
            let own = if item % 2 == 1 { &case.odd } else { &case.even };
            let failed = came.failed.contains(&item);
            let innocent = |stage: &Stage| stage.last == OnError::Isolate && stage.is_innocent(item);
            prop_assert!(!(failed && innocent(&case.all) && innocent(own)), "{} failed beside a culprit", item);
            check_item(&case.all, item, &came);
            check_item(own, item, &came);
        }
        for (parity, stage) in [(1, &case.odd), (0, &case.even)] {
            let done: Vec<u64> = came.done.iter().copied().filter(|item| item % 2 == parity).collect();
            if case.all.order == Order::Preserve && stage.order == Order::Preserve {
                prop_assert!(done.is_sorted(), "{:?}", done);
            }
        }
    }

    #[test]
    fn a_dispatch_keeps_its_promises(stage in stages(), items in 0u64..150) {
        prop_assume!(!matches!(stage.last, OnError::Route(_)));
        let faulty = Arc::new(Faulty::new(stage.clone()));
        let came = block_on(async {
            let source = stream::iter((0..items).map(|id| Item::new(id, id)));
            let mut run =
                dispatch_stream(faulty.clone(), source, &stage.limits(), Context::run()).unwrap();
            let (mut done, mut failed, mut order, mut halted) = (Vec::new(), Vec::new(), Vec::new(), false);
            while let Some(next) = run.next().await {
                match next {
                    Ok(Outcome::Done(item)) => {
                        order.push(item.id.0);
                        done.push(item.payload);
                    }
                    Ok(Outcome::Failed(failure)) => {
                        order.push(failure.item.0);
                        failed.push(failure.item.0);
                    }
                    Err(cause) => {
                        assert!(matches!(cause, RunError::Halted(_)), "{cause}");
                        halted = true;
                    }
                }
            }
            assert!(stage.order != Order::Preserve || order.is_sorted(), "{order:?}");
            Came { ledger: run.ledger(), done, failed, routed: Vec::new(), halted }
        });
        came.check(items);
        faulty.check();
        prop_assert!(!came.halted || stage.last == OnError::Halt);
        for item in 0..items {
            check_item(&stage, item, &came);
            let spared = stage.last == OnError::Isolate && stage.is_innocent(item);
            prop_assert!(!spared || came.done.contains(&item), "{} failed beside a culprit", item);
        }
    }
}
