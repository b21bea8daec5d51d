//! What a hop from stage to stage of a pipe costs: between Rust stages, and between Python stages.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{Call, Context, Pipe, Pool, RunOptions, Slither, Value};

use crate::table::{median, note};
use crate::{Fallible, machine, python_folder};

const STAGES: usize = 9;
const RUST_ITEMS: u64 = 500_000;
const PYTHON_ITEMS: u64 = 200_000;

/// Measures, and makes the table.
pub(crate) fn run(rounds: usize) -> Fallible<String> {
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Traced)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut rows: Vec<(&str, u64, Vec<f64>)> = Vec::new();
    runtime.block_on(async {
        let pool = Pool::processes("default").size(2).python_path(python_folder());
        let slither = Slither::builder().pool(pool).start().await?;
        for round in 0..=rounds {
            let mut record = |name, items: u64, took: Duration| {
                let each = took.as_secs_f64() * 1e6 / items as f64;
                note(&format!("round {round}: {name}: {each:.3} µs an item"));
                match rows.iter_mut().find(|(other, ..)| *other == name) {
                    // The first round warms up.
                    _ if round == 0 => {}
                    Some((.., values)) => values.push(each),
                    None => rows.push((name, items, vec![each])),
                }
            };
            record("1 Rust stage", RUST_ITEMS, rust(&slither, 1).await?);
            record("9 Rust stages", RUST_ITEMS, rust(&slither, STAGES).await?);
            let maps = || (0..PYTHON_ITEMS).map(document);
            record("1 Python stage, `Value` maps", PYTHON_ITEMS, python::<Value>(&slither, 1, maps()).await?);
            record(
                "2 Python stages, `Value` maps",
                PYTHON_ITEMS,
                python::<Value>(&slither, 2, maps()).await?,
            );
        }
        Fallible::Ok(())
    })?;
    let of = |name: &str| {
        rows.iter().find(|(other, ..)| *other == name).map_or(f64::NAN, |(.., values)| median(values))
    };
    let mut text = format!(
        "# Hops of a pipe\n\n{}; {rounds} rounds after a warm-up; batches of 64, 8 in flight, 2 workers.\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str("| pipe | items | µs an item, median |\n|---|---|---|\n");
    for (name, items, values) in &rows {
        writeln!(text, "| {name} | {items} | {:.2} |", median(values))?;
    }
    let rust = (of("9 Rust stages") - of("1 Rust stage")) / (STAGES - 1) as f64;
    let python = of("2 Python stages, `Value` maps") - of("1 Python stage, `Value` maps");
    writeln!(text, "\nA hop between Rust stages: {rust:.2} µs. A second Python stage: {python:.2} µs.")?;
    Ok(text)
}

fn document(n: u64) -> Value {
    Value::from([
        ("id", Value::from(n as i64)),
        ("text", Value::from("a few words that say what it is about")),
        ("scores", Value::List((0..8).map(|k| Value::from((n + k) as f64 / 7.0)).collect())),
    ])
}

async fn rust(slither: &Slither, stages: usize) -> Fallible<Duration> {
    let mut builder = Pipe::builder("rust");
    for stage in 0..stages {
        builder = builder.map(format!("s{stage}"), |n: u64, _: &Context| n + 1);
    }
    drain(slither, builder.build()?, 0..RUST_ITEMS).await
}

async fn python<T>(
    slither: &Slither,
    stages: usize,
    input: impl Iterator<Item = T> + Send + 'static,
) -> Fallible<Duration>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let mut builder = Pipe::builder("python");
    for stage in 0..stages {
        builder = builder.python::<T>(format!("s{stage}"), Call::new("echo:echo"));
    }
    drain(slither, builder.build()?, input).await
}

async fn drain<T: Send + 'static>(
    slither: &Slither,
    pipe: Pipe<T, T>,
    input: impl Iterator<Item = T> + Send + 'static,
) -> Fallible<Duration> {
    let source = stream::iter(input.map(Ok::<T, std::convert::Infallible>));
    let began = Instant::now();
    let mut run = slither.stream_pipe(&pipe, source, RunOptions::new()).await?;
    while let Some(event) = run.next().await {
        event?;
    }
    Ok(began.elapsed())
}
