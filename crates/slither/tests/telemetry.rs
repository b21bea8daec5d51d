//! Every event of the catalogue is emitted where it says, as a `tracing` event and as metrics together.
//!
//! A binary of its own: what pools emit comes from their own threads, so the subscriber has to be global.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde::Deserialize;
use slither::python::Interpreter;
use slither::store::{BoxError, Tables, Transaction, ViewError};
use slither::telemetry::{CATALOGUE, GAUGES};
use slither::{
    Breaker, BreakerState, Call, Chaos, OnError, Pipe, Pool, RestartBudget, Slither, Store, Table,
    ThreadSafetyCheck, Value, View,
};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber, span};

#[path = "it/several/extension.rs"]
mod extension;

use extension::extension;

/// What was heard: for each message of a `tracing` event its field names, and each metric's count.
#[derive(Debug, Default, Clone)]
struct Heard(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    fields: BTreeMap<String, BTreeSet<String>>,
    metrics: BTreeMap<String, u64>,
}

impl Heard {
    fn notes<T>(&self, use_them: impl FnOnce(&mut Notes) -> T) -> T {
        use_them(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Fields {
    message: String,
    names: BTreeSet<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => drop(self.names.insert(name.to_owned())),
        }
    }
}

impl Subscriber for Heard {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("slither")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields { message: String::new(), names: BTreeSet::new() };
        event.record(&mut fields);
        self.notes(|notes| drop(notes.fields.insert(fields.message, fields.names)));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Metric {
    name: String,
    heard: Heard,
}

impl Metric {
    fn raise(&self) {
        self.heard.notes(|notes| *notes.metrics.entry(self.name.clone()).or_default() += 1);
    }
}

impl CounterFn for Metric {
    fn increment(&self, _: u64) {
        self.raise();
    }

    fn absolute(&self, _: u64) {
        self.raise();
    }
}

impl GaugeFn for Metric {
    fn increment(&self, _: f64) {
        self.raise();
    }

    fn decrement(&self, _: f64) {
        self.raise();
    }

    fn set(&self, _: f64) {
        self.raise();
    }
}

impl HistogramFn for Metric {
    fn record(&self, _: f64) {
        self.raise();
    }
}

impl Recorder for Heard {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Metric { name: key.name().to_owned(), heard: self.clone() }))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(Metric { name: key.name().to_owned(), heard: self.clone() }))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Metric { name: key.name().to_owned(), heard: self.clone() }))
    }
}

const WORDS: Table<String, u64> = Table::set("words");

#[derive(Default)]
struct Words {
    broken: AtomicBool,
}

#[derive(Deserialize)]
struct Lookup {
    key: String,
}

impl Store for Words {
    fn tables(&self) -> Tables {
        Tables::new().with(&WORDS)
    }

    fn views(&self) -> Vec<View> {
        vec![View::scalar("lookup", |asked: Lookup, view| match asked.key.as_str() {
            "broken" => Err(ViewError::new("as asked")),
            key => Ok(view.snapshot().get_arc(&WORDS, key)),
        })]
    }

    fn load(&self, _: &mut Transaction<'_>) -> Result<(), BoxError> {
        if self.broken.load(Ordering::Relaxed) { Err("as asked".into()) } else { Ok(()) }
    }
}

fn pool(name: &str) -> Pool {
    Pool::processes(name).size(1).python_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
}

fn ask(key: &str) -> Value {
    Value::from([("view", Value::from("lookup")), ("args", Value::from([("key", key)]))])
}

/// Brings about everything that the catalogue lists.
async fn live() {
    let slither = Slither::builder().pool(pool("default")).store(Words::default()).start().await.unwrap();
    let words = slither.store::<Words>().unwrap();
    words.put(&WORDS, "one".to_owned(), 1).unwrap();
    words.store().broken.store(true, Ordering::Relaxed);
    words.reload().unwrap_err();

    let views: Pipe<Value, Value> =
        Pipe::builder("views").python::<Value>("ask", Call::new("behave:view")).build().unwrap();
    slither.run_pipe(&views, [ask("one"), ask("broken")]).await.unwrap();
    let act = |policy| {
        let call = Call::new("behave:act").on_error(policy);
        let pipe: Pipe<String, Value> = Pipe::builder("act").python("act", call).build().unwrap();
        pipe
    };
    slither.run_pipe(&act(OnError::Skip), ["print".to_owned(), "kill".to_owned()]).await.unwrap();
    slither.run_pipe(&act(OnError::Halt), ["raise".to_owned()]).await.unwrap_err();
    slither.dispatch::<_, Value>(["a", "b"], Call::new("yields:reports")).await.unwrap();
    slither.execute::<_, Value>("auto", "behave:who", &()).await.unwrap();
    let session = slither.open_session("default").await.unwrap();
    session.run_pipe(&act(OnError::Skip), ["kill".to_owned()]).await.unwrap();
    drop(session);
    slither.shutdown(Duration::from_secs(10)).await;

    let worn = Slither::builder().pool(pool("default").max_requests(1)).start().await.unwrap();
    while worn.stats("default").unwrap().recycled == 0 {
        worn.execute::<_, Value>("default", "behave:who", &()).await.unwrap();
    }
    worn.shutdown(Duration::from_secs(10)).await;

    let breaker = Breaker { deaths: 1, cooldown: Duration::from_millis(50), ..Breaker::default() };
    let broken = Slither::builder().pool(pool("default").breaker(breaker)).start().await.unwrap();
    broken.execute::<_, Value>("default", "behave:act", &[["kill"]]).await.unwrap_err();
    // Who looks late finds it half-open already, and so it stays until a call comes.
    while broken.stats("default").unwrap().breaker == BreakerState::Closed {
        tokio::task::yield_now().await;
    }
    while broken.stats("default").unwrap().breaker != BreakerState::Closed {
        let _ = broken.execute::<_, Value>("default", "behave:who", &()).await;
    }
    broken.shutdown(Duration::from_secs(10)).await;

    let slow = pool("default").chaos(Chaos::seeded(1).slow(1.0, Duration::from_millis(1)));
    let slither = Slither::builder().pool(slow).start().await.unwrap();
    slither.dispatch::<_, Value>(["a"], Call::new("behave:echo")).await.unwrap();
    slither.shutdown(Duration::from_secs(10)).await;

    let undeclared =
        pool("default").adapter("showcase:Undeclared").thread_safety_check(ThreadSafetyCheck::Warn);
    Slither::builder().pool(undeclared).start().await.unwrap().shutdown(Duration::from_secs(10)).await;

    if let Some(python) = Interpreter::find_free_threaded().unwrap() {
        let folder = std::env::temp_dir().join(format!("slither-telemetry-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let library = extension(&python.executable, &folder.to_string_lossy());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
        let threads =
            Pool::threads("threads").threads_per_worker(2).python(&python.executable).python_path(path);
        let slither = Slither::builder().pool(threads).start().await.unwrap();
        slither.execute::<_, bool>("threads", "several:load", &[&library]).await.unwrap();
        while slither.stats("threads").unwrap().slots > 1 {
            tokio::task::yield_now().await;
        }
        slither.shutdown(Duration::from_secs(10)).await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    let budget = RestartBudget { deaths: 0, ..RestartBudget::default() };
    let failing = pool("failing").preload("no_such_module").restart_budget(budget);
    Slither::builder().pool(failing).start().await.unwrap_err();
}

#[test]
fn every_event_is_traced_and_counted_with_what_it_says_it_carries() {
    let heard = Heard::default();
    tracing::subscriber::set_global_default(heard.clone()).unwrap();
    metrics::set_global_recorder(heard.clone()).unwrap_or_else(|_| panic!("there is a recorder already"));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), live()).await.unwrap() });

    let page = include_str!("../../../guides/operations.md");
    heard.notes(|notes| {
        for (gauge, meaning) in GAUGES {
            assert!(notes.metrics.contains_key(*gauge), "{gauge} was not set");
            assert!(page.contains(&format!("| `{gauge}` | {meaning} |")), "{gauge} is not in the guide");
        }
        // Capacity falls only where there was no GIL.
        let free = Interpreter::find_free_threaded().unwrap().is_some();
        for event in CATALOGUE.iter().filter(|event| free || event.name != "slither.pool.worker.capacity") {
            let fields =
                notes.fields.get(event.name).unwrap_or_else(|| panic!("{} was not traced", event.name));
            for field in event.fields.iter().chain(event.measurements) {
                assert!(fields.contains(*field), "{} has no field {field}", event.name);
            }
            assert!(notes.metrics.contains_key(event.name), "{} was not counted", event.name);
            for measurement in event.measurements {
                let name = format!("{}.{measurement}", event.name);
                assert!(notes.metrics.contains_key(&name), "{name} was not recorded");
            }
        }
    });
}
