//! Printing, and the files under `bench/results/`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is where printing is done")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Fallible;

/// To stdout.
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// To stderr, while it runs.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// Why there is no result.
pub(crate) fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// To `bench/results/NAME.md`.
pub(crate) fn write(name: &str, text: &str) -> Fallible<()> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/results"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.md")), text)?;
    Ok(())
}

/// The middle of some numbers.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}
