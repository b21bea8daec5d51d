//! A view that calls Python in the pool that asks it takes a free worker, or is refused: it never waits for itself.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde::Deserialize;
use slither::store::{Scope, Tables, ViewContext, ViewError};
use slither::{ErrorKind, Pipe, Pool, Slither, Store, Value, View};

use crate::faults::pids;
use crate::support::{behave, pool, within};

/// Its views call the runtime that it belongs to.
#[derive(Default)]
struct Asking(Arc<OnceLock<Slither>>);

#[derive(Deserialize)]
struct Ask {
    n: u64,
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(future)
}

impl Store for Asking {
    fn tables(&self) -> Tables {
        Tables::new()
    }

    fn views(&self) -> Vec<View> {
        let view = |name: &str, ask: fn(&Slither, u64) -> Result<u64, String>| {
            let slither = self.0.clone();
            View::scalar(name, move |Ask { n }: Ask, _: &ViewContext| -> Result<u64, ViewError> {
                ask(slither.get().expect("it is set before any call"), n).map_err(ViewError::from)
            })
            // Longer than the test may take: nothing here ends by it.
            .timeout(Duration::from_secs(600))
            .scope(Scope::Global)
        };
        let execute = |slither: &Slither, n| {
            let answer = block_on(slither.execute::<_, u64>("default", "behave:add", &[n, 1]));
            answer.map_err(|error| format!("{}: {error}", error.kind()))
        };
        let dispatch = |slither: &Slither, n| {
            let done = block_on(slither.dispatch::<u64, u64>([n], behave("echo")));
            done.map(|done| done.ledger.emitted).map_err(|error| error.to_string())
        };
        let pipe = |slither: &Slither, n: u64| {
            let pipe = Pipe::<u64, u64>::builder("p").python::<u64>("echo", behave("echo")).build();
            let done = block_on(slither.run_pipe(&pipe.unwrap(), [n]));
            done.map(|done| done.ledger().emitted).map_err(|error| error.to_string())
        };
        let each = |slither: &Slither, _| {
            let each = block_on(slither.call_each::<_, u32>("default", "behave:who", &()));
            each.map(|each| each.replies.len() as u64).map_err(|error| error.to_string())
        };
        // The other pool's function asks a view of the first, which would wait for the first pool.
        let round = |slither: &Slither, n: u64| {
            let ask = Value::from([
                ("view", Value::from("execute")),
                ("args", Value::from([("n", Value::from(n))])),
            ]);
            let answer = block_on(slither.execute::<_, Vec<Value>>("other", "behave:view", &[[ask]]));
            Err(answer.map_or_else(|error| error.to_string(), |answer| format!("{answer:?}")))
        };
        vec![
            view("execute", execute),
            view("dispatch", dispatch),
            view("pipe", pipe),
            view("each", each),
            view("round", round),
        ]
    }
}

async fn start(size: usize) -> Slither {
    let asking = Asking::default();
    let here = asking.0.clone();
    let other =
        Pool::processes("other").size(1).python_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"));
    let slither = Slither::builder().pool(pool(size)).pool(other).store(asking).start().await.unwrap();
    here.set(slither.clone()).unwrap();
    slither
}

/// What each view answers Python: a number, or the exception's class and text.
async fn answers(slither: &Slither, views: &[&str]) -> Vec<Value> {
    let item = |view: &&str| {
        Value::from([("view", Value::from(*view)), ("args", Value::from([("n", Value::from(6u64))]))])
    };
    let call = behave("view").batch_size(16);
    let done = slither.dispatch::<Value, Value>(views.iter().map(item), call).await;
    done.unwrap().into_payloads()
}

const REFUSED: &str = "no worker of pool `default` is free, and one of them waits for this view\n  \
                       hint: let the view call another pool, or give this one more workers than calls that ask the view";

fn exception(answer: &Value) -> [String; 2] {
    match answer {
        Value::List(parts) => [0, 1].map(|at| parts[at].as_str().unwrap().to_owned()),
        other => panic!("{other:?} is no exception"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_its_own_full_pool_a_view_is_refused_at_once_and_the_worker_goes_on() {
    within(async {
        let slither = start(1).await;
        let before = pids(&slither);
        let begun = Instant::now();
        let views = ["execute", "dispatch", "pipe", "each"];
        for (view, answer) in views.iter().zip(answers(&slither, &views).await) {
            let [class, message] = exception(&answer);
            assert_eq!(class, "ViewRefused", "{view}: {message}");
            assert_eq!(message, format!("view `{view}` was refused: {REFUSED}"));
        }
        println!("four refusals within {:?}", begun.elapsed());
        assert_eq!(pids(&slither), before);
        assert_eq!(slither.execute::<_, u64>("default", "behave:add", &[1, 2]).await.unwrap(), 3);
        // Outside a view nothing is refused, and the caller waits.
        assert_eq!(slither.dispatch::<u64, u64>(0..9, behave("echo")).await.unwrap().ledger.emitted, 9);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn round_about_through_another_pool_it_is_refused_as_well() {
    within(async {
        let slither = start(1).await;
        let [class, message] = exception(&answers(&slither, &["round"]).await[0]);
        assert_eq!(class, "ViewFailed", "{message}");
        assert!(
            message.contains("ViewRefused") && message.contains("view `execute` was refused"),
            "{message}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_worker_of_its_own_pool_answers_ahead_of_others() {
    within(async {
        let slither = start(2).await;
        let views = ["execute", "dispatch", "pipe"];
        let answers = answers(&slither, &views).await;
        assert_eq!(answers, [7u64, 1, 1].map(Value::from));
        // Two calls that ask at once have both workers, and each other's view finds none: both are refused, or the one
        // that came first is answered.
        let ask = |_| {
            let slither = slither.clone();
            async move { self::answers(&slither, &["execute"]).await.remove(0) }
        };
        for answer in futures_util::future::join_all((0..20).map(ask)).await {
            let refused = || exception(&answer)[0] == "ViewRefused";
            assert!(answer == Value::from(7u64) || refused(), "{answer:?}");
        }
        assert_eq!(slither.stats("default").unwrap().deaths, 0);
        let error = slither.execute::<_, Value>("default", "behave:act", &[["raise"]]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exception);
    })
    .await;
}
