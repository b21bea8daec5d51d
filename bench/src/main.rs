//! Slither beside its peers: one run, one machine, in turn, as ratios of medians.

mod echo;
mod endless;
mod hops;
mod machine;
mod memory;
mod raw;
mod recovery;
mod soak;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Benchmarks of Slither. Without a subcommand, all of them but the soak.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    bench: Option<Bench>,
    /// Write the tables to bench/results/ as well.
    #[arg(long, global = true)]
    write: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Bench {
    /// Batches of 64 small ints through 2 workers, beside pools of Python's own and a bare loop.
    Echo {
        /// Batches a round.
        #[arg(long, default_value_t = 20_000)]
        batches: u64,
        /// Rounds; the contenders take turns in each.
        #[arg(long, default_value_t = 7)]
        rounds: usize,
    },
    /// A minute of an endless input: the first result, memory, and how long a cancel takes.
    Endless {
        /// Seconds for each pipe.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// What a hop between the stages of a pipe costs.
    Hops {
        /// Rounds.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The host's peak memory for 50,000 and 1,000,000 short documents.
    Memory,
    /// From a kill to the first good result of the replacement, also with scikit-learn preloaded.
    Recovery {
        /// Workers killed in each pool.
        #[arg(long, default_value_t = 200)]
        kills: usize,
    },
    /// A mixed load under mishaps for an hour: nothing is lost, and nothing grows.
    Soak {
        /// How long; from 10 on memory, descriptors, threads and throughput are judged, too.
        #[arg(long, default_value_t = 60.0)]
        minutes: f64,
    },
    /// One run of the memory benchmark, in a process of its own.
    #[command(hide = true)]
    MemoryRun {
        /// Documents.
        documents: u64,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let all = [
        Bench::Echo { batches: 20_000, rounds: 7 },
        Bench::Memory,
        Bench::Endless { seconds: 60 },
        Bench::Hops { rounds: 5 },
        Bench::Recovery { kills: 200 },
    ];
    let chosen = args.bench.map_or_else(|| all.to_vec(), |bench| vec![bench]);
    let mut broken = false;
    for bench in chosen {
        let page = match run(bench) {
            Ok(page) => page,
            Err(error) => return table::fail(&*error),
        };
        let Some(Page { name, text, bars_hold }) = page else { continue };
        table::print(&text);
        if args.write
            && let Err(error) = table::write(name, &text)
        {
            return table::fail(&*error);
        }
        broken |= !bars_hold;
    }
    if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What a benchmark has to show, for `bench/results/NAME.md`.
struct Page {
    name: &'static str,
    text: String,
    /// Whether it has shown what it must; a benchmark that only measures always has.
    bars_hold: bool,
}

fn run(bench: Bench) -> Fallible<Option<Page>> {
    let page = |name, text| Some(Page { name, text, bars_hold: true });
    Ok(match bench {
        Bench::Echo { batches, rounds } => page("echo", echo::run(batches, rounds)?),
        Bench::Endless { seconds } => page("endless", endless::run(seconds)?),
        Bench::Hops { rounds } => page("hops", hops::run(rounds)?),
        Bench::Memory => page("memory", memory::run()?),
        Bench::MemoryRun { documents } => {
            memory::once(documents)?;
            None
        }
        Bench::Recovery { kills } => Some(recovery::run(kills)?),
        Bench::Soak { minutes } => Some(soak::run(minutes)?),
    })
}

/// Any error; the benchmark ends with its text.
type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The folder of the benchmark's Python.
fn python_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/python"))
}
