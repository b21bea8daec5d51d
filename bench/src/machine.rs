//! What was measured on, for the head of each result.

use std::fs;

use slither::python::Interpreter;

/// A line about the machine and the interpreter.
pub(crate) fn line(python: &Interpreter) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores ({model}), Linux {}, {} {}, release build of Slither {}",
        kernel.trim(),
        python.implementation,
        python.version,
        env!("CARGO_PKG_VERSION")
    )
}
