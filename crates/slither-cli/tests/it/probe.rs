//! Promise: what threads do to a function is found out and told, and where it belongs follows from what was found.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Ended, Scratch, run, slither};

const MODULE: &str = "
import threading, time

scratch, total, lock = {}, 0, threading.Lock()

def pure(items):
    return [sum(each * n for each in range(1_000_000)) for n in items]

def planted(items):
    scratch['n'] = items[0]
    return [sum(scratch['n'] for _ in range(50))] + items[1:]

def unlocked(items):
    global total
    total += 1
    return [total] + items[1:]

def locked(items):
    with lock:
        return unlocked(items)

def waits(items):
    time.sleep(0.1)
    return items

async def awaits(items):
    import asyncio
    await asyncio.sleep(0.1)
    return items

def dies(items):
    if threading.current_thread() is not threading.main_thread():
        import os
        os.kill(os.getpid(), 11)
    return items

def half(items):
    return [1 // (each % 2) for each in items]

def single(item):
    return item * item
";

struct Bench {
    scratch: Scratch,
}

impl Bench {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.file("probed.py", MODULE);
        scratch.file("sample.jsonl", "1\n2\n\n3\n4\n5\n6\n7\n8\n");
        Self { scratch }
    }

    fn command(&self, function: &str, args: &[&str]) -> Command {
        let mut command = slither(&["probe", &format!("probed:{function}")]);
        command.arg("--sample").arg(self.scratch.path().join("sample.jsonl"));
        command.arg("--path").arg(self.scratch.path()).args(args);
        command
    }

    fn json(&self, function: &str, time: &str, args: &[&str]) -> Value {
        let ended: Ended = run(self.command(function, &[&["--json", "--time", time], args].concat()));
        assert_eq!(ended.code(), Some(0), "{ended}");
        ended.json()
    }
}

/// What was found on an interpreter with a GIL, and on one without if there is one.
fn by_gil(probed: &Value) -> (&Value, Option<&Value>) {
    let pythons = probed["pythons"].as_array().unwrap();
    let with = pythons.iter().find(|it| it["python"]["gil_enabled"] == true).unwrap();
    (with, pythons.iter().find(|it| it["python"]["gil_enabled"] == false))
}

#[test]
fn a_planted_race_is_flagged_on_each_interpreter() {
    let bench = Bench::new();
    for function in ["planted", "unlocked"] {
        let probed = bench.json(function, "4", &[]);
        for tried in probed["pythons"].as_array().unwrap() {
            assert!(tried["finding"]["race"].is_string(), "{function}: {tried}");
            assert_eq!(tried["advice"]["profile"], "processes", "{tried}");
            assert!(tried["advice"]["because"][0].as_str().unwrap().starts_with("threads spoil"), "{tried}");
        }
    }
}

#[test]
fn what_has_state_under_a_lock_is_no_race() {
    let probed = Bench::new().json("locked", "1", &[]);
    for tried in probed["pythons"].as_array().unwrap() {
        assert!(tried["finding"]["stateful"].is_string(), "{tried}");
        assert_eq!(tried["advice"]["profile"], "processes", "{tried}");
    }
}

#[test]
fn a_function_that_threads_kill_is_flagged_and_the_command_survives() {
    let probed = Bench::new().json("dies", "1", &[]);
    let (tried, _) = by_gil(&probed);
    let race = tried["finding"]["race"].as_str().unwrap();
    assert!(race.contains("SIGSEGV (signal 11)"), "{race}");
}

#[test]
fn pure_python_that_computes_belongs_into_processes_under_a_gil_and_into_threads_without() {
    let bench = Bench::new();
    let probed = bench.json("pure", "3", &[]);
    let (with, without) = by_gil(&probed);
    if let Some(without) = without {
        assert_eq!((&without["work"], &without["finding"]), (&"cpu".into(), &"same".into()), "{without}");
        assert_eq!(without["advice"]["profile"], "threads", "{without}");
    }
    assert_eq!((&with["work"], &with["finding"]), (&"cpu".into(), &"same".into()), "{with}");
    assert_eq!(with["advice"]["profile"], "processes", "{with}");
    assert!(with["measured"].as_array().unwrap().iter().all(|it| it["failed"] == 0), "{with}");
    // What was found is what the router goes by.
    let mut doctor = slither(&["doctor", "--json", "--route", "probed:pure", "--path"]);
    doctor.arg(bench.scratch.path());
    let routed = run(doctor).json();
    let verdicts = routed["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), probed["pythons"].as_array().unwrap().len(), "{routed}");
    bench.scratch.file("probed.py", format!("{MODULE}\n# changed\n"));
    let mut doctor = slither(&["doctor", "--json", "--route", "probed:pure", "--path"]);
    doctor.arg(bench.scratch.path());
    assert_eq!(run(doctor).json()["verdicts"].as_array().map(Vec::len), Some(0), "another source");
}

#[test]
fn what_waits_is_told_from_what_computes() {
    let probed = Bench::new().json("waits", "1", &["--python", "python3"]);
    let (tried, _) = by_gil(&probed);
    assert_eq!(tried["work"], "io", "{tried}");
    assert_eq!(tried["advice"]["profile"], "threads", "{tried}");
    let probed = Bench::new().json("awaits", "1", &["--python", "python3"]);
    let (tried, _) = by_gil(&probed);
    assert_eq!((&tried["work"], &tried["finding"]), (&"io".into(), &"same".into()), "{tried}");
    assert_eq!(tried["advice"]["profile"], "async", "{tried}");
}

#[test]
fn inputs_that_fail_are_named_and_a_function_that_fails_on_all_belongs_nowhere() {
    let bench = Bench::new();
    let python = ["--python", "python3", "--time", "0.3"];
    let ended = run(bench.command("half", &[&python[..], &["--json"]].concat()));
    assert_eq!(ended.code(), Some(1), "{ended}");
    let tried = &ended.json()["pythons"][0];
    assert_eq!((&tried["failing"]["items"], &tried["failing"]["item"]), (&4.into(), &1.into()), "{tried}");
    assert!(tried["failing"]["error"].as_str().unwrap().starts_with("ZeroDivisionError"), "{tried}");
    assert!(tried["measured"].as_array().unwrap().iter().all(|it| it["failed"] == 0), "{tried}");
    let ended = run(bench.command("half", &python));
    assert!(ended.stdout.contains("  fails    on 4 of 8 inputs, as item 1: ZeroDivisionError"), "{ended}");

    let ended = run(bench.command("single", &python));
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_snapshot!(ended.stderr, @r"
    error: `probed:single` fails on all 8 inputs; on item 0: TypeError: can't multiply sequence by non-int of type 'list'
      hint: it is called with a list of inputs, and returns a list of as many results
    ");
    let mut doctor = slither(&["doctor", "--json", "--route", "probed:single", "--path"]);
    doctor.arg(bench.scratch.path());
    assert_eq!(run(doctor).json()["verdicts"].as_array().map(Vec::len), Some(0), "nothing is kept of it");
}

#[test]
fn what_cannot_be_probed_is_said() {
    let bench = Bench::new();
    bench.scratch.file("sample.jsonl", "1\nno json\n");
    let paths = [(bench.scratch.path(), "DIR")];
    assert_snapshot!(run(bench.command("pure", &[])).snapshot(&paths), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/sample.jsonl:2: no JSON: expected ident, at column 2
      hint: a sample is a file of inputs, one JSON value a line, as the function gets them in its list
    ");
    bench.scratch.file("sample.jsonl", "\n");
    assert_snapshot!(run(bench.command("pure", &[])).snapshot(&paths), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the sample DIR/sample.jsonl is empty
      hint: write at least one input, better twenty, as one JSON value a line
    ");
    bench.scratch.file("sample.jsonl", "1\n");
    let missing = run(bench.command("pur", &["--python", "python3"]));
    assert_eq!(missing.code(), Some(2), "{missing}");
    assert!(missing.stderr.contains("did you mean 'pure'"), "{missing}");
    let mut command = slither(&["probe", "prbed:pure", "--python", "python3", "--path"]);
    command.arg(bench.scratch.path()).arg("--sample").arg(bench.scratch.path().join("sample.jsonl"));
    let missing = run(command);
    assert_eq!(missing.code(), Some(2), "{missing}");
    let folder = format!("searched in:\n  {}\n", bench.scratch.path().display());
    assert!(missing.stderr.contains(&folder), "{missing}");
    assert!(missing.stderr.contains("did you mean 'probed'?"), "{missing}");
}
