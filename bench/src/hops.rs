//! What a hop from stage to stage of a pipe costs: between Rust stages, and between Python stages.
//!
//! Beside the time stands the host's CPU time, which a busy machine disturbs less.

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
    let mut rows: Vec<Row> = Vec::new();
    runtime.block_on(async {
        let pool = Pool::processes("default").size(2).python_path(python_folder());
        let slither = Slither::builder().pool(pool).start().await?;
        for round in 0..=rounds {
            let mut record = |name, items: u64, took: Took| {
                let each = |took: Duration| took.as_secs_f64() * 1e6 / items as f64;
                let (wall, cpu) = (each(took.wall), each(took.cpu));
                note(&format!("round {round}: {name}: {wall:.3} µs an item, {cpu:.3} µs of CPU"));
                match rows.iter_mut().find(|row| row.name == name) {
                    // The first round warms up.
                    _ if round == 0 => {}
                    Some(row) => row.each.push((wall, cpu)),
                    None => rows.push(Row { name, items, each: vec![(wall, cpu)] }),
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
    let of = |name: &str| rows.iter().find(|row| row.name == name).map_or((f64::NAN, f64::NAN), Row::medians);
    let mut text = format!(
        "# Hops of a pipe\n\n{}; {rounds} rounds after a warm-up; batches of 64, 8 in flight, 2 workers.\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str("| pipe | items | µs an item, median | µs of the host's CPU |\n|---|---|---|---|\n");
    for row in &rows {
        let (wall, cpu) = row.medians();
        writeln!(text, "| {} | {} | {wall:.2} | {cpu:.2} |", row.name, row.items)?;
    }
    let (one, nine) = (of("1 Rust stage"), of("9 Rust stages"));
    let (first, both) = (of("1 Python stage, `Value` maps"), of("2 Python stages, `Value` maps"));
    let hops = (STAGES - 1) as f64;
    writeln!(
        text,
        "\nA hop between Rust stages: {:.2} µs, {:.2} µs of CPU. A second Python stage: {:.2} µs, {:.2} µs of CPU.",
        (nine.0 - one.0) / hops,
        (nine.1 - one.1) / hops,
        both.0 - first.0,
        both.1 - first.1
    )?;
    Ok(text)
}

/// What was measured of one pipe, by round.
struct Row {
    name: &'static str,
    items: u64,
    /// µs an item: of the clock, and of the host's CPU.
    each: Vec<(f64, f64)>,
}

impl Row {
    fn medians(&self) -> (f64, f64) {
        let (wall, cpu): (Vec<f64>, Vec<f64>) = self.each.iter().copied().unzip();
        (median(&wall), median(&cpu))
    }
}

struct Took {
    wall: Duration,
    cpu: Duration,
}

/// The CPU time of this process so far, without its children.
fn cpu() -> Fallible<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::try_from(time)?)
}

fn document(n: u64) -> Value {
    Value::from([
        ("id", Value::from(n as i64)),
        ("text", Value::from("a few words that say what it is about")),
        ("scores", Value::List((0..8).map(|k| Value::from((n + k) as f64 / 7.0)).collect())),
    ])
}

async fn rust(slither: &Slither, stages: usize) -> Fallible<Took> {
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
) -> Fallible<Took>
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
) -> Fallible<Took> {
    let source = stream::iter(input.map(Ok::<T, std::convert::Infallible>));
    let (began, before) = (Instant::now(), cpu()?);
    let mut run = slither.stream_pipe(&pipe, source, RunOptions::new()).await?;
    while let Some(event) = run.next().await {
        event?;
    }
    Ok(Took { wall: began.elapsed(), cpu: cpu()?.saturating_sub(before) })
}
