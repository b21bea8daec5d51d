//! Promise: the first signal finishes what is under way and reports; the second ends at once. Nobody is left.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    LIMIT, MANY, Running, Scratch, broken, descendants, gone, sentences, slow, text_analysis,
};

/// How long what should end at once may take; what is not ended goes on for much longer.
const SOON: Duration = Duration::from_secs(15);

/// A run of which some batches are done, over an input that is so long that it does not end of itself meanwhile.
fn in_the_middle(scratch: &Scratch, args: &[&str]) -> Running {
    let input = scratch.jsonl("lines.jsonl", sentences(10 * MANY));
    let mut command = text_analysis(&input, args);
    command.env("SLITHER_LOG", "slither=debug");
    let mut run = Running::start(&mut command);
    run.says("slither.dispatch.batch.stop", 20);
    run
}

fn ends_with_a_report(signal: Signal, code: i32) {
    let scratch = Scratch::new();
    let run = in_the_middle(&scratch, &["--json"]);
    let family = descendants(run.pid());
    assert!(family.len() >= 4, "{family:?}");
    run.signal(signal);
    let ended = run.end();
    assert_eq!(ended.code(), Some(code), "{}", ended.stdout);
    assert!(ended.stderr.contains("stopping: finishing what is under way; once more to end at once"));
    let report = ended.json();
    assert_eq!(report["exit"], code);
    let ledger = |name: &str| report["ledger"][name].as_u64().unwrap();
    assert!((160..10 * MANY as u64).contains(&ledger("in")), "{report}");
    assert_eq!(ledger("in"), ledger("emitted"), "what was under way was finished");
    assert_eq!(broken(&report), [&0; 0]);
    gone(&family, SOON);
}

#[test]
fn an_interrupt_ends_with_a_report() {
    ends_with_a_report(Signal::INT, 130);
}

#[test]
fn a_termination_ends_with_a_report() {
    ends_with_a_report(Signal::TERM, 143);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let scratch = Scratch::new();
    // A worker is at it for longer than the test waits.
    let input = scratch.jsonl("lines.jsonl", [slow(2_000_000), slow(2_000_000)]);
    let mut command = text_analysis(&input, &[]);
    command.env("SLITHER_LOG", "slither=debug");
    let mut run = Running::start(&mut command);
    run.says("slither.dispatch.batch.start", 1);
    let family = descendants(run.pid());
    run.signal(Signal::INT);
    run.says("stopping: finishing what is under way", 1);
    let begun = Instant::now();
    run.signal(Signal::INT);
    let ended = run.end();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(130), ""), "{ended}");
    assert!(!ended.stderr.contains("slither.dispatch.batch.stop"), "the call was not waited for");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    gone(&family, SOON);
}

#[test]
fn what_is_being_prepared_is_given_up() {
    let scratch = Scratch::new();
    // A Python that does not answer: the start would wait for it.
    let python = scratch.script("python", "echo started >&2; touch \"$0.started\"; exec sleep 600");
    let mut command = text_analysis(&scratch.file("one.txt", "One."), &[]);
    command.env("SLITHER_PYTHON", &python);
    let run = Running::start(&mut command);
    let started = scratch.path().join("python.started");
    crate::support::eventually(LIMIT, || started.exists(), || "the start did not begin".to_owned());
    run.signal(Signal::TERM);
    let begun = Instant::now();
    let ended = run.end();
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(143), ""), "{ended}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}
