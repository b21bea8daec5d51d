//! `slither doctor --route`: where a function's calls go, and why.

use std::path::PathBuf;

use slither::python::{Environment, EnvironmentSpec, Interpreter, Matrix};
use slither::routing::{Candidate, Decision, Profile, Source, Subject, Verdicts, Work, decide};
use slither::{ConfigError, Gil, Traits};
use slither_examples::Observer;

use crate::args::Doctor;
use crate::progress::{Bars, Lines};
use crate::{End, print};

/// A pool for calls that wait has room for so many, in the absence of anything better.
const CONCURRENCY: usize = 50;

/// Explains one decision, among the pools that this machine could have.
pub(crate) fn run(function: &str, args: &Doctor) -> Result<End, ConfigError> {
    let traits: Traits = args.traits.as_deref().unwrap_or_default().parse()?;
    let bars = Bars::new();
    bars.step("looking for interpreters", None);
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Lines)?;
    let free_threaded = Interpreter::find_free_threaded()?;
    let path = folders(&args.path)?;
    let source = Source::read(&environment, &path, function)?;
    drop(bars);
    match &source.file {
        Some(_) if source.is_defined => {}
        Some(file) => print::note(&format!(
            "no `def` of `{function}` is found in {}; what is said is true of any function there",
            file.display()
        )),
        None => print::note(&format!(
            "the source of `{function}` is not found; what is said is true of any function"
        )),
    }
    let subject = Subject::of(function, &source, Matrix::builtin(), &Verdicts::locate()).with(traits);
    let pools = pools(&environment.interpreter, free_threaded.as_ref(), waits(&subject));
    let decision: Decision = decide(&subject, &pools)?;
    print::route(&decision, &subject, &source, &pools, args.json)?;
    Ok(End::Done)
}

/// The folders in which modules are looked for, the current one if none is named.
pub(crate) fn folders(named: &[PathBuf]) -> Result<Vec<PathBuf>, ConfigError> {
    let here = [PathBuf::from(".")];
    let folders = if named.is_empty() { &here } else { named };
    let absolute = |folder: &PathBuf| {
        std::path::absolute(folder)
            .ok()
            .filter(|folder| folder.is_dir())
            .ok_or_else(|| ConfigError::new(format!("{} is not a folder", folder.display())))
    };
    folders.iter().map(absolute).collect()
}

/// Whether it is said, or else was measured, that the function waits.
fn waits(subject: &Subject) -> bool {
    let measured = subject.verdicts.first().map(|verdict| verdict.work);
    subject.traits.work.or(measured) == Some(Work::Io)
}

/// A pool of each kind; threads on the interpreter that suits them best, and for calls that wait as `io_bound`.
fn pools(python: &Interpreter, free_threaded: Option<&Interpreter>, waits: bool) -> Vec<Candidate> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let gil = |python: &Interpreter| Gil::new(python.gil_enabled, python.free_threaded, None);
    let processes = Candidate {
        pool: "processes".into(),
        profile: Profile::Processes,
        gil: gil(python),
        workers: cores,
        slots: cores,
        at_once: 1,
        io_bound: false,
        failing: false,
    };
    let lock = gil(free_threaded.unwrap_or(python));
    let (slots, at_once) = match (waits, lock.on) {
        (true, _) => (CONCURRENCY, CONCURRENCY),
        (false, true) => (1, cores.max(2)),
        (false, false) => (cores, cores.max(2)),
    };
    let threads = Candidate {
        pool: "threads".into(),
        profile: Profile::Threads,
        gil: lock,
        workers: 1,
        slots,
        at_once,
        io_bound: waits,
        ..processes.clone()
    };
    let coroutines = Candidate {
        pool: "coroutines".into(),
        profile: Profile::Async,
        workers: 1,
        slots: CONCURRENCY,
        at_once: CONCURRENCY,
        ..processes.clone()
    };
    vec![processes, threads, coroutines]
}
