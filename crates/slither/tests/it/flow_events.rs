//! The events of dispatch and pipes, counted as an operator's metrics would see them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use slither::Context;
use slither::dispatch::{InProcess, Limits, OnError};
use slither::pipe::{Pipe, RunOptions, run_pipe};

use crate::support::within;

/// Adds up counters by name and stage.
#[derive(Default, Clone)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

struct One(String, Counts);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.1.0.lock().expect("no counter panics").entry(self.0.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let stage = key.labels().find(|label| label.key() == "stage").map_or("", |label| label.value());
        let name = format!("{} {stage}", key.name().trim_start_matches("slither."));
        Counter::from_arc(Arc::new(One(name.trim_end().to_owned(), self.clone())))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn events(policy: OnError) -> Vec<String> {
    let picky = InProcess::new(
        "local",
        |payloads: Vec<u64>| {
            if payloads.contains(&5) { Err("no good") } else { Ok(payloads) }
        },
    );
    let pipe = Pipe::builder("observed")
        .map("first", |n: u64, _: &Context| n)
        .dispatch("second", Arc::new(picky), Limits::new().batch_size(2).max_in_flight(1))
        .on_error("*", policy)
        .build()
        .expect("the pipe is valid");
    let counts = Counts::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    metrics::with_local_recorder(&counts, || {
        runtime.block_on(async {
            let run = run_pipe(&pipe, 0u64..10, RunOptions::new());
            let _ = within(run).await;
        });
    });
    let counts = counts.0.lock().expect("no counter panics");
    counts.iter().map(|(name, count)| format!("{name}: {count}")).collect()
}

#[test]
fn a_run_tells_of_its_stages_and_batches() {
    let expected = [
        "dispatch.batch.exception second: 1",
        "dispatch.batch.start second: 5",
        "dispatch.batch.stop second: 4",
        "pipe.run.start: 1",
        "pipe.run.stop: 1",
        "pipe.stage.start first: 1",
        "pipe.stage.start second: 1",
        "pipe.stage.stop first: 1",
        "pipe.stage.stop second: 1",
    ];
    assert_eq!(events(OnError::Skip), expected);
}

#[test]
fn a_halted_run_ends_with_exceptions() {
    let expected = [
        "dispatch.batch.exception second: 1",
        "dispatch.batch.start second: 3",
        "dispatch.batch.stop second: 2",
        "pipe.run.exception: 1",
        "pipe.run.start: 1",
        "pipe.stage.exception second: 1",
        "pipe.stage.start first: 1",
        "pipe.stage.start second: 1",
        "pipe.stage.stop first: 1",
    ];
    assert_eq!(events(OnError::Halt), expected);
}
