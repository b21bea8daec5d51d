//! The Python suites run with the Rust ones, so that one command tests the project.

use std::path::PathBuf;
use std::process::Command;

use slither::python::{Environment, EnvironmentSpec, Interpreter};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap()
}

/// Runs pytest over a folder, in an environment that Slither itself provides.
fn pytest(folder: &str, path: &[&str]) {
    let requirements = ["pytest>=8,<9", "numpy>=1.26", "Pillow>=10", "scikit-learn>=1.3"];
    pytest_with(None, &requirements, folder, path);
}

/// The same with an interpreter that is named, and with other packages.
#[expect(clippy::print_stderr, reason = "what was left out, and why, is for whoever runs the tests")]
fn pytest_with(python: Option<PathBuf>, requirements: &[&str], folder: &str, path: &[&str]) {
    let requirements = requirements.iter().map(|each| (*each).to_owned()).collect();
    let spec = EnvironmentSpec { python, requirements };
    let environment = Environment::prepare(&spec, &|_: &str| {}).unwrap_or_else(|error| panic!("{error}"));
    let own = path.iter().map(|folder| root().join(folder));
    let python_path = std::env::join_paths(own.chain(environment.overlay.clone())).unwrap();
    let output = Command::new(&environment.interpreter.executable)
        .args(["-m", "pytest", "-p", "no:cacheprovider", "-rs", folder])
        .current_dir(root())
        .env("PYTHONPATH", python_path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter(|line| line.starts_with("SKIPPED")) {
        eprintln!("{folder}: {line}");
    }
    // A suite that collects nothing has tested nothing.
    assert!(text.contains(" passed"), "{text}");
}

#[test]
fn the_sdk_passes_its_tests() {
    pytest_with(None, &["pytest>=8,<9", "numpy>=1.26", "pandas>=2"], "python/tests", &["python"]);
}

#[test]
fn the_sdk_passes_its_tests_where_threads_race() {
    // With a GIL the suite above runs the same tests; here the threads of a worker and the kit's races are real.
    let Some(python) = Interpreter::find_free_threaded().unwrap() else {
        eprintln!("no free-threaded python: the races of the sdk and its kit were not run");
        return;
    };
    pytest_with(Some(python.executable), &["pytest>=8,<9", "numpy>=2.3"], "python/tests", &["python"]);
}

#[test]
fn the_examples_pass_theirs() {
    pytest("examples/text_analysis/tests", &["python", "examples/text_analysis/python"]);
    pytest("examples/baseline/tests", &["python", "examples/baseline/python"]);
    pytest("examples/batch_stats/tests", &["python", "examples/batch_stats/python"]);
    pytest("examples/data_etl/tests", &["python", "examples/data_etl/python"]);
    pytest("examples/ml_scoring/tests", &["python", "examples/ml_scoring/python"]);
    pytest("examples/image_pipeline/tests", &["python", "examples/image_pipeline/python"]);
}
