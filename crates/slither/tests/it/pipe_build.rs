//! What `build` refuses, in which words; and the plan that it makes.

use std::convert::Infallible;
use std::sync::Arc;

use slither::Context;
use slither::dispatch::{Executor, InProcess, Limits, OnError, Order, WeightedBatch};
use slither::pipe::{Defaults, Pipe, PipeBuilder, Router};

fn same(n: u64, _: &Context) -> u64 {
    n
}

fn local() -> Arc<dyn Executor<u64, u64>> {
    Arc::new(InProcess::new("local", |payloads: Vec<u64>| Ok::<_, Infallible>(payloads)))
}

fn refused(builder: PipeBuilder<u64, u64>) -> String {
    builder.build().expect_err("the pipe is wrong").to_string()
}

fn pipe() -> PipeBuilder<u64, u64> {
    Pipe::builder("p").map("first", same)
}

#[test]
fn names_are_checked() {
    assert_eq!(refused(Pipe::builder("").map("a", same)), "the pipe's name is empty");
    assert_eq!(refused(pipe().map("", same)), "the name of stage 2 is empty");
    assert_eq!(refused(pipe().map("*", same)), "no stage can be called `*`: it stands for all the others");
    assert_eq!(
        refused(pipe().map("first", same)),
        "two stages are called `first`\n  hint: the names of stages are unique in a pipe"
    );
    assert_eq!(
        refused(pipe().on_error("fist", OnError::Skip)),
        "unknown stage `fist`\n  hint: did you mean `first`?"
    );
    assert_eq!(
        refused(pipe().on_error("*", OnError::Skip).on_error("*", OnError::Halt)),
        "`on_error` is set twice for `*`"
    );
}

#[test]
fn bounds_are_checked() {
    assert_eq!(
        refused(pipe().dispatch("second", local(), Limits::new().max_in_flight(0))),
        "stage `second`: `max_in_flight` must be at least 1, got 0"
    );
    assert_eq!(
        refused(pipe().defaults(Defaults::new().batch_size(0))),
        "defaults: `batch_size` must be at least 1, got 0"
    );
    assert_eq!(refused(pipe().concurrency(0)), "stage `first`: `concurrency` must be at least 1, got 0");
    assert_eq!(
        refused(pipe().dispatch("second", local(), Limits::new()).concurrency(2)),
        "stage `second` has no `concurrency`\n  hint: a stage with an executor is bounded by `max_in_flight`"
    );
}

#[test]
fn outputs_and_routers_are_checked() {
    let router = || Router::new().when("acept", |n: &u64| *n > 1);
    assert_eq!(
        refused(pipe().output("accept").output("review").route("route", router())),
        "unknown output `acept`\n  hint: did you mean `accept`?"
    );
    assert_eq!(refused(pipe().output("a").output("a")), "output `a` is declared twice");
    assert_eq!(
        refused(pipe().route("route", router()).map("late", same)),
        "stage `late` comes after the router `route`\n  \
         hint: every way of that router ends in an output; a `branch` can have ways that go on"
    );
    let undeclared = pipe().route("route", router()).build().unwrap();
    assert_eq!(undeclared.plan().outputs.join(" "), "acept default");
}

#[test]
fn a_stages_own_word_goes_before_its_name_the_star_and_the_defaults() {
    let pipe = pipe()
        .dispatch("own", local(), Limits::new().on_error(OnError::Halt).batch_size(8))
        .dispatch("named", local(), Limits::new().batching(WeightedBatch::new(100, |n: &u64| *n)))
        .dispatch("starred", local(), Limits::new().max_in_flight(2).order(Order::Preserve))
        .route("route", Router::new().when("big", |n: &u64| *n > 9))
        .on_error("own", OnError::Skip)
        .on_error("named", OnError::Halt)
        .on_error("*", OnError::Skip)
        .defaults(Defaults::new().batch_size(16).max_in_flight(3).order(Order::AsCompleted))
        .build()
        .unwrap();
    let expected = "\
pipe `p`, channels of 16 items
  1 first    map, 1 at a time, on error skip
  2 own      dispatch, batches of 8, 3 in flight, window 12, as completed, on error halt
  3 named    dispatch, batches of weight 100, 3 in flight, window 12, as completed, on error halt
  4 starred  dispatch, batches of 16, 2 in flight, window 8, preserve, on error skip
  5 route    router, on error skip
  outputs: big | default";
    assert_eq!(pipe.plan().to_string(), expected);
}
