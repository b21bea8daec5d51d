//! Promise: without a Python that will do nothing starts, and it is said what was found and what to do.

use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use crate::support::{Scratch, run, slither};

/// A Python of this machine that has no msgspec, and an empty cache: `example text_analysis` in them.
fn bare(scratch: &Scratch) -> Command {
    let venv = scratch.path().join("venv");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&venv).status().unwrap();
    assert!(made.success());
    let mut command = slither(&["example", "text_analysis"]);
    command
        .env("SLITHER_PYTHON", venv.join("bin/python"))
        .env("SLITHER_CACHE_DIR", scratch.path().join("cache"));
    command
}

#[test]
fn a_python_that_is_too_old() {
    let scratch = Scratch::new();
    let mut command = slither(&["example", "text_analysis"]);
    command.env("SLITHER_PYTHON", scratch.python("3.9.18")).env("PATH", scratch.path());
    assert_snapshot!(run(command).snapshot(&[(scratch.path(), "DIR")]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: python 3.9.18 at DIR/python is too old: slither needs 3.10 or newer (SLITHER_PYTHON names it)
      hint: run `uv python install 3.12` and set SLITHER_PYTHON=$(uv python find 3.12), or set SLITHER_PYTHON to one that you have
    ");
}

#[test]
fn a_python_that_is_none() {
    let scratch = Scratch::new();
    let mut command = slither(&["example", "text_analysis"]);
    command.env("SLITHER_PYTHON", scratch.path().join("python"));
    assert_snapshot!(run(command).snapshot(&[(scratch.path(), "DIR")]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SLITHER_PYTHON names DIR/python as the python to use, but: there is no such file
      hint: give the path of a python 3.10 or newer, or unset it; while SLITHER_PYTHON is set, no other python is tried
    ");
}

#[test]
fn no_network_and_no_msgspec() {
    let scratch = Scratch::new();
    let mut command = bare(&scratch);
    command.env("SLITHER_OFFLINE", "1");
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{ended}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(lines[0].starts_with("error: python 3."), "{ended}");
    assert!(lines[0].ends_with("lacks msgspec>=0.18.6, and SLITHER_OFFLINE is set"), "{ended}");
    assert_eq!(
        lines[1..],
        [
            "  hint: run `slither setup` while online, install msgspec into that python, or set SLITHER_PYTHON to one that has it"
        ]
    );
}

#[test]
fn an_index_that_does_not_answer_and_no_msgspec() {
    let scratch = Scratch::new();
    let mut command = bare(&scratch);
    // Nothing listens on the port "discard". What uv has cached elsewhere must not help either.
    for index in ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"] {
        command.env(index, "http://127.0.0.1:9/");
    }
    command
        .env("UV_CACHE_DIR", scratch.path().join("uv-cache"))
        .env("UV_HTTP_RETRIES", "0")
        .env("PIP_RETRIES", "0")
        .env("PIP_NO_CACHE_DIR", "1");
    for elsewhere in ["PIP_FIND_LINKS", "UV_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"] {
        command.env_remove(elsewhere);
    }
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{ended}");
    assert!(ended.stderr.contains("msgspec"), "{ended}");
    assert!(ended.stderr.contains("  hint: run `slither setup` while online"), "{ended}");
}

#[test]
fn setup_provides_once_and_then_needs_no_network() {
    let first = run(slither(&["setup", "text_analysis"]));
    assert_eq!(first.code(), Some(0), "{first}");
    assert!(first.stdout.starts_with("ready: python 3."), "{first}");
    let mut command = slither(&["setup"]);
    command.env("SLITHER_OFFLINE", "1");
    let second = run(command);
    assert_eq!((second.code(), second.stderr.as_str()), (Some(0), ""), "{second}");
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn doctor_finds_what_runs_use() {
    let ended = run(slither(&["doctor", "--json"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended}");
    let found = ended.json();
    let keys: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "cache",
        "candidates",
        "cores",
        "free_threaded",
        "interpreter",
        "offline",
        "overlay",
        "problems",
        "uv",
        "version",
    ];
    assert_eq!(keys, expected);
    assert!(found["interpreter"]["version"].as_str().unwrap().starts_with("3."));
    assert_eq!(found["cache"]["writable"], true);
    assert!(found["cores"].as_u64() >= Some(1));
    let read = run(slither(&["doctor"]));
    assert!(read.stdout.contains("\nuses python 3."), "{read}");
    assert!(!read.stdout.contains('\u{1b}'), "{read}");
}

#[test]
fn doctor_says_what_mends_it() {
    let scratch = Scratch::new();
    let mut command = slither(&["doctor"]);
    command
        .env("SLITHER_PYTHON", scratch.python("3.9.18"))
        .env("SLITHER_CACHE_DIR", scratch.path().join("cache"))
        .env("PATH", "/nowhere")
        .env("HOME", scratch.path())
        .env_remove("VIRTUAL_ENV")
        .env_remove("XDG_DATA_HOME")
        .env_remove("UV_PYTHON_INSTALL_DIR")
        .env_remove("SLITHER_FREE_THREADED_PYTHON")
        .env_remove("SLITHER_OFFLINE");
    let ended = run(command).snapshot(&[(scratch.path(), "DIR")]);
    // The number of processors is the machine's, and the width of a column that of the folder's name.
    let lines = ended.lines().map(|line| match line.split_once(", ") {
        Some((version, _)) if line.ends_with("core") || line.ends_with("cores") => {
            format!("{version}, N cores")
        }
        _ => line.split_whitespace().collect::<Vec<_>>().join(" "),
    });
    let ended = lines.collect::<Vec<_>>().join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    assert_snapshot!(ended, @r"
    exit code: 1
    ----- stdout -----
    slither VERSION, N cores
    finds no Python to use
    finds no free-threaded Python, for baselines and probes without a GIL: uv python install 3.14t

    Interpreters
    path version build msgspec remark
    DIR/python 3.9.18 GIL is too old: slither needs 3.10 or newer

    Packages
    uv is not here; it is fetched when it is first needed
    cache at DIR/cache, 0 B

    Problems
    • python 3.9.18 at DIR/python is too old: slither needs 3.10 or newer (SLITHER_PYTHON names it)
    mend: uv python install 3.12 && export SLITHER_PYTHON=$(uv python find 3.12)
    ----- stderr -----
    ");
}

#[test]
fn the_cache_is_not_in_the_project() {
    let scratch = Scratch::new();
    let mut command = slither(&["doctor", "--json"]);
    command.env_remove("SLITHER_CACHE_DIR").env_remove("XDG_CACHE_HOME").env("HOME", scratch.path());
    let cache = run(command).json()["cache"]["path"].as_str().unwrap().to_owned();
    assert_eq!(Path::new(&cache), scratch.path().join(".cache/slither"));
}
