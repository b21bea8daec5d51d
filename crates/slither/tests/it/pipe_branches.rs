//! Routers in the middle of a pipe: branches with stages of their own, which end in outputs or join.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use slither::dispatch::{Batch, Executor, InProcess, Limits, OnError, Reply};
use slither::pipe::{
    Branches, Defaults, Discard, Event, Pipe, PipeBuilder, Router, RunOptions, run_pipe, stream_pipe,
};
use slither::{Call, Context, ErrorKind, ItemError, RunError};
use tokio::sync::Semaphore;

use crate::support::{pool, runtime, within};

fn same(n: u64, _: &Context) -> u64 {
    n
}

fn odd(n: &u64) -> bool {
    !n.is_multiple_of(2)
}

fn negate() -> Arc<dyn Executor<u64, i64>> {
    let negate = |payloads: Vec<u64>| Ok::<_, Infallible>(payloads.iter().map(|n| -(*n as i64)).collect());
    Arc::new(InProcess::new("local", negate))
}

/// Answers batches only while permits are there; fails those that hold a `bad` item.
struct Gated {
    gate: Arc<Semaphore>,
    bad: u64,
}

impl Gated {
    fn closed() -> (Arc<Self>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Arc::new(Self { gate: gate.clone(), bad: u64::MAX }), gate)
    }

    fn open(bad: u64) -> Arc<Self> {
        Arc::new(Self { gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), bad })
    }
}

impl Executor<u64, u64> for Gated {
    fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
        let reply = match batch.payloads().any(|n| *n == self.bad) {
            true => Err(ItemError::new(ErrorKind::Exception, "bad")),
            false => Ok(batch.payloads().map(|n| Ok(*n)).collect()),
        };
        let gate = self.gate.clone();
        Box::pin(async move {
            gate.acquire().await.expect("the gate is never closed").forget();
            reply
        })
    }

    fn name(&self) -> &str {
        "gated"
    }
}

#[tokio::test]
async fn branches_have_stages_of_their_own_and_join_or_end() {
    let pipe = Pipe::builder("numbers")
        .map("in", same)
        .branch("size", |branches| {
            branches
                .when(
                    "small",
                    |n: &u64| *n < 10,
                    |small| {
                        small.branch("parity", |branches| {
                            branches
                                .when("odd", odd, |odd| odd.dispatch("negate", negate(), Limits::new()))
                                .otherwise(|even| even.map("plain", |n, _: &Context| n as i64))
                        })
                    },
                )
                .when(
                    "huge",
                    |n: &u64| *n > 1000,
                    |huge| huge.map("cut", |_, _: &Context| 1000i64).emit("huge"),
                )
                .otherwise(|rest| {
                    rest.map("signed", |n, _: &Context| n as i64)
                        .route("shelve", Router::new().when("round", |n: &i64| n % 10 == 0))
                })
        })
        .map("out", |n: i64, _: &Context| n * 100)
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, [1u64, 2, 3, 20, 21, 5000], RunOptions::new())).await.unwrap();
    let mut joined = outputs.payloads("default");
    joined.sort_unstable();
    assert_eq!(joined, [&-300, &-100, &21, &200]);
    assert_eq!((outputs.payloads("huge"), outputs.payloads("round")), (vec![&1000], vec![&20]));
    assert!(outputs.ledger().balanced() && outputs.ledger().emitted == 6);
    let counts: Vec<_> =
        outputs.report().stages.iter().map(|stage| (&*stage.name, stage.items_in, stage.items_out)).collect();
    assert_eq!(
        counts,
        [
            ("in", 6, 6),
            ("size", 6, 6),
            ("parity", 3, 3),
            ("negate", 2, 2),
            ("plain", 1, 1),
            ("cut", 1, 1),
            ("signed", 2, 2),
            ("shelve", 2, 2),
            ("out", 3, 3)
        ]
    );
    let expected = "\
pipe `numbers`, channels of 64 items
  1 in              map, 1 at a time, on error halt
  2 size            router, on error halt
      small: joins
  3     parity      router, on error halt
          odd: joins
  4         negate  dispatch, batches of 64, 8 in flight, window 32, preserve, on error halt
          otherwise: joins
  5         plain   map, 1 at a time, on error halt
      huge: ends in `huge`
  6     cut         map, 1 at a time, on error halt
      otherwise: ends in its routers
  7     signed      map, 1 at a time, on error halt
  8     shelve      router, on error halt
  9 out             map, 1 at a time, on error halt
  outputs: huge | round | default";
    assert_eq!(pipe.plan().to_string(), expected);
}

#[tokio::test]
async fn a_branch_keeps_its_order_through_a_join() {
    let pipe = Pipe::builder("ordered")
        .branch("parity", |branches| {
            branches.when("odd", odd, |odd| odd.map("threads", same).concurrency(3)).otherwise(|even| even)
        })
        .build()
        .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..5000, RunOptions::new())).await.unwrap();
    let (odd, even): (Vec<u64>, Vec<u64>) = outputs.payloads("default").into_iter().partition(|n| odd(n));
    assert!(odd.is_sorted() && even.is_sorted());
    assert_eq!((odd.len(), even.len()), (2500, 2500));
}

/// Odd numbers go through `executor`, even ones through a Rust stage; then both join.
fn around(executor: Arc<Gated>) -> PipeBuilder<u64, u64> {
    Pipe::builder("around")
        .branch("parity", |branches| {
            branches
                .when("odd", odd, |odd| {
                    odd.dispatch("gated", executor, Limits::new().batch_size(1).max_in_flight(2))
                })
                .otherwise(|even| even.map("even", same))
        })
        .map("behind", same)
}

#[tokio::test]
async fn a_join_does_not_wait_for_a_slow_branch() {
    let (gated, gate) = Gated::closed();
    let pipe = around(gated).defaults(Defaults::new().batch_size(4)).build().unwrap();
    // One odd item that is stuck, and then many more even ones than all channels hold.
    let input = std::iter::once(1u64).chain((1..=1000u64).map(|n| 2 * n)).chain([3]);
    let mut run = stream_pipe(&pipe, stream::iter(input), RunOptions::new()).await.unwrap();
    let mut next = async || match within(run.next()).await {
        Some(Ok(Event::Emitted { item, .. })) => item.payload,
        other => panic!("{other:?}"),
    };
    for n in 1..=1000 {
        assert_eq!(next().await, 2 * n);
    }
    gate.add_permits(2);
    assert_eq!((next().await, next().await), (1, 3));
    assert!(within(run.next()).await.is_none() && run.ledger().balanced());
}

#[tokio::test]
async fn a_stuck_branch_bounds_what_is_pulled() {
    let (gated, gate) = Gated::closed();
    let pipe = around(gated).defaults(Defaults::new().batch_size(4)).build().unwrap();
    let pulled = Arc::new(AtomicU64::new(0));
    let count = pulled.clone();
    let endless = stream::iter((0u64..).inspect(move |_| _ = count.fetch_add(1, SeqCst)));
    let mut run = stream_pipe(&pipe, endless, RunOptions::new()).await.unwrap();
    let mut evens = 0;
    // Two in flight, one gathered, four in the channel: with the eighth odd item the router waits.
    while evens < 8 {
        match within(run.next()).await {
            Some(Ok(Event::Emitted { item, .. })) => assert_eq!(item.payload, 2 * evens),
            other => panic!("{other:?}"),
        }
        evens += 1;
    }
    // Beside those the router's channel holds four, and one is in its hand.
    assert!(pulled.load(SeqCst) <= 16 + 4 + 1, "{} pulled", pulled.load(SeqCst));
    gate.add_permits(Semaphore::MAX_PERMITS / 2);
    assert!(matches!(within(run.next()).await, Some(Ok(Event::Emitted { .. }))));
    assert!(within(run.cancel()).await.ledger.balanced());
}

#[tokio::test]
async fn an_empty_branch_delays_nothing() {
    let (gated, _) = Gated::closed();
    let pipe = around(gated).build().unwrap();
    let outputs = within(run_pipe(&pipe, (0u64..500).map(|n| 2 * n), RunOptions::new())).await.unwrap();
    assert_eq!(outputs.ledger().emitted, 500);
}

#[tokio::test]
async fn policies_reach_stages_in_branches() {
    let run = async |name: &'static str, policy: OnError| {
        let limits = || Limits::new().batch_size(4);
        let pipe = Pipe::builder("policies")
            .branch("parity", |branches| {
                branches
                    .when("odd", odd, |odd| odd.dispatch("picky", Gated::open(5), limits()))
                    .otherwise(|even| even)
            })
            .on_error(name, policy)
            .build()
            .unwrap();
        within(run_pipe(&pipe, 0u64..20, RunOptions::new())).await
    };
    for name in ["picky", "*"] {
        let isolated = run(name, OnError::Isolate).await.unwrap();
        assert_eq!((isolated.ledger().emitted, isolated.ledger().failed), (19, 1));
        assert_eq!(isolated.failures()[0].stage.as_deref(), Some("picky"));
        let skipped = run(name, OnError::Skip).await.unwrap();
        assert_eq!((skipped.ledger().emitted, skipped.ledger().failed), (16, 4));
        let routed = run(name, OnError::Route("rejects".into())).await.unwrap();
        assert_eq!(routed.payloads("rejects"), [&1, &3, &5, &7]);
        assert_eq!((routed.ledger().emitted, routed.ledger().failed), (20, 0));
    }
}

#[tokio::test]
async fn a_halt_in_a_branch_keeps_what_the_others_finished() {
    let pipe = around(Gated::open(501)).build().unwrap();
    let error = within(run_pipe(&pipe, 0u64.., RunOptions::new())).await.unwrap_err();
    let RunError::Halted(failure) = &error.cause else { panic!("{error}") };
    assert_eq!((failure.stage.as_deref(), failure.error.message()), (Some("gated"), "bad"));
    let (odd, even): (Vec<u64>, Vec<u64>) =
        error.outputs.payloads("default").into_iter().partition(|n| odd(n));
    assert!(odd.starts_with(&(0..250).map(|n| 2 * n + 1).collect::<Vec<_>>()), "{odd:?}");
    // An even item is behind the router before the odd one after it.
    assert!(even.starts_with(&(0..250).map(|n| 2 * n).collect::<Vec<_>>()), "{even:?}");
    assert!(error.outputs.ledger().balanced(), "{error}");
}

#[tokio::test]
async fn drops_and_children_in_branches_are_counted_once() {
    let pipe =
        Pipe::builder("counts")
            .branch("parity", |branches| {
                branches.when("odd", odd, |odd| odd.flat_map("twice", |n, _: &Context| [n, n])).otherwise(
                    |even| {
                        even.filter_map("large", |n: u64, _: &Context| {
                            if n > 4 { Ok(n) } else { Err(Discard::because("too small")) }
                        })
                    },
                )
            })
            .build()
            .unwrap();
    let outputs = within(run_pipe(&pipe, 0u64..10, RunOptions::new())).await.unwrap();
    let ledger = outputs.ledger();
    assert_eq!((ledger.expanded, ledger.emitted, ledger.dropped), (5, 12, 3));
    assert_eq!(outputs.report().drops()["too small"], 3);
    assert!(outputs.report().to_string().contains("large: 5 in, 2 out, 0 failed, 3 dropped (too small)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_may_be_python() {
    within(async {
        let slither = runtime(pool(1)).await;
        let pipe = Pipe::builder("p")
            .branch("kind", |branches| {
                branches
                    .when(
                        "text",
                        |text: &String| !text.is_empty(),
                        |text| text.python::<String>("poison", Call::new("policies:poison").batch_size(2)),
                    )
                    .otherwise(|empty| empty.map("empty", |_, _: &Context| "nothing".to_owned()))
            })
            .on_error("*", OnError::Isolate)
            .build()
            .unwrap();
        let input = ["a", "", "bad", "b"].map(str::to_owned);
        let outputs = slither.run_pipe(&pipe, input).await.unwrap();
        let mut done = outputs.payloads("default");
        done.sort();
        assert_eq!(done, ["a", "b", "nothing"]);
        assert_eq!(outputs.failures()[0].stage.as_deref(), Some("poison"));
    })
    .await;
}

fn refused<In: Send + 'static, Out: Send + 'static>(builder: PipeBuilder<In, Out>) -> String {
    builder.build().expect_err("the pipe is wrong").to_string()
}

#[test]
fn branches_are_checked_when_the_pipe_is_built() {
    let fork = |branches: fn(Branches<u64, u64>) -> Branches<u64, u64>| {
        Pipe::builder("p").map("first", same).branch("fork", branches)
    };
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a.map("first", same)))),
        "two stages are called `first`\n  hint: the names of stages are unique in a pipe"
    );
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a).when("a", odd, |a| a))),
        "two branches of router `fork` are called `a`"
    );
    assert_eq!(refused(fork(|b| b.when("", odd, |a| a))), "the name of a branch of router `fork` is empty");
    assert_eq!(refused(fork(|b| b.otherwise(|a| a).otherwise(|a| a))), "router `fork` has two `otherwise`");
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a.emit("reject"))).output("rejects")),
        "unknown output `reject`\n  hint: did you mean `rejects`?"
    );
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a.map("text", |n, _: &Context| n.to_string()).emit("texts")))),
        "branch `a` of router `fork` cannot send items to `texts`: they are `alloc::string::String`\n  \
         hint: the outputs of the pipe carry `u64`"
    );
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a)).map("text", |n, _: &Context| n.to_string())),
        "router `fork`, for what no branch takes, cannot send items to `default`: they are `u64`\n  \
         hint: the outputs of the pipe carry `alloc::string::String`"
    );
    assert_eq!(
        refused(fork(|b| b.when("a", odd, |a| a.emit("odd"))).map("late", same)),
        "stage `late` comes after the router `fork`\n  \
         hint: every way of that router ends in an output; a `branch` can have ways that go on"
    );
    assert_eq!(
        refused(fork(|b| b.otherwise(|a| a.map("inner", same))).concurrency(2)),
        "router `fork` has no `concurrency`"
    );
    assert_eq!(
        refused(fork(|b| b.otherwise(|a| a.concurrency(2)))),
        "`concurrency` comes before any stage\n  hint: it follows the stage that it is for"
    );
}
