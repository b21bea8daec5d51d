//! Promise: a worker that runs several calls at once keeps each to its own deadline, says whose work went with it when
//! it dies, and runs no more of them than its interpreter can.

mod coroutines;
pub(crate) mod extension;
pub(crate) mod gil;
mod threads;

use std::path::{Path, PathBuf};
use std::time::Duration;

use slither::python::Interpreter;
use slither::store::{Scope, Tables, ViewContext, ViewError};
use slither::{Call, Pool, PoolStats, Slither, Store, View};

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

/// The interpreter without a GIL; none only where nobody has promised that it is there.
#[expect(clippy::print_stderr, reason = "what was left out, and why, is for whoever runs the tests")]
pub(crate) fn free_threaded() -> Option<PathBuf> {
    let found = Interpreter::find_free_threaded().unwrap();
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI has to have a free-threaded python");
    if found.is_none() {
        eprintln!("no free-threaded python: threads that run at once were not tested");
    }
    found.map(|interpreter| interpreter.executable)
}

/// A pool of threads in that interpreter.
fn threads(python: &Path, workers: usize, threads: usize) -> Pool {
    Pool::threads("default").size(workers).threads_per_worker(threads).python(python).python_path(PYTHON)
}

fn coroutines(workers: usize, calls: usize) -> Pool {
    Pool::coroutines("default").size(workers).concurrency(calls).python_path(PYTHON)
}

/// A call of the test module.
fn several<I>(function: &str) -> Call<I> {
    Call::new(format!("several:{function}"))
}

fn stats(slither: &Slither) -> PoolStats {
    slither.stats("default").unwrap()
}

/// A store with one view.
#[derive(Debug)]
struct Squares;

#[derive(serde::Deserialize)]
struct Number {
    number: u64,
}

impl Store for Squares {
    fn tables(&self) -> Tables {
        Tables::new()
    }

    fn views(&self) -> Vec<View> {
        let square = |Number { number }: Number, _: &ViewContext| Ok::<u64, ViewError>(number * number);
        // Ample, since the machine may be busy.
        vec![View::scalar("square", square).scope(Scope::Global).timeout(Duration::from_secs(60))]
    }
}
