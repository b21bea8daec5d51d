//! Promise: a class is built once in each worker, its tools are called by name in every profile, a stream comes as it is made
//! and no faster than it is taken, and what an adapter may not do is said before anything is called.

mod bridge;
mod building;
mod safety;
mod streams;
mod tools;

use std::path::PathBuf;

use serde::Deserialize;
use slither::python::Interpreter;
use slither::{Pool, Slither};

use crate::support::Folder;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

/// The interpreter without a GIL; none only where nobody has promised that it is there.
#[expect(clippy::print_stderr, reason = "what was left out, and why, is for whoever runs the tests")]
fn free_threaded() -> Option<PathBuf> {
    let found = Interpreter::find_free_threaded().unwrap();
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI has to have a free-threaded python");
    if found.is_none() {
        eprintln!("no free-threaded python: adapters whose threads run at once were not tested");
    }
    found.map(|interpreter| interpreter.executable)
}

/// A pool of one worker with an adapter of `tests/python/showcase.py`.
fn with(pool: Pool, class: &str) -> Pool {
    pool.size(1).python_path(PYTHON).adapter(format!("showcase:{class}"))
}

/// Pools of every profile, by name: one call at once, or four.
fn profiles(class: &str) -> Vec<(&'static str, usize, Pool)> {
    let mut pools = vec![
        ("processes", 1, with(Pool::processes("default"), class)),
        ("threads that wait", 4, with(Pool::threads("default").threads_per_worker(4).io_bound(true), class)),
        ("coroutines", 4, with(Pool::coroutines("default").concurrency(4), class)),
    ];
    if let Some(python) = free_threaded() {
        let pool = with(Pool::threads("default").threads_per_worker(4), class).python(python);
        pools.push(("threads without a gil", 4, pool));
    }
    pools
}

async fn start(pool: Pool) -> Slither {
    Slither::builder().pool(pool).start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// The arguments of a tool that waits for others.
fn meeting(folder: &Folder, number: usize, of: usize) -> (String, String, Vec<String>) {
    let name = |number: usize| format!("caller-{number}");
    (folder.path(""), name(number), (0..of).map(name).collect())
}

#[derive(Debug, Deserialize, PartialEq)]
struct Scored {
    score: f64,
    known: bool,
    pid: u32,
}
