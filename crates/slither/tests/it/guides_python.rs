//! The Python of README and of the guides: it compiles, and what it asserts holds, with the SDK and without a worker.

use std::collections::BTreeSet;

use slither::python::{Environment, EnvironmentSpec};

use crate::pages::{Block, pages, root};
use crate::support::Folder;

#[test]
fn python_blocks_run_without_a_worker() {
    let pages = pages();
    let blocks: Vec<(&String, &Block)> = pages
        .iter()
        .flat_map(|(page, blocks)| blocks.iter().map(move |block| (page, block)))
        .filter(|(_, block)| block.language == "python")
        .collect();
    assert!(!blocks.is_empty(), "the pages show some Python");
    // Most blocks need nothing but the SDK, and must not come to need more without anyone noticing.
    let (plain, requiring): (Vec<_>, Vec<_>) =
        blocks.into_iter().partition(|(_, block)| block.requires.is_empty());
    run(&plain, Vec::new());
    let packages: BTreeSet<String> =
        requiring.iter().flat_map(|(_, block)| block.requires.iter().cloned()).collect();
    run(&requiring, packages.into_iter().collect());
}

/// Runs blocks where these packages are installed.
fn run(blocks: &[(&String, &Block)], requirements: Vec<String>) {
    let spec = EnvironmentSpec { python: None, requirements };
    let environment = Environment::prepare(&spec, &|_: &str| {}).unwrap_or_else(|error| panic!("{error}"));
    // The SDK of the tree, and not the one that was extracted, so that tracebacks name files that one can edit.
    let path = [root().join("python")].into_iter().chain(environment.overlay.clone());
    let path = std::env::join_paths(path).unwrap();
    for (page, block) in blocks {
        // Defining functions needs no worker; a block that calls what needs one says so behind its language.
        let program = match block.runs {
            true => block.text.clone(),
            false => format!("compile({:?}, 'block', 'exec')", block.text),
        };
        // From a file: what looks at the source of a function finds it there.
        let folder = Folder::new();
        let file = folder.path("block.py");
        std::fs::write(&file, program).unwrap();
        let done = std::process::Command::new(&environment.interpreter.executable)
            .args(["-W", "error", &file])
            .env("PYTHONPATH", &path)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        assert!(done.status.success(), "{page}:{}\n{}", block.line, String::from_utf8_lossy(&done.stderr));
    }
}
