//! What a person reads, and what a program is given.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use slither::Ledger;
use slither::python::Interpreter;

use super::NAME;
use super::evidence::Evidence;
use crate::report::{Check, Report, Section};

/// So many times the memory is what one process has to save at least, of the eight it could save.
const SAVES: u64 = 4;

/// Turns the evidence into the report; processes come first.
pub(super) fn report(
    free: Option<&Interpreter>,
    at_once: usize,
    evidence: &[Evidence],
    elapsed: Duration,
) -> Report {
    let checks = checks(at_once, evidence);
    let ledger: Ledger = evidence.iter().flat_map(|it| [it.crash.ledger, it.recycling.ledger]).sum();
    Report {
        example: NAME,
        exit: u8::from(checks.iter().any(|check| !check.ok)),
        ledger: ledger.into(),
        outputs: BTreeMap::from([("default".to_owned(), ledger.emitted)]),
        workers: evidence.iter().map(row).collect(),
        sections: sections(free, at_once, evidence),
        elapsed_s: elapsed.as_secs_f64(),
        checks,
        failed: 0,
        failures: Vec::new(),
        chaos: None,
    }
}

fn checks(at_once: usize, evidence: &[Evidence]) -> Vec<Check> {
    let (processes, threads) = (&evidence[0], &evidence[1]);
    let both = |is_so: fn(&Evidence) -> bool| evidence.iter().all(is_so);
    let saved = processes.memory.resident / threads.memory.resident.max(1);
    vec![
        Check::equal("a_crash_among_processes_costs_its_own_call", 1, processes.crash.ledger.failed),
        Check::at_least(
            "a_crash_among_threads_takes_calls_beside_it_along",
            // A single thread has none.
            u64::from(at_once > 1),
            threads.crash.ledger.failed.saturating_sub(1),
        ),
        Check::equal("both_recover", true, both(|it| it.crash.recovery.is_some())),
        Check::equal("both_recycle_workers", true, both(|it| it.recycling.recycled > 0)),
        Check::equal(
            "recycling_loses_nothing",
            0,
            evidence.iter().map(|it| it.recycling.ledger.failed).sum::<u64>(),
        ),
        Check::equal(
            "ended_sessions_are_cleaned_up",
            true,
            both(|it| it.sessions.cleaned == it.sessions.opened),
        ),
        Check::equal(
            "each_session_of_a_dead_worker_is_told_and_no_other",
            true,
            both(|it| it.sessions.told > 0 && it.sessions.told + it.sessions.untouched == it.sessions.opened),
        ),
        Check::at_least("threads_hold_the_model_once", SAVES, saved),
        Check::equal(
            "every_item_is_accounted_for",
            true,
            both(|it| it.crash.ledger.balanced() && it.recycling.ledger.balanced()),
        ),
    ]
}

fn row(evidence: &Evidence) -> BTreeMap<&'static str, Value> {
    let Evidence { domain, crash, recycling, sessions, memory } = evidence;
    BTreeMap::from([
        ("domain", domain.to_string().into()),
        ("failed", crash.ledger.failed.into()),
        ("collateral", crash.collateral.into()),
        ("recovery_s", crash.recovery.map(|took| took.as_secs_f64()).into()),
        ("recycled", recycling.recycled.into()),
        ("sessions_cleaned", sessions.cleaned.into()),
        ("sessions_lost", sessions.told.into()),
        ("model_mib", memory.model.into()),
        ("resident_mib", memory.resident.into()),
    ])
}

fn sections(free: Option<&Interpreter>, at_once: usize, evidence: &[Evidence]) -> Vec<Section> {
    let python = match free {
        Some(python) => format!("python {} without a GIL", python.version),
        None => "a Python with a GIL, and calls that wait".to_owned(),
    };
    let title = format!("One crash among 200 calls of 10 ms, {at_once} at once, on {python}");
    let crash = evidence.iter().map(|it| {
        let recovery =
            it.crash.recovery.map_or_else(|| "never".to_owned(), |took| format!("{} ms", took.as_millis()));
        vec![
            it.domain.to_string(),
            it.crash.ledger.failed.to_string(),
            it.crash.collateral.to_string(),
            recovery,
        ]
    });
    let lives = evidence.iter().map(|it| {
        let Evidence { domain, recycling, sessions, .. } = it;
        vec![
            domain.to_string(),
            recycling.recycled.to_string(),
            recycling.ledger.failed.to_string(),
            format!("{} of {}", sessions.cleaned, sessions.opened),
            format!("{} of {}", sessions.told, sessions.opened),
        ]
    });
    let memory = evidence.iter().map(|it| {
        let memory = &it.memory;
        vec![it.domain.to_string(), memory.workers.to_string(), format!("{} MiB", memory.resident)]
    });
    let model = evidence.first().map_or(0, |it| it.memory.model);
    vec![
        Section::Table(
            title,
            vec!["", "calls lost", "of these not to blame", "until all runs again"],
            crash.collect(),
        ),
        Section::Table(
            "Workers replaced under load, and sessions".to_owned(),
            vec!["", "recycled", "calls lost", "ended and cleaned up", "lost with a worker, and told"],
            lives.collect(),
        ),
        Section::Table(
            format!("A model of {model} MiB, for eight calls at once"),
            vec!["", "processes", "memory"],
            memory.collect(),
        ),
    ]
}
