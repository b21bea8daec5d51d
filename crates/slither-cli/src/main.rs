//! The `slither` command: what was typed ([`args`]) becomes a command ([`commands`]); all printing is in
//! [`mod@print`]; the exit code is decided here, once.

mod args;
mod commands;
mod log;
mod print;
mod probe;
mod progress;
mod signals;
mod text;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use signals::Interrupt;
use slither::ConfigError;

/// How a command ended that could run.
#[derive(Clone, Copy)]
enum End {
    /// It did what was asked.
    Done,
    /// It ran, and items failed or a check did not hold.
    ItemsFailed,
    /// It could not do what was asked, and has said why.
    CouldNotRun,
    /// A signal ended it.
    Interrupted(Interrupt),
}

impl End {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::ItemsFailed => 1,
            Self::CouldNotRun => COULD_NOT_RUN,
            Self::Interrupted(Interrupt::Terminal) => 130,
            Self::Interrupted(Interrupt::Terminated) => 143,
        }
    }
}

/// The exit code of a command that could not run.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    // Help, version and misuse end inside: clap prints them, with code 0 or 2.
    let args = Args::parse();
    let code = run(args).map_or_else(
        |error| {
            print::error(&error);
            COULD_NOT_RUN
        },
        End::code,
    );
    ExitCode::from(code)
}

fn run(args: Args) -> Result<End, ConfigError> {
    log::start(match &args.command {
        Command::Example(example) if example.means_failures() => log::Told::Meant,
        Command::Call(_) => log::Told::Already,
        _ => log::Told::News,
    })?;
    match args.command {
        Command::Example(example) => commands::example::run(example),
        Command::Baseline(baseline) => commands::baseline::run(baseline),
        Command::Setup(setup) => commands::setup::run(setup),
        Command::Call(call) => commands::call::run(call),
        Command::Check(check) => commands::check::run(&check),
        Command::Doctor(doctor) => commands::doctor::run(&doctor),
        Command::Matrix(matrix) => commands::matrix::run(&matrix),
        Command::Probe(probe) => commands::probe::run(probe),
        Command::Completions { shell } => commands::completions::run(shell),
    }
}
