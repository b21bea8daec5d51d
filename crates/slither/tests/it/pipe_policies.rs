//! The policies of a pipe reach the batches of the stage that they are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_core::future::BoxFuture;
use slither::dispatch::{Batch, Executor, InProcess, Limits, OnError, Order, Reply, Retry};
use slither::pipe::{Defaults, Outputs, Pipe, PipeBuilder, PipeError, RunOptions, run_pipe};
use slither::{Call, Context, ErrorKind, ItemError, RunError};

use crate::support::{pool, runtime, within};

/// Fails each batch with a multiple of ten in it, while it has failures left; counts the batches.
struct Tens {
    failures: AtomicUsize,
    batches: AtomicUsize,
}

impl Tens {
    fn fail(times: usize) -> Arc<Self> {
        Arc::new(Self { failures: AtomicUsize::new(times), batches: AtomicUsize::new(0) })
    }

    fn always() -> Arc<Self> {
        Self::fail(usize::MAX)
    }
}

impl Executor<u64, u64> for Tens {
    fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
        self.batches.fetch_add(1, SeqCst);
        let payloads: Vec<u64> = batch.payloads().copied().collect();
        let left = || self.failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let reply = match payloads.iter().any(|n| n.is_multiple_of(10)) && left() {
            true => Err(ItemError::new(ErrorKind::Timeout, "a ten")),
            false => Ok(payloads.into_iter().map(Ok).collect()),
        };
        Box::pin(std::future::ready(reply))
    }

    fn name(&self) -> &str {
        "tens"
    }
}

/// A pipe over batches of four, with a Rust stage on either side.
fn pipe(tens: &Arc<Tens>) -> PipeBuilder<u64, u64> {
    Pipe::builder("p")
        .map("before", |n: u64, _: &Context| n)
        .dispatch("tens", tens.clone(), Limits::new().batch_size(4).max_in_flight(2))
        .map("behind", |n: u64, _: &Context| n)
}

async fn run(builder: PipeBuilder<u64, u64>) -> Result<Outputs<u64>, PipeError<u64>> {
    let pipe = builder.build().unwrap();
    within(run_pipe(&pipe, 1u64..41, RunOptions::new())).await
}

fn failed(outputs: &Outputs<u64>) -> Vec<u64> {
    outputs.failures().iter().map(|failure| failure.item.0 + 1).collect()
}

#[tokio::test]
async fn halt_ends_the_run() {
    let error = run(pipe(&Tens::always())).await.unwrap_err();
    assert!(matches!(error.cause, RunError::Halted(failure) if failure.stage.as_deref() == Some("tens")));
    assert_eq!(error.outputs.payloads("default"), [&1, &2, &3, &4, &5, &6, &7, &8]);
    assert!(error.outputs.ledger().balanced());
}

#[tokio::test]
async fn skip_loses_whole_batches() {
    let outputs = run(pipe(&Tens::always()).on_error("tens", OnError::Skip)).await.unwrap();
    assert_eq!(failed(&outputs).len(), 16);
}

#[tokio::test]
async fn isolate_loses_only_the_culprits_by_name_by_star_and_by_default() {
    let named = |builder: PipeBuilder<u64, u64>| builder.on_error("tens", OnError::Isolate);
    let starred = |builder: PipeBuilder<u64, u64>| builder.on_error("*", OnError::Isolate);
    let defaulted =
        |builder: PipeBuilder<u64, u64>| builder.defaults(Defaults::new().on_error(OnError::Isolate));
    for set in [&named as &dyn Fn(_) -> _, &starred, &defaulted] {
        for order in [Order::Preserve, Order::AsCompleted] {
            let tens = Tens::always();
            let limits = Limits::new().batch_size(4).max_in_flight(2).order(order);
            let outputs = run(set(Pipe::builder("p").dispatch("tens", tens.clone(), limits))).await.unwrap();
            assert_eq!(failed(&outputs), [10, 20, 30, 40]);
            assert_eq!(outputs.ledger().emitted, 36);
            assert_eq!(tens.batches.load(SeqCst), 10 + 4 * 4, "each culprit costs two halvings");
        }
    }
}

#[tokio::test]
async fn retry_mends_what_passes() {
    let retry = || Retry::new(4).backoff(Duration::from_millis(1)).then(OnError::Skip);
    let tens = Tens::fail(3);
    let outputs = run(pipe(&tens).on_error("*", retry().into())).await.unwrap();
    assert_eq!((failed(&outputs).len(), outputs.ledger().emitted), (0, 40));
    assert!(outputs.payloads("default").into_iter().is_sorted());
    assert_eq!(tens.batches.load(SeqCst), 13);

    let outputs = run(pipe(&Tens::always()).on_error("tens", retry().into())).await.unwrap();
    assert_eq!(failed(&outputs).len(), 16);
    let isolate = retry().then(OnError::Isolate);
    let outputs = run(pipe(&Tens::always()).on_error("tens", isolate.into())).await.unwrap();
    assert_eq!(failed(&outputs), [10, 20, 30, 40]);
}

#[tokio::test]
async fn route_hands_the_input_to_its_output_with_the_error() {
    let builder = pipe(&Tens::always()).on_error("tens", OnError::Route("rejects".into()));
    let outputs = run(builder).await.unwrap();
    assert_eq!(outputs.names().collect::<Vec<_>>(), ["rejects", "default"]);
    let mut rejects: Vec<u64> = outputs.payloads("rejects").into_iter().copied().collect();
    rejects.sort_unstable();
    assert_eq!(rejects, [9, 10, 11, 12, 17, 18, 19, 20, 29, 30, 31, 32, 37, 38, 39, 40]);
    let error = &outputs.items("rejects")[0].metadata["error"];
    let said = |key: &str| error.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    assert_eq!(
        (said("kind"), said("message"), said("stage")),
        ("timeout".into(), "a ten".into(), "tens".into())
    );
    let report = outputs.report();
    assert!(report.ledger.balanced() && outputs.failures().is_empty());
    assert_eq!((report.ledger.emitted, report.ledger.failed), (40, 0));
    assert_eq!(
        (report.stages[1].items_in, report.stages[1].items_out, report.stages[1].failed),
        (40, 24, 16)
    );
}

#[tokio::test]
async fn an_item_that_fails_alone_is_routed_too() {
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
    let limits = Limits::new().on_error(OnError::Route("odd".into()));
    let outputs = run(Pipe::builder("p").dispatch("s", Arc::new(OddFails), limits)).await.unwrap();
    assert_eq!((outputs.payloads("odd").len(), outputs.payloads("default").len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_reach_python() {
    within(async {
        let slither = runtime(pool(1)).await;
        let pipe = |policy: OnError| {
            let call = Call::<String>::new("policies:poison").batch_size(4);
            Pipe::builder("p").python::<String>("s", call).on_error("*", policy).build().unwrap()
        };
        let input = ["a", "poison", "b", "c", "d", "bad"];
        let outputs = slither.run_pipe(&pipe(OnError::Isolate), input.map(str::to_owned)).await.unwrap();
        assert_eq!(outputs.payloads("default"), ["a", "b", "c", "d"]);
        let kinds: Vec<_> = outputs.failures().iter().map(|failure| failure.error.kind()).collect();
        assert_eq!(kinds, [ErrorKind::Crash, ErrorKind::Exception]);

        let route = OnError::Route("rejects".into());
        let outputs = slither.run_pipe(&pipe(route), input.map(str::to_owned)).await.unwrap();
        assert_eq!(outputs.payloads("rejects"), ["a", "poison", "b", "c", "d", "bad"]);
        let error = &outputs.items("rejects")[5].metadata["error"];
        assert!(error.get("traceback").unwrap().as_str().unwrap().contains("bad item"), "{error:?}");
    })
    .await;
}

fn refused<In: Send + 'static, Out: Send + 'static>(builder: PipeBuilder<In, Out>) -> String {
    builder.build().expect_err("the pipe is wrong").to_string()
}

#[test]
fn a_policy_that_does_not_fit_its_stage_is_refused() {
    let to = |output: &str| OnError::Route(output.into());
    let texts = || {
        let measure = InProcess::new("local", |texts: Vec<String>| {
            Ok::<_, String>(texts.iter().map(String::len).collect::<Vec<_>>())
        });
        Pipe::builder("p").dispatch("measure", Arc::new(measure), Limits::new())
    };
    assert_eq!(
        refused(texts().on_error("*", to("rejects"))),
        "stage `measure` cannot route to `rejects`: it takes `alloc::string::String`\n  \
         hint: what is routed leaves as it came, and the outputs carry `usize`"
    );
    let tens = || pipe(&Tens::always());
    assert_eq!(
        refused(tens().output("reject").on_error("tens", to("rejects"))),
        "unknown output `rejects`\n  hint: did you mean `reject`?"
    );
    assert_eq!(refused(tens().on_error("tens", to(""))), "a route names no output");
    assert_eq!(
        refused(tens().on_error("before", OnError::Isolate)),
        "stage `before` cannot isolate: it is a Rust stage\n  \
         hint: expected halt or skip; the others are for stages with an executor"
    );
    assert_eq!(
        refused(tens().on_error("*", Retry::new(0).into())),
        "`on_error` of `*`: `max_attempts` must be at least 1, got 0"
    );
    let starred = tens().on_error("*", Retry::new(2).then(to("rejects")).into()).build().unwrap();
    let policies: Vec<String> =
        starred.plan().stages.iter().map(|stage| stage.on_error.to_string()).collect();
    assert_eq!(policies, ["skip", "retry, 2 attempts, then route to `rejects`", "skip"]);
}

#[tokio::test]
async fn a_dispatch_without_a_pipe_has_no_output_to_route_to() {
    let limits = Limits::new().on_error(OnError::Route("rejects".into()));
    let error = slither::dispatch::dispatch(Tens::always(), 0..3, &limits, Context::run()).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no output `rejects` to route to\n  hint: only a pipe"));
}
