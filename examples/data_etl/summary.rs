//! What a person reads, and what a program is given.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::NAME;
use super::checks::checks;
use super::contention::Way;
use super::evidence::{Account, Evidence, Run};
use super::flow::Record;
use crate::report::{Report, Section, exit_code};

/// Turns the evidence into the report.
pub(super) fn report(workers: usize, users: bool, mut evidence: Evidence) -> Report {
    let checks = checks(workers, &evidence);
    Report {
        example: NAME,
        exit: exit_code(&checks, &evidence.failures, evidence.end.as_deref()),
        ledger: evidence.ledger.into(),
        outputs: evidence.outputs.clone(),
        workers: worker_rows(&evidence),
        sections: sections(users, &mut evidence),
        elapsed_s: evidence.runs.values().map(|run| run.elapsed.as_secs_f64()).sum(),
        checks,
        failed: evidence.failures.count,
        chaos: evidence.chaos,
        failures: evidence.failures.named,
    }
}

fn worker_rows(evidence: &Evidence) -> Vec<BTreeMap<&'static str, Value>> {
    let living = evidence.accounts.iter().map(|account| {
        BTreeMap::from([
            ("pid", account.pid.into()),
            ("batches", account.batches.into()),
            ("validations", account.validations.into()),
            ("audit_log", account.audit_log.len().into()),
            ("versions", versions(account).len().into()),
            ("valid", valid(account).into()),
        ])
    });
    let lost = evidence
        .lost
        .iter()
        .map(|lost| BTreeMap::from([("pid", json!(lost.pid)), ("lost", json!(lost.reason))]));
    living.chain(lost).collect()
}

fn versions(account: &Account) -> BTreeSet<u64> {
    account.audit_log.iter().map(|entry| entry.version).collect()
}

fn valid(account: &Account) -> usize {
    account.audit_log.iter().filter(|entry| entry.valid).count()
}

fn sections(users: bool, evidence: &mut Evidence) -> Vec<Section> {
    let mut sections = vec![batches(evidence)];
    if users {
        sections.push(inferred(evidence));
    }
    sections.extend([rules(evidence), reloads(evidence)]);
    sections.extend(samples(evidence));
    sections.push(workers(evidence));
    sections.extend(evidence.failures.section());
    if !evidence.silent.is_empty() {
        sections.push(Section::Lines("Workers that did not answer".to_owned(), evidence.silent.clone()));
    }
    sections.extend(evidence.chaos.as_ref().map(|chaos| chaos.section(evidence.failures.count)));
    sections.push(pace(evidence));
    if let Some(end) = &evidence.end {
        sections.push(Section::Lines("The run ended early".to_owned(), vec![end.clone()]));
    }
    sections
}

/// A few numbers in a row, or where they begin and end.
fn span(numbers: &BTreeSet<u64>) -> String {
    match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) if first == last => format!("v{first}"),
        (Some(first), Some(last)) => format!("{} from v{first} to v{last}", numbers.len()),
        _ => "none".to_owned(),
    }
}

fn batches(evidence: &mut Evidence) -> Section {
    let row = |number: u32, schema: String, run: &Run| {
        let counts = [run.arrived(), run.valid, run.invalid].map(|count| count.to_string());
        let [rows, valid, invalid] = counts;
        vec![number.to_string(), schema, rows, valid, invalid, span(&run.seen())]
    };
    let mut rows = Vec::new();
    for number in [1, 2] {
        let schema = format!("v{number} {}", evidence.schema(number.into()).name);
        let run = evidence.run(number).clone();
        rows.push(row(number, schema, &run));
    }
    let Run { valid, no_longer, .. } = evidence.run(1);
    let title = format!(
        "Two batches, a new schema put in between: {no_longer} of {valid} rows that v1 let pass would not pass v2"
    );
    Section::Table(title, vec!["batch", "schema", "rows", "valid", "invalid", "versions seen"], rows)
}

/// What the user's file was found to keep to.
fn inferred(evidence: &mut Evidence) -> Section {
    let fields = &evidence.schema(2).fields;
    let rows = fields.iter().map(|field| {
        let required = if field.required { "yes" } else { "no" };
        vec![field.column.clone(), field.kind.word().to_owned(), required.to_owned()]
    });
    let title = "The strict schema, inferred from your file: what nine rows of ten keep to".to_owned();
    Section::Table(title, vec!["column", "kind", "required"], rows.collect())
}

/// How often each rule was broken, run by run.
fn rules(evidence: &mut Evidence) -> Section {
    let broken = [1, 2, 3].map(|run| evidence.run(run).broken.clone());
    let names: BTreeSet<_> = broken.iter().flat_map(BTreeMap::keys).cloned().collect();
    let rows = names.into_iter().map(|name| {
        let counts = broken.iter().map(|broken| broken.get(&name).copied().unwrap_or_default().to_string());
        [name.0.clone(), name.1.replace('_', " ")].into_iter().chain(counts).collect()
    });
    let title = "Rules broken, by rows".to_owned();
    Section::Table(title, vec!["column", "rule", "batch 1", "batch 2", "second act"], rows.collect())
}

fn reloads(evidence: &mut Evidence) -> Section {
    let run = evidence.run(3).clone();
    let seen = run.seen();
    let sightings = &evidence.sightings;
    let lines = vec![
        format!("{} rows, {} valid and {} invalid", run.arrived(), run.valid, run.invalid),
        format!(
            "{} schemas put and {} reloaded from their file by another task, the first before batch 2",
            evidence.ways(Way::Put),
            evidence.ways(Way::Reload)
        ),
        format!("rows were checked with {} versions, {}", seen.len(), span(&seen)),
        format!(
            "a reader took {} snapshots all the while and met {} versions; {} were empty, partial or mixed{}",
            sightings.reads,
            sightings.versions.len(),
            sightings.torn,
            sightings.first.as_ref().map(|first| format!(" ({first})")).unwrap_or_default(),
        ),
    ];
    Section::Lines("Hot reload while rows are flowing".to_owned(), lines)
}

fn samples(evidence: &mut Evidence) -> Vec<Section> {
    let mut lines = Vec::new();
    for run in [1, 2] {
        let samples = evidence.run(run).samples.get("invalid").cloned().unwrap_or_default();
        lines.extend(samples.iter().map(refused));
    }
    let mut sections = Vec::new();
    if !lines.is_empty() {
        sections.push(Section::Lines("Invalid rows, for example".to_owned(), lines));
    }
    let transformed = evidence.run(2).samples.get("default").cloned().unwrap_or_default();
    if !transformed.is_empty() {
        let lines =
            transformed.iter().map(|record| format!("line {}: {}", record.row.line, json!(record.fields)));
        sections.push(Section::Lines("Valid rows, transformed".to_owned(), lines.collect()));
    }
    sections
}

fn refused(record: &Record) -> String {
    let problems: Vec<_> = record.problems.iter().map(|problem| problem.message.as_str()).collect();
    format!("line {} under v{}: {}", record.row.line, record.version, problems.join("; "))
}

fn workers(evidence: &Evidence) -> Section {
    let mut rows: Vec<Vec<String>> = evidence
        .accounts
        .iter()
        .map(|account| {
            let counts = [account.batches, account.validations, account.audit_log.len() as u64];
            let counts = counts.iter().map(u64::to_string);
            let pid = std::iter::once(account.pid.to_string());
            pid.chain(counts).chain([span(&versions(account))]).collect()
        })
        .collect();
    for lost in &evidence.lost {
        let mut row = vec!["lost".to_owned(); 3];
        row.insert(0, lost.pid.to_string());
        row.push(lost.reason.clone());
        rows.push(row);
    }
    let title = "Workers: each keeps an audit log of its own".to_owned();
    Section::Table(title, vec!["pid", "batches", "validations", "audit log", "versions"], rows)
}

fn pace(evidence: &mut Evidence) -> Section {
    let run = evidence.run(3);
    let (seconds, rows) = (run.elapsed.as_secs_f64(), run.arrived());
    let per_second = if seconds > 0.0 { rows as f64 / seconds } else { 0.0 };
    let mut lines = vec![format!("second act: {seconds:.3} s; {per_second:.0} rows a second")];
    let uncast: u64 = evidence.runs.values().map(|run| run.uncast).sum();
    if uncast > 0 {
        lines.push(format!("{uncast} cells of valid rows could not be cast and stayed text"));
    }
    Section::Lines("Pace".to_owned(), lines)
}
