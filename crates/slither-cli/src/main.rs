//! The `slither` command: what was typed ([`args`]) becomes a command ([`commands`]); all printing is in
//! [`print`]; the exit code is decided here, once.

mod args;
mod commands;
mod log;
mod print;
mod progress;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use signals::Interrupt;

/// How a command ended.
enum End {
    /// It did what was asked.
    Done,
    /// It ran, and items failed or a check did not hold.
    ItemsFailed,
    /// It could not run.
    CouldNotRun(slither::ConfigError),
    /// A signal ended it.
    Interrupted(Interrupt),
}

fn main() -> ExitCode {
    // Help, version and misuse end inside: clap prints them, with code 0 or 2.
    let args = Args::parse();
    log::start(&args);
    let end = match args.command {
        Command::Example(example) => commands::example::run(&example),
        Command::Setup(setup) => commands::setup::run(&setup),
        Command::Doctor(doctor) => commands::doctor::run(&doctor),
        Command::Completions { shell } => commands::completions::run(shell),
    };
    ExitCode::from(match end {
        End::Done => 0,
        End::ItemsFailed => 1,
        End::CouldNotRun(error) => {
            print::error(&error);
            2
        }
        End::Interrupted(Interrupt::Terminal) => 130,
        End::Interrupted(Interrupt::Terminated) => 143,
    })
}
