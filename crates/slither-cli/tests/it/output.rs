//! Promise: the command is a good neighbour in a pipe, and a shell learns its options from it.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::{run, slither};

/// Runs a shell script in which `slither` is the built command.
fn shell(script: &str) -> crate::support::Ended {
    let template = slither(&[]);
    let mut command = Command::new("/bin/bash");
    command.args([
        "-c",
        &format!("set -o pipefail; slither() {{ {} \"$@\"; }}; {script}", env!("CARGO_BIN_EXE_slither")),
    ]);
    for (name, value) in template.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    run(command)
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    for script in [
        "slither example text_analysis | head -1",
        "slither completions bash | head -1",
        "slither --help | head -1",
        "slither example text_analysis >&-",
    ] {
        let ended = shell(script);
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{script}: {ended}");
        assert!(ended.stdout.lines().count() <= 1, "{script}: {ended}");
    }
}

#[test]
fn a_log_that_nobody_reads_is_no_error() {
    for script in [
        "SLITHER_LOG=trace slither example text_analysis 2>&1 >/dev/null | head -1 >/dev/null",
        "slither example no_such_example 2>&1 | true; [ ${PIPESTATUS[0]} = 2 ]",
        "SLITHER_LOG=debug slither example text_analysis 2>&- >/dev/null",
    ] {
        let ended = shell(script);
        assert_eq!(ended.code(), Some(0), "{script}: {ended}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let mut command = slither(&["example", "--json"]);
    command
        .stdout(Stdio::from(File::options().write(true).open("/dev/full").unwrap()))
        .stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: stdout cannot be written to: No space left"), "{said}");
}

#[test]
fn what_workers_log_is_attributed_and_read_easily() {
    let mut command = slither(&["example", "text_analysis", "--workers", "1"]);
    command.env("SLITHER_LOG", "slither=debug");
    let ended = run(command);
    let started = ended.stderr.lines().find(|line| line.contains("slither.pool.worker.ready")).unwrap();
    assert!(started.starts_with("debug: slither.pool.worker.ready duration="), "{started}");
    assert!(started.contains(" pool=") && started.contains(" worker="), "{started}");
}

#[test]
fn bash_completes_commands_and_options() {
    let complete = |line: &str| {
        let script = format!(
            "source <(slither completions bash); COMP_WORDS=({line} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _slither slither '' ''; echo \"${{COMPREPLY[@]}}\""
        );
        let ended = shell(&script);
        assert_eq!(ended.code(), Some(0), "{ended}");
        ended.stdout
    };
    assert!(
        complete("slither").contains("example baseline setup call check doctor matrix probe completions")
    );
    assert!(complete("slither example").contains("--input"));
}

#[test]
fn other_shells_have_a_script_too() {
    for (shell, holds) in [("zsh", "#compdef slither"), ("fish", "complete -c slither")] {
        let ended = run(slither(&["completions", shell]));
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains(holds) && ended.stdout.contains("workers"), "{ended}");
    }
}
