//! What goes wrong, and what it may cost. Each file holds one promise.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]
#![allow(clippy::print_stdout, reason = "what was measured is shown with --nocapture")]

mod crash;
mod deadline;
mod host;
mod matrix;
mod memory;
mod nursery;
mod offspring;
mod output;
mod protocol;
mod replies;
mod restart;
mod schedule;
mod security;
mod shutdown;
mod stories;
mod storm;
mod withheld;

use std::collections::HashSet;
use std::process::Command;

use slither::{RestartBudget, Slither};

/// Set in a process that was started to run one test alone.
const ALONE: &str = "SLITHER_TEST_ALONE";

/// Runs a test in a process of its own, because it counts what belongs to the process. True in that process.
fn alone(test: &str) -> bool {
    alone_at(&format!("faults::{test}"))
}

/// [`alone`] for a test by its whole path.
pub(crate) fn alone_at(test: &str) -> bool {
    if std::env::var(ALONE).is_ok() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
    false
}

/// A runtime whose idle threads end at once, so that threads can be counted.
fn counting_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(std::time::Duration::from_millis(10))
        .enable_all()
        .build()
        .unwrap()
}

/// A budget that no test can spend.
fn unlimited() -> RestartBudget {
    // Deaths are forgiven at once, so that none makes the next replacement wait longer.
    let instant = std::time::Duration::from_millis(1);
    RestartBudget { deaths: 1_000_000, period: instant, backoff: instant }
}

pub(crate) fn pids(slither: &Slither) -> HashSet<u32> {
    slither.stats("default").unwrap().workers.iter().map(|worker| worker.1).collect()
}

pub(crate) fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}

fn field(pid: u32, at: usize) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(at)?.parse().ok()
}

fn parent(pid: u32) -> u32 {
    field(pid, 1).unwrap()
}

/// Processes of this one that are no zombies.
fn children() -> usize {
    let me = std::process::id();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| field(*pid, 1) == Some(me) && crate::support::alive(*pid))
        .count()
}

/// Open descriptors and threads of this process.
fn holdings() -> (usize, usize) {
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}
