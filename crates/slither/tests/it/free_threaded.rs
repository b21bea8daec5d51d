//! Promise: an interpreter without a GIL is found where it is named, on PATH or with uv, and never taken for the
//! one that workers use.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use slither::python::{Env, Interpreter, Origin, diagnose_in};

use crate::support::Folder;

/// A program that answers the probe as a Python of this version would; another process writes it, so that no child
/// of another test holds it open.
fn python(path: &str, version: &str, free_threaded: bool) {
    let answer = serde_json::json!({
        "version": version, "implementation": "cpython", "executable": path, "prefix": path, "base_prefix": path,
        "base_executable": null, "free_threaded": free_threaded, "gil_enabled": !free_threaded,
        "platform": "linux-x86_64", "soabi": null, "msgspec": null, "pip": false, "pip_wheel": null,
    });
    let write = r#"mkdir -p "${1%/*}" && printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1""#;
    let status =
        Command::new("/bin/sh").args(["-c", write, "sh", path, &format!("echo '{answer}'")]).status();
    assert!(status.unwrap().success());
}

/// Variables under which only this folder is looked at.
fn env(folder: &Folder) -> Env {
    let path = format!("{}:/bin:/usr/bin", folder.path("bin"));
    let home = folder.path("home");
    let mut env =
        Env::from_variables([("PATH", path), ("HOME", home), ("UV_PYTHON_INSTALL_DIR", folder.path("uv"))]);
    // Ample, since the machine may be busy.
    env.probe_timeout = Duration::from_secs(60);
    env
}

fn found(env: &Env) -> Option<String> {
    let found = Interpreter::find_free_threaded_in(env).unwrap();
    found.map(|interpreter| interpreter.executable.display().to_string())
}

#[test]
fn the_newest_of_path_and_uv_unless_one_is_named() {
    let folder = Folder::new();
    let env = env(&folder);
    python(&folder.path("bin/python3"), "3.12.1", false);
    python(&folder.path("bin/python3.13t"), "3.13.1", true);
    assert_eq!(found(&env), Some(folder.path("bin/python3.13t")));
    let of_uv = folder.path("uv/cpython-3.14.0+freethreaded-linux/bin/python3");
    python(&of_uv, "3.14.0", true);
    python(&folder.path("uv/cpython-3.15.0-linux/bin/python3"), "3.15.0", false);
    assert_eq!(found(&env), Some(of_uv.clone()));
    assert_eq!(
        found(&env.clone().with("SLITHER_FREE_THREADED_PYTHON", "python3.13t")),
        Some(folder.path("bin/python3.13t"))
    );

    // What workers use is another question.
    assert_eq!(Interpreter::find_in(&env, None).unwrap().executable, Path::new(&folder.path("bin/python3")));
    assert_eq!(Interpreter::find_with_gil_in(&env).unwrap().version, "3.12.1");
    let diagnosis = diagnose_in(&env);
    assert_eq!(diagnosis.free_threaded.unwrap().executable, Path::new(&of_uv));
    assert!(diagnosis.candidates.iter().any(|candidate| candidate.origin == Origin::Uv));
}

#[test]
fn one_that_is_named_and_is_none_is_refused_with_the_reason() {
    let folder = Folder::new();
    python(&folder.path("bin/python3"), "3.12.1", false);
    let refused = |value: &str| {
        let env = env(&folder).with("SLITHER_FREE_THREADED_PYTHON", value);
        let error = Interpreter::find_free_threaded_in(&env).unwrap_err();
        assert!(!diagnose_in(&env).problems.is_empty());
        error.message().replace(&folder.path(""), "DIR/")
    };
    let named = |value: &str, reason: &str| {
        format!("SLITHER_FREE_THREADED_PYTHON names {value} as the python to use, but: {reason}")
    };
    assert_eq!(refused("python3"), named("python3", "it has a GIL"));
    assert_eq!(refused("no-such-python"), named("no-such-python", "there is no such program on PATH"));
    assert_eq!(refused(&folder.path("none")), named("DIR/none", "there is no such file"));
}

#[test]
fn where_there_is_none_nothing_is_missing() {
    let folder = Folder::new();
    python(&folder.path("bin/python3"), "3.12.1", false);
    // Without the system's folders: it may have one.
    let env = env(&folder).with("PATH", folder.path("bin"));
    assert_eq!(found(&env), None);
    let diagnosis = diagnose_in(&env);
    assert!(diagnosis.free_threaded.is_none());
    assert!(diagnosis.problems.iter().all(|problem| !problem.problem.contains("free-threaded")));
    assert!(Interpreter::find_with_gil_in(&env).is_some());
}
