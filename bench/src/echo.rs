//! Batches of 64 small ints through 2 workers, beside Python's own pools and a bare loop.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{Call, Item, Order, Outcome, Pool, Slither};

use crate::raw::Raw;
use crate::table::{median, note};
use crate::{Fallible, machine, python_folder};

const ITEMS: u64 = 64;
const WORKERS: usize = 2;
/// The peer that the bar is a multiple of.
const BAR: &str = "multiprocessing.Pool.imap(chunksize=1)";

/// Measures, and makes the table.
pub(crate) fn run(batches: u64, rounds: usize) -> Fallible<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Traced)?;
    let pool = Pool::processes("default").size(WORKERS).python_path(python_folder());
    let slither = runtime.block_on(Slither::builder().pool(pool).start())?;
    let mut raw = Raw::start(&environment, WORKERS)?;
    let mut peers = Peers::start(&environment)?;

    let mut contenders: Vec<(String, Vec<f64>)> = Vec::new();
    let mut record = |round: usize, name: &str, took: Duration, batches: u64| {
        let each = took.as_secs_f64() * 1e6 / batches as f64;
        note(&format!("round {round}: {name}: {each:.2} µs a batch"));
        // The first round warms up.
        if round > 0 {
            match contenders.iter_mut().find(|(other, _)| other == name) {
                Some((_, values)) => values.push(each),
                None => contenders.push((name.to_owned(), vec![each])),
            }
        }
    };
    for round in 0..=rounds {
        let slow = batches / 4;
        let took = runtime.block_on(dispatch(&slither, batches, 128, Order::Preserve))?;
        record(round, "slither, dispatch_stream, max_in_flight 128", took, batches);
        let took = runtime.block_on(dispatch(&slither, batches, 32, Order::Preserve))?;
        record(round, "slither, dispatch_stream, max_in_flight 32", took, batches);
        record(round, BAR, peers.round("imap", slow)?, slow);
        let took = runtime.block_on(dispatch(&slither, batches, 8, Order::Preserve))?;
        record(round, "slither, dispatch_stream, max_in_flight 8", took, batches);
        record(round, "concurrent.futures.ProcessPoolExecutor.map", peers.round("executor", slow)?, slow);
        record(round, "bare loop, 1 batch on its way", raw.round(batches, 1)?, batches);
        record(round, "bare loop, 2 batches on their way", raw.round(batches, 2)?, batches);
    }

    let of = |name: &str| {
        contenders.iter().find(|(other, _)| other == name).map_or(f64::NAN, |(_, values)| median(values))
    };
    let bar = of(BAR);
    let mut text = format!(
        "# Batches of {ITEMS} small ints through {WORKERS} workers\n\n{}; {rounds} rounds after a warm-up, the contenders in turn; {batches} batches a round (a quarter for Python's own pools).\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str(
        "| | µs a batch, median | least | greatest | items/s | × Pool.imap |\n|---|---|---|---|---|---|\n",
    );
    for (name, values) in &contenders {
        let middle = median(values);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(0.0, f64::max);
        let rate = ITEMS as f64 / middle;
        writeln!(
            text,
            "| {name} | {middle:.2} | {least:.2} | {greatest:.2} | {rate:.2} M | {:.1} |",
            bar / middle
        )?;
    }
    text.push_str("\nEach number, in µs a batch, in the order of the rounds:\n\n");
    for (name, values) in &contenders {
        let values: Vec<_> = values.iter().map(|value| format!("{value:.2}")).collect();
        writeln!(text, "- {name}: {}", values.join(", "))?;
    }
    Ok(text)
}

async fn dispatch(slither: &Slither, batches: u64, in_flight: usize, order: Order) -> Fallible<Duration> {
    let call = Call::new("echo:echo").batch_size(ITEMS as usize).max_in_flight(in_flight).order(order);
    let source = stream::iter((0..batches * ITEMS).map(|number| Item::new(number, number % ITEMS)));
    let begun = Instant::now();
    let mut results = slither.dispatch_stream::<u64, u64>(source, call).await?;
    let mut done = 0;
    while let Some(outcome) = results.next().await {
        match outcome? {
            Outcome::Done(_) => done += 1,
            Outcome::Failed(failure) => return Err(failure.into()),
        }
    }
    let took = begun.elapsed();
    assert_eq!(done, batches * ITEMS, "every item comes back");
    Ok(took)
}

/// Python's own pools, in a process that is told what to measure.
struct Peers {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Peers {
    fn start(environment: &Environment) -> Fallible<Self> {
        let mut child = Command::new(&environment.interpreter.executable)
            .arg(python_folder().join("peers.py"))
            .arg(WORKERS.to_string())
            .arg(ITEMS.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the peers have no pipes".into());
        };
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    fn round(&mut self, which: &str, batches: u64) -> Fallible<Duration> {
        writeln!(self.stdin, "{which} {batches}")?;
        self.stdin.flush()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(Duration::from_secs_f64(line.trim().parse()?))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = writeln!(self.stdin, "end 0");
        let _ = self.stdin.flush();
        let _ = self.child.wait();
    }
}
