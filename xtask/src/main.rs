//! The project's chores: `cargo xtask ci` is what decides whether a change may land, and `--only` runs a part
//! of it. Nothing here is shipped.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a build tool speaks to the terminal")]

mod ci;
mod events;
mod fuzz;
mod process;
mod python;
mod soak;
mod tidy;
mod tokens;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of the Slither workspace")]
struct Args {
    #[command(subcommand)]
    command: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check what compilers do not: layers, openings, sizes, bans, invariants, the events' table, links.
    Tidy,
    /// Run every check, in order, as CI does.
    Ci {
        /// Run the remaining steps after one has failed.
        #[arg(long)]
        keep_going: bool,
        /// Run these steps only.
        #[arg(long, value_name = "STEP", value_parser = ci::names())]
        only: Vec<String>,
    },
    /// Print the table of telemetry events.
    Events {
        /// Write it into the operations guide instead.
        #[arg(long)]
        write: bool,
    },
    /// Feed random bytes to the decoders, with cargo-fuzz.
    Fuzz {
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Targets; all of them when none is named.
        targets: Vec<String>,
    },
    /// Run the long tests of the promises, then an hour of mixed load under mishaps.
    Soak {
        /// How long the load runs; from 10 on memory, descriptors, threads and throughput are judged, too.
        #[arg(long, default_value_t = 60.0)]
        minutes: f64,
        /// Write the figures of the load to bench/results/soak.md.
        #[arg(long)]
        write: bool,
        /// Only the long tests.
        #[arg(long, conflicts_with = "only_load")]
        only_promises: bool,
        /// Only the load.
        #[arg(long)]
        only_load: bool,
    },
    /// Run the benchmarks, optimised.
    Bench {
        /// What `slither-bench` is given.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let root = root();
    let outcome = match Args::parse().command {
        Chore::Tidy => tidy::run(&root),
        Chore::Ci { keep_going, only } => ci::run(&root, keep_going, &only),
        Chore::Events { write } => events::run(&root, write),
        Chore::Fuzz { seconds, targets } => {
            fuzz::run(&root, Duration::from_secs(u64::from(seconds)), &targets)
        }
        Chore::Soak { minutes, write, only_promises, only_load } => {
            soak::run(&root, minutes, write, soak::Parts { promises: !only_load, load: !only_promises })
        }
        Chore::Bench { args } => {
            process::cargo(&root, &["run", "--release", "-p", "slither-bench", "--"]).args(args).run()
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder. Cargo says where this package lies when it runs it; by hand, one stands in the root.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package.as_deref().and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
