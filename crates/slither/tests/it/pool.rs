//! A pool runs Python: batches, single calls, a call on each worker, views, and what cannot be called.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use slither::store::{Scope, Tables, Transaction, View, ViewContext, ViewError};
use slither::{Call, ErrorKind, Item, Order, Outcome, Pool, Slither, Start, Store, Table, Value};

use crate::support::{behave, pool, runtime, within};

#[tokio::test(flavor = "multi_thread")]
async fn batches_go_to_python_and_come_back_in_order() {
    within(async {
        let slither = runtime(pool(2)).await;
        for order in [Order::Preserve, Order::AsCompleted] {
            let call = behave("echo").batch_size(7).order(order);
            let done = slither.dispatch::<u64, u64>(0..1000, call).await.unwrap();
            let mut got: Vec<_> = done.results.iter().map(|item| item.payload).collect();
            if order == Order::AsCompleted {
                got.sort_unstable();
            }
            assert_eq!(got, (0..1000).collect::<Vec<_>>());
            assert!(done.ledger.balanced() && done.ledger.emitted == 1000);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spawned_workers_work_as_forked_ones_do() {
    within(async {
        let slither = runtime(pool(2).start(Start::Spawn)).await;
        let done = slither.dispatch::<u64, u64>(0..100, behave("echo")).await.unwrap();
        assert_eq!(done.ledger.emitted, 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_pulls_on_demand() {
    within(async {
        let slither = runtime(pool(1)).await;
        let (sender, pulled) = std::sync::mpsc::sync_channel(10_000);
        let source = stream::iter(0u64..).map(move |number| {
            sender.send(number).expect("the test listens");
            Item::new(number, number)
        });
        let call = behave("echo").batch_size(4).max_in_flight(2).window(3);
        let mut results = slither.dispatch_stream::<u64, u64>(source, call).await.unwrap();
        assert_eq!(pulled.try_iter().count(), 0, "nothing is pulled before the stream is polled");
        let first = results.next().await;
        assert!(matches!(first, Some(Ok(Outcome::Done(item))) if item.payload == 0));
        let pulled = pulled.try_iter().count();
        assert!(pulled <= 4 * 4, "{pulled} were pulled for one result");
        let ledger = results.cancel();
        assert!(ledger.balanced(), "{ledger}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_workers_get_work() {
    within(async {
        let slither = runtime(pool(2)).await;
        let call = behave("pids").batch_size(1).max_in_flight(2);
        let done = slither.dispatch::<u64, u32>(0..8, call).await.unwrap();
        let pids: HashSet<_> = done.into_payloads().into_iter().collect();
        assert_eq!(pids.len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_takes_keywords_a_list_or_nothing() {
    within(async {
        let slither = runtime(pool(1)).await;
        let keywords = BTreeMap::from([("first", 1), ("second", 2)]);
        assert_eq!(slither.execute::<_, i64>("default", "behave:add", &keywords).await.unwrap(), 3);
        assert_eq!(slither.execute::<_, i64>("default", "behave:add", &(1, 5)).await.unwrap(), 6);
        assert_eq!(slither.execute::<_, i64>("default", "behave:add", &1).await.unwrap(), 11);
        assert!(slither.execute::<_, u32>("default", "behave:who", &()).await.unwrap() > 0);
        let error = slither.execute::<_, i64>("default", "behave:add", &("a", 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exception);
        assert_eq!(error.exception()[0], "TypeError");
        assert!(error.traceback().unwrap().contains("return first + second"), "{}", error.report());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worker_tells_what_it_keeps_and_the_dead_are_named() {
    within(async {
        let slither = runtime(pool(3)).await;
        let call = behave("remember").batch_size(2).max_in_flight(3);
        slither.dispatch::<u64, u64>(0..60, call).await.unwrap();
        let each = slither.call_each::<_, Vec<u64>>("default", "behave:remembered", &()).await.unwrap();
        let mut kept: Vec<u64> =
            each.replies.iter().flat_map(|reply| reply.result.clone().unwrap()).collect();
        kept.sort_unstable();
        assert_eq!(kept, (0..60).collect::<Vec<_>>());
        assert_eq!(each.replies.iter().map(|reply| reply.pid).collect::<HashSet<_>>().len(), 3);
        assert!(each.lost.is_empty());

        let error = slither.execute::<_, Value>("default", "behave:act", &[["kill"]]).await.unwrap_err();
        let dead = error.worker().unwrap().pid;
        let each = slither.call_each::<_, Vec<u64>>("default", "behave:remembered", &()).await.unwrap();
        assert_eq!(each.lost.iter().map(|lost| lost.pid).collect::<Vec<_>>(), [dead]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_knows_whose_work_it_does() {
    within(async {
        let slither = runtime(pool(1)).await;
        let done = slither.dispatch::<u64, Vec<Value>>([1], behave("context")).await.unwrap();
        let [run, pipe, stage, session, attempt] = &done.into_payloads()[0][..] else {
            panic!("five are due")
        };
        assert!(run.as_str().unwrap().starts_with("r-"));
        assert!(session.as_str().unwrap().starts_with("s-"));
        assert_eq!((pipe, stage, attempt.as_i64()), (&Value::Null, &Value::Null, Some(1)));
    })
    .await;
}

#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Feature {
    tier: String,
}

#[derive(Deserialize)]
struct Lookup {
    key: String,
}

const FEATURES: Table<String, Feature> = Table::set("features");

/// A store of which one view, `slow`, answers when it is told to.
struct FeatureStore(Mutex<Option<mpsc::Receiver<()>>>);

impl Store for FeatureStore {
    fn tables(&self) -> Tables {
        Tables::new().with(&FEATURES)
    }

    fn views(&self) -> Vec<View> {
        let gate = Mutex::new(self.0.lock().unwrap().take());
        let find = |args: Lookup, view: &ViewContext| -> Result<Option<Feature>, ViewError> {
            Ok(view.snapshot().get(&FEATURES, &args.key).cloned())
        };
        vec![
            View::scalar("lookup_feature", find),
            View::scalar("global", find).scope(Scope::Global),
            View::scalar("explode", |_: Lookup, _: &ViewContext| -> Result<(), ViewError> {
                panic!("the handler is broken")
            }),
            View::scalar("slow", move |_: Lookup, _: &ViewContext| -> Result<(), ViewError> {
                let _ = gate.lock().unwrap().as_ref().map(mpsc::Receiver::recv);
                Ok(())
            })
            .timeout(Duration::from_millis(50)),
        ]
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), slither::store::BoxError> {
        tx.put(&FEATURES, "user:42".to_owned(), Feature { tier: "gold".to_owned() })?;
        Ok(())
    }
}

fn asks(view: &str) -> Value {
    Value::from([("view", Value::from(view)), ("args", Value::from([("key", "user:42")]))])
}

#[tokio::test(flavor = "multi_thread")]
async fn python_calls_views_and_gets_typed_exceptions() {
    within(async {
        let (open, gate) = mpsc::sync_channel::<()>(0);
        let store = FeatureStore(Mutex::new(Some(gate)));
        let slither = Slither::builder().pool(pool(1)).store(store).start().await.unwrap();
        let names = ["lookup_feature", "global", "lookup_featur", "explode", "slow"];
        let call = behave("view").batch_size(8);
        let done = slither.dispatch::<Value, Value>(names.map(asks), call).await.unwrap();
        // Its timeout has ended the wait, and not the view.
        drop(open);
        let answers = done.into_payloads();
        let gold = Value::from([("tier", "gold")]);
        assert_eq!(answers[..2], [gold.clone(), gold.clone()]);
        let error = |answer: &Value| -> (String, String) {
            let pair = answer.as_list().unwrap_or_else(|| panic!("{answer:?}"));
            (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned())
        };
        let (class, text) = error(&answers[2]);
        assert!(class == "UnknownView" && text.contains("lookup_feature"), "{class}: {text}");
        let (class, text) = error(&answers[3]);
        assert!(class == "ViewFailed" && text.contains("the handler is broken"), "{class}: {text}");
        assert_eq!(error(&answers[4]).0, "ViewTimeout");

        // Outside a run there is no session, and a session's view is refused.
        let args = [[asks("lookup_feature"), asks("global")]];
        let answers: Vec<Value> = slither.execute("default", "behave:view", &args).await.unwrap();
        assert!(error(&answers[0]).1.contains("session"), "{answers:?}");
        assert_eq!(answers[1], gold);

        let many = Value::from([
            ("view", Value::from("lookup_feature")),
            ("calls", vec![Value::from([("key", "user:42")]), Value::from([("key", "nobody")])].into()),
        ]);
        let done = slither.dispatch::<Value, Value>([many], behave("views")).await.unwrap();
        assert_eq!(done.into_payloads()[0], Value::List(vec![gold, Value::Null]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_called_is_known_before_any_input_is_pulled() {
    within(async {
        let slither = runtime(pool(1)).await;
        let unpullable =
            || stream::iter(0u64..).map(|number| -> Item<u64> { panic!("item {number} was pulled") });
        let refused = async |function: &str, pool: &str| {
            let call = Call::new(function).pool(pool);
            slither.dispatch_stream::<u64, u64>(unpullable(), call).await.unwrap_err().to_string()
        };
        let message = refused("behave:ecko", "default").await;
        assert!(message.contains("`behave:ecko` cannot be called in pool `default`"), "{message}");
        assert!(message.contains("echo"), "a near name is offered: {message}");
        let message = refused("behaves:echo", "default").await;
        assert!(message.contains("behaves"), "{message}");
        let message = refused("behave:echo", "defualt").await;
        assert_eq!(message, "unknown pool `defualt`\n  hint: did you mean `default`?");
        let message = refused("behave.echo", "default").await;
        assert!(message.contains("expected `module:function`"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_cannot_start_says_why() {
    within(async {
        let start = async |pool: Pool| Slither::builder().pool(pool).start().await.unwrap_err().to_string();
        let message = start(pool(1).preload("no_such_module")).await;
        assert!(message.contains("no_such_module") && message.contains("pool `default`"), "{message}");
        let message = start(pool(1).python("/nonexistent/python")).await;
        assert!(message.contains("/nonexistent/python"), "{message}");
        let message = start(pool(1).python_path("/nonexistent/folder")).await;
        assert!(message.contains("/nonexistent/folder"), "{message}");
        let twice = Slither::builder().pool(pool(1)).pool(pool(1)).start().await.unwrap_err();
        assert!(twice.to_string().starts_with("two pools are named `default`"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_was_begun() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = crate::support::Folder::new();
        let gate = folder.path("gate");
        let call = behave("wait_for_file").batch_size(1);
        let running = tokio::spawn({
            let (slither, gate) = (slither.clone(), gate.clone());
            async move { slither.dispatch::<String, String>([gate], call).await }
        });
        crate::support::until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
        let pids: Vec<u32> =
            slither.stats("default").unwrap().workers.iter().map(|worker| worker.1).collect();
        let ending = tokio::spawn(slither.shutdown(Duration::from_secs(30)));
        std::fs::write(&gate, "").unwrap();
        assert_eq!(running.await.unwrap().unwrap().ledger.emitted, 1);
        ending.await.unwrap();
        for pid in pids {
            assert!(!crate::support::alive(pid), "worker {pid} is still there");
        }
    })
    .await;
}
