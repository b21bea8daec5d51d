//! The Python side of CI: a virtual environment of its own, under `target/`, with tools of known versions.

use std::path::{Path, PathBuf};

use crate::process::program;

/// What is installed, each pinned to a minor version: a new lint must not break an old commit.
const TOOLS: &[&str] = &["ruff==0.14.*", "mypy==1.18.*", "pytest==8.4.*", "numpy==2.2.*", "msgspec==0.22.*"];

/// Folders with Python beside the SDK; they follow the SDK's rules.
const OTHERS: &[&str] = &["examples", "bench"];

/// Lints, formatting and types.
///
/// # Errors
/// One of them complains, or the tools cannot be installed.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let bin = tools(root)?;
    let sdk = root.join("python");
    let ruff = bin.join("ruff");
    let others = OTHERS.iter().filter(|folder| root.join(folder).is_dir());
    let others: Vec<&str> =
        ["--config", "python/pyproject.toml"].into_iter().chain(others.copied()).collect();
    program(&sdk, &ruff, &["check", "."]).run()?;
    program(&sdk, &ruff, &["format", "--check", "."]).run()?;
    program(root, &ruff, &["check"]).args(&others).run()?;
    program(root, &ruff, &["format", "--check"]).args(&others).run()?;
    // What is checked stands in pyproject.toml, so that an editor's mypy says the same.
    program(&sdk, bin.join("mypy"), &["--strict"]).run()
}

/// The folder with the tools' commands; they are installed when it is missing or was made for other pins.
fn tools(root: &Path) -> Result<PathBuf, String> {
    let venv = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // Absolute, because the tools run in other folders.
    let venv = std::path::absolute(venv.join("python-tools")).map_err(|error| error.to_string())?;
    let bin = venv.join("bin");
    let stamp = venv.join("installed.txt");
    let wanted = TOOLS.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    println!("installing {} into {}", TOOLS.join(", "), venv.display());
    let place = venv.to_string_lossy();
    program(root, "python3", &["-m", "venv", "--clear", &place]).run().map_err(|error| {
        format!("{error}; it needs Python 3.10 or newer with its venv module (Debian: python3-venv)")
    })?;
    program(root, bin.join("python"), &["-m", "pip", "install", "--quiet"]).args(TOOLS).run()?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))?;
    Ok(bin)
}
