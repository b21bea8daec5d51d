//! `cargo xtask soak`: what takes too long for every change, and should run every night.

use std::path::Path;

use crate::process::cargo;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// The tests that are ignored otherwise, because each takes minutes.
    pub(crate) promises: bool,
    /// The mixed load.
    pub(crate) load: bool,
}

/// Runs the long tests one after the other, each with the machine to itself, then the load for so many minutes.
///
/// # Errors
/// A test failed, or the load has lost something, or something has grown.
pub(crate) fn run(root: &Path, minutes: f64, write: bool, parts: Parts) -> Result<(), String> {
    if parts.promises {
        let args = ["test", "--release", "-p", "slither", "--tests", "--"];
        cargo(root, &args).args(["--ignored", "--nocapture", "--test-threads", "1"]).run()?;
    }
    if parts.load {
        let load = cargo(root, &["run", "--release", "-p", "slither-bench", "--"]);
        let load = load.args(["soak", "--minutes", &minutes.to_string()]);
        if write { load.args(["--write"]) } else { load }.run()?;
    }
    Ok(())
}
