//! What was found out: [`Probed`], as it is printed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use slither::python::Interpreter;
use slither::routing::{Finding, Work};

use super::advice::Advice;
use super::measure::Measured;

/// A function, as it was found on each interpreter.
#[derive(Debug, Serialize)]
pub(crate) struct Probed {
    /// `module:qualified.name`.
    pub(crate) function: String,
    /// How many inputs there were.
    pub(crate) sample: usize,
    /// The processors that this process may use.
    pub(crate) cores: usize,
    /// What was found on each interpreter.
    pub(crate) pythons: Vec<Tried>,
    /// Interpreters on which it could not be run, and why.
    pub(crate) failed: Vec<String>,
    /// Which of the interpreters does best as its advice says, if there are several.
    pub(crate) best: Option<usize>,
}

/// A function, as it was found on one interpreter.
#[derive(Debug, Serialize)]
pub(crate) struct Tried {
    /// The interpreter.
    pub(crate) python: Interpreter,
    /// What importing the function's module did.
    pub(crate) import: Imported,
    /// How many of the inputs there was time for.
    pub(crate) items: usize,
    /// Those on which it fails alone; pools are measured with the others.
    pub(crate) failing: Option<Failing>,
    /// What a call with one item takes, in seconds.
    pub(crate) call_seconds: f64,
    /// Of that the share that a processor was busy.
    pub(crate) cpu_share: f64,
    /// What its calls do, going by that share.
    pub(crate) work: Work,
    /// What threads did to its results.
    pub(crate) finding: Finding,
    /// How they were put to the test; not where its results were of no use for that.
    pub(crate) hunted: Option<Hunted>,
    /// What each kind of pool made of it.
    pub(crate) measured: Vec<Measured>,
    /// Where it belongs.
    pub(crate) advice: Advice,
    /// Where that is kept for the router.
    pub(crate) kept: Option<PathBuf>,
}

/// Inputs on which a function fails, whatever runs beside it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failing {
    /// How many.
    pub(crate) items: usize,
    /// The first of them, counted from 0.
    pub(crate) item: usize,
    /// How it fails there.
    pub(crate) error: String,
}

/// What importing a module did to a fresh worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Imported {
    /// How long it took.
    pub(crate) seconds: f64,
    /// By how many bytes the worker grew.
    pub(crate) memory: u64,
    /// Whether the GIL was on before.
    pub(crate) gil_before: bool,
    /// Whether it was on after.
    pub(crate) gil_after: bool,
    /// The extension module that turned it on.
    pub(crate) gil_by: Option<String>,
    /// `function`, `generator` or `coroutine`.
    pub(crate) kind: String,
}

/// Calls in threads at once, held against those alone.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hunted {
    /// How many threads.
    pub(crate) threads: usize,
    /// How many calls.
    pub(crate) calls: usize,
    /// How many had another result than alone.
    pub(crate) differing: usize,
}
