//! What a person reads, and what a program is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slither::python::Interpreter;

use super::NAME;
use super::arrangement::{Arrangement, KINDS, Outcome};
use crate::report::{Check, Report, Section};

/// Turns what happened into the report.
pub(super) fn report(free: Option<&Interpreter>, workers: usize, outcomes: &[Outcome]) -> Report {
    let routed = &outcomes[0];
    let checks = checks(free.is_some(), workers, outcomes);
    let failed = routed.lost_for_others();
    Report {
        example: NAME,
        exit: u8::from(failed > 0 || checks.iter().any(|check| !check.ok)),
        ledger: routed.ledger.into(),
        outputs: routed.done.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        workers: outcomes.iter().map(row).collect(),
        sections: vec![decisions(free, routed), arrangements(outcomes)],
        elapsed_s: outcomes.iter().map(|outcome| outcome.elapsed.as_secs_f64()).sum(),
        checks,
        failed,
        failures: Vec::new(),
        chaos: None,
    }
}

fn checks(free: bool, workers: usize, outcomes: &[Outcome]) -> Vec<Check> {
    let routed = &outcomes[0];
    let place = |kind: &str| routed.place(kind).map_or("nowhere", |route| &*route.pool).to_owned();
    let of = |which: Arrangement| outcomes.iter().find(|outcome| outcome.arrangement == which);
    let lost = |which| of(which).map_or(0, Outcome::lost_for_others);
    vec![
        Check::equal("waiting_goes_to_threads_that_wait", "waiting", place("fetch")),
        // Threads that share a GIL are never computed in, and a single one has nothing over a process.
        Check::equal(
            "computing_goes_where_it_runs_at_once",
            if free && workers > 1 { "computing" } else { "processes" },
            place("score"),
        ),
        Check::equal("unsafe_code_goes_to_processes", "processes", place("legacy")),
        Check::equal("routed_loses_what_crashes_and_no_more", 0, lost(Arrangement::Routed)),
        Check::equal("processes_lose_what_crashes_and_no_more", 0, lost(Arrangement::Processes)),
        Check::at_least("threads_lose_what_runs_beside_a_crash", 1, lost(Arrangement::Threads)),
        Check::equal("every_item_is_accounted_for", true, outcomes.iter().all(|it| it.ledger.balanced())),
    ]
}

fn row(outcome: &Outcome) -> BTreeMap<&'static str, Value> {
    let took = outcome.took.iter().map(|(kind, took)| ((*kind).to_owned(), took.as_secs_f64().into()));
    let routes = KINDS.iter().filter_map(|(kind, _)| {
        let route = outcome.place(kind)?;
        Some(((*kind).to_owned(), json!({ "pool": &*route.pool, "because": route.reason })))
    });
    BTreeMap::from([
        ("took_s", Value::Object(took.collect())),
        ("routes", Value::Object(routes.collect())),
        ("failed", outcome.lost.values().sum::<u64>().into()),
        ("arrangement", outcome.arrangement.to_string().into()),
        ("elapsed_s", outcome.elapsed.as_secs_f64().into()),
        ("lost_beside_a_crash", outcome.lost_for_others().into()),
        ("collateral", outcome.collateral.into()),
        ("slots", outcome.slots.values().sum::<usize>().into()),
    ])
}

fn decisions(free: Option<&Interpreter>, routed: &Outcome) -> Section {
    let title = match free {
        Some(python) => {
            format!("Where the router sent what; `computing` runs on python {} without a GIL", python.version)
        }
        None => "Where the router sent what; there is no Python without a GIL here".to_owned(),
    };
    let rows = KINDS.iter().filter_map(|(kind, _)| {
        let route = routed.place(kind)?;
        let slots = routed.slots.get(&*route.pool).copied().unwrap_or(0);
        Some(vec![(*kind).to_owned(), route.pool.to_string(), slots.to_string(), route.reason.clone()])
    });
    Section::Table(title, vec!["work", "pool", "slots", "because"], rows.collect())
}

fn arrangements(outcomes: &[Outcome]) -> Section {
    let rows = outcomes.iter().map(|outcome| {
        let took = |kind: &str| outcome.took.get(kind).map_or(0.0, std::time::Duration::as_secs_f64);
        vec![
            outcome.arrangement.to_string(),
            format!("{:.2} s", outcome.elapsed.as_secs_f64()),
            format!("{:.2} s", took("fetch")),
            format!("{:.2} s", took("score")),
            format!("{:.2} s", took("legacy")),
            outcome.lost.values().sum::<u64>().to_string(),
            outcome.lost_for_others().to_string(),
        ]
    });
    let heads = vec!["", "all", "fetch", "score", "legacy", "failed", "of these beside a crash"];
    Section::Table("The same work in three arrangements".to_owned(), heads, rows.collect())
}
