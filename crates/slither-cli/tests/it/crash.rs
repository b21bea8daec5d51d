//! Promise: a worker that is killed costs its own batch and nothing else; a killed host leaves nobody behind.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    LIMIT, MANY, Process, Running, Scratch, broken, children, descendants, eventually, gone, send, sentences,
    slow, text_analysis,
};

/// Words on which a worker works for far longer than any test looks at it; those that have them do not live to finish.
const LONG: u32 = 2_000_000;

/// Short documents, and one in the middle on which a worker works for long.
fn with_a_slow_one(scratch: &Scratch) -> std::path::PathBuf {
    let half = MANY / 2;
    let texts = sentences(half).chain([slow(LONG)]).chain(sentences(MANY - half - 1));
    scratch.jsonl("lines.jsonl", texts)
}

/// The workers of the pool that has two of them; none as long as they are not all there.
fn workers(host: u32) -> Vec<Process> {
    let nurseries = children(host);
    nurseries
        .into_iter()
        .map(|nursery| children(nursery.pid))
        .find(|workers| workers.len() == 2)
        .unwrap_or_default()
}

/// The worker that has worked for half a second of processor time while the other did nothing: the other waits,
/// because no more may be under way before the slow document is done. And that other one.
fn busy_with_the_slow_one(host: u32) -> [u32; 2] {
    let mut found = None;
    let mut since: Vec<Process> = Vec::new();
    eventually(
        LIMIT,
        || {
            let now = workers(host);
            let used = |process: &Process| {
                let before = since.iter().find(|before| before.pid == process.pid)?;
                Some(process.used - before.used)
            };
            let mut used: Vec<_> = now.iter().map(|process| (used(process), process.pid)).collect();
            used.sort_unstable();
            match used.as_slice() {
                [(Some(0 | 1), idle), (Some(50..), busy)] => found = Some([*busy, *idle]),
                [(Some(0 | 1), _), (Some(_), _)] => {}
                // Both work, or are not the same as before: begin anew.
                _ => since = now,
            }
            found.is_some()
        },
        || "no worker was seen to work alone".to_owned(),
    );
    found.unwrap()
}

#[test]
fn a_killed_worker_costs_its_batch_and_is_replaced() {
    let scratch = Scratch::new();
    let input = with_a_slow_one(&scratch);
    let mut command = text_analysis(&input, &["--json", "--workers", "2"]);
    command.env("SLITHER_LOG", "slither=debug");
    let mut run = Running::start(&mut command);
    let [victim, survivor] = busy_with_the_slow_one(run.pid());
    // The other one, which waits, is held up until the replacement has done a batch: it could do all that is left.
    send(survivor, Signal::STOP);
    send(victim, Signal::KILL);
    run.says("slither.dispatch.batch.exception", 1);
    run.says("slither.dispatch.batch.stop", 1);
    let mut replacements = Vec::new();
    eventually(
        LIMIT,
        || {
            replacements = workers(run.pid());
            !replacements.is_empty() && replacements.iter().all(|worker| worker.pid != victim)
        },
        || "the worker was not replaced".to_owned(),
    );
    send(survivor, Signal::CONT);

    let ended = run.end();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("was killed by SIGKILL (signal 9)"), "{}", ended.stderr);
    let report = ended.json();
    assert_eq!(report["exit"], 1);
    let ledger = |name: &str| report["ledger"][name].as_u64().unwrap();
    assert_eq!(report["ledger"]["balanced"], true);
    assert_eq!(ledger("in"), MANY as u64);
    assert_eq!((ledger("failed"), ledger("emitted")), (8, MANY as u64 - 8), "the batch, and only that");
    // The dead take their counts along; what the living counted is all there and right.
    assert_eq!(broken(&report), [&Value::Null; 0]);

    let failures = report["failures"].as_array().unwrap();
    let slow_one = MANY as u64 / 2;
    let first = slow_one - slow_one % 8;
    let named: Vec<_> =
        failures.iter().map(|failure| (failure["item"].clone(), failure["name"].clone())).collect();
    let expected: Vec<_> = (first..first + 8)
        .map(|number| (Value::from(number), Value::from(format!("lines.jsonl:{}", number + 1))))
        .collect();
    assert_eq!(named, expected);
    for failure in failures {
        assert_eq!((&failure["kind"], &failure["stage"]), (&"crash".into(), &"analyze".into()));
        assert!(failure["worker"].as_str().unwrap().starts_with("analysis/"), "{failure}");
        assert_eq!(failure["pid"], victim);
    }

    let workers = report["workers"].as_array().unwrap();
    let documents =
        |pid: u32| workers.iter().find(|worker| worker["pid"] == pid).unwrap()["documents"].as_u64();
    for worker in replacements {
        assert!(documents(worker.pid) > Some(0), "each worked: {workers:?}");
    }
    assert!(
        workers.iter().any(|worker| worker["pid"] == victim && worker["lost"].is_string()),
        "{workers:?}"
    );
}

#[test]
fn nobody_outlives_a_killed_host() {
    let scratch = Scratch::new();
    let input = scratch.jsonl("lines.jsonl", [slow(LONG)].into_iter().chain(sentences(1000)));
    let run = Running::start(&mut text_analysis(&input, &["--workers", "2"]));
    busy_with_the_slow_one(run.pid());
    let family = descendants(run.pid());
    assert_eq!(family.len(), 5, "two nurseries, two workers, and the one that counts again");
    run.signal(Signal::KILL);
    gone(&family, Duration::from_secs(20));
}
