//! An endless input through pipes: how soon the first result comes, how memory goes, how fast a cancel ends.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{Call, Context, Pipe, Pool, RunOptions, Slither};

use crate::table::note;
use crate::{Fallible, machine, python_folder};

/// When memory is taken as settled.
const SETTLED: Duration = Duration::from_secs(5);

struct Run {
    pipe: &'static str,
    first: Duration,
    items: u64,
    /// KiB, by second.
    memory: Vec<u64>,
    cancel: Duration,
}

/// Runs each pipe for so long, and makes the table.
pub(crate) fn run(seconds: u64) -> Fallible<String> {
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Traced)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runs = runtime.block_on(async {
        let pool = Pool::processes("default").size(2).python_path(python_folder());
        let slither = Slither::builder().pool(pool).start().await?;
        let rust = Pipe::builder("rust")
            .map("trim", |text: String, _: &Context| text.trim().to_owned())
            .filter_map("thin", |text: String, _: &Context| (!text.contains('7')).then_some(text))
            .build()?;
        let python = Pipe::builder("python")
            .map("trim", |text: String, _: &Context| text.trim().to_owned())
            .python::<String>("echo", Call::new("echo:echo"))
            .build()?;
        let seconds = Duration::from_secs(seconds);
        let runs = [
            once(&slither, "two Rust stages", rust, seconds).await?,
            once(&slither, "a Rust and a Python stage", python, seconds).await?,
        ];
        Fallible::Ok(runs)
    })?;
    let mut text = format!(
        "# An endless input\n\n{}; {seconds} s each; documents of about 70 bytes, 64 a batch, 8 in flight, 2 workers. `VmRSS` of the host, each second.\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str("| pipe | first result | items/s | memory after 5 s | at the end | most | cancel |\n|---|---|---|---|---|---|---|\n");
    for Run { pipe, first, items, memory, cancel } in &runs {
        let mib = |kib: Option<&u64>| kib.map_or(f64::NAN, |kib| *kib as f64 / 1024.0);
        let settled = mib(memory.get(SETTLED.as_secs() as usize - 1).or(memory.last()));
        let (last, most) = (mib(memory.last()), mib(memory.iter().max()));
        writeln!(
            text,
            "| {pipe} | {first:.1?} | {:.0} | {settled:.1} MiB | {last:.1} MiB | {most:.1} MiB | {cancel:.1?} |",
            *items as f64 / seconds as f64
        )?;
    }
    text.push_str("\nBars: the first result and the cancel within 1 s; memory flat.\n");
    Ok(text)
}

async fn once(
    slither: &Slither,
    name: &'static str,
    pipe: Pipe<String, String>,
    runs: Duration,
) -> Fallible<Run> {
    let documents = (0u64..).map(|n| {
        format!(" Document {n} says a few words about number {}, and then it ends. ", n * 7919 % 10_007)
    });
    let endless = stream::iter(documents.map(Ok::<_, Infallible>));
    let began = Instant::now();
    let mut run = slither.stream_pipe(&pipe, endless, RunOptions::new()).await?;
    let (mut first, mut items, mut memory) = (None, 0, Vec::new());
    while began.elapsed() < runs {
        match run.next().await {
            Some(Ok(_)) => items += 1,
            Some(Err(error)) => return Err(error.into()),
            None => return Err("an endless input has ended".into()),
        }
        first.get_or_insert_with(|| began.elapsed());
        if began.elapsed().as_secs() > memory.len() as u64 {
            memory.push(resident_kib()?);
            note(&format!("{name}: {} s, {items} items, {} KiB", memory.len(), memory[memory.len() - 1]));
        }
    }
    memory.push(resident_kib()?);
    let cancelled = Instant::now();
    let report = run.cancel().await;
    let cancel = cancelled.elapsed();
    assert!(report.ledger.balanced(), "{report}");
    Ok(Run { pipe: name, first: first.unwrap_or(runs), items, memory, cancel })
}

fn resident_kib() -> Fallible<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(resident.trim().trim_end_matches(" kB").parse()?)
}
