//! What a person reads, and what a program is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slither::{ErrorKind, ItemError, Ledger};

use super::NAME;
use super::checks::{checks, together};
use super::evidence::{Evidence, Loss, Real, Standing};
use super::flow::{Prediction, Trained};
use super::play::Broken;
use crate::report::{Check, Failures, Report, Section, exit_code};

/// Records of which a person is shown that the models disagree.
const SHOWN: usize = 4;
/// The sessions, for people.
const LETTERS: [&str; 2] = ["A", "B"];

/// Turns the evidence into the report.
pub(super) fn report(evidence: Evidence) -> Report {
    let (checks, failures) = (checks(&evidence), evidence.failures());
    Report {
        example: NAME,
        exit: exit_code(&checks, &failures, None),
        ledger: evidence.ledger().into(),
        outputs: evidence.outputs(),
        workers: worker_rows(&evidence),
        sections: sections(&evidence, &failures),
        elapsed_s: evidence.elapsed.as_secs_f64(),
        checks,
        failed: failures.count,
        chaos: evidence.chaos,
        failures: failures.named,
    }
}

/// The report of a run that did not get to its end.
pub(super) fn broken(broken: &Broken) -> Report {
    let detail = match broken {
        Broken::Call(error) => ItemError::report(error),
        other => other.to_string(),
    };
    let checks = vec![Check::equal("played_to_the_end", "to the end", broken.to_string())];
    Report {
        example: NAME,
        exit: exit_code(&checks, &Failures::default(), Some(&detail)),
        ledger: Ledger::default().into(),
        outputs: BTreeMap::new(),
        workers: Vec::new(),
        checks,
        failed: 0,
        chaos: None,
        failures: Vec::new(),
        elapsed_s: 0.0,
        sections: vec![Section::Lines(
            "The run ended early".to_owned(),
            detail.lines().map(str::to_owned).collect(),
        )],
    }
}

/// The letter of the session with this id.
fn letter<'a>(evidence: &'a Evidence, id: &'a str) -> &'a str {
    evidence.sessions.iter().position(|session| session == id).map_or(id, |at| LETTERS[at])
}

fn worker_rows(evidence: &Evidence) -> Vec<BTreeMap<&'static str, Value>> {
    let living = evidence.accounts.iter().map(|account| {
        let models: Vec<_> = account.trained.iter().map(|(_, model)| model).collect();
        let session = account.trained.first().map(|(session, _)| letter(evidence, session));
        BTreeMap::from([
            ("pid", json!(account.pid)),
            ("session", json!(session)),
            ("models", json!(models)),
            ("predictions", json!(account.predictions)),
        ])
    });
    let lost = evidence.lost.iter().map(|lost| {
        BTreeMap::from([
            ("pid", json!(lost.pid)),
            ("lost", json!(lost.reason)),
            ("session", json!((lost.pid == evidence.loss.killed).then_some(LETTERS[0]))),
        ])
    });
    living.chain(lost).collect()
}

fn sections(evidence: &Evidence, failures: &Failures) -> Vec<Section> {
    let mut sections = vec![
        training(evidence),
        verdicts(evidence),
        features(evidence),
        death(evidence),
        real(evidence),
        workers(evidence),
    ];
    if !evidence.silent.is_empty() {
        sections.push(Section::Lines("Workers that did not answer".to_owned(), evidence.silent.clone()));
    }
    sections.extend(evidence.chaos.as_ref().map(|chaos| chaos.section(failures.count)));
    sections.extend(failures.section());
    sections
}

fn weights(trained: &Trained) -> String {
    let weights: Vec<_> =
        trained.coefficients.concat().iter().map(|weight| format!("{weight:+.2}")).collect();
    weights.join(" ")
}

fn training(evidence: &Evidence) -> Section {
    let rows = evidence.trained.iter().zip(LETTERS).map(|(trained, session)| {
        vec![
            session.to_owned(),
            trained.pid.to_string(),
            trained.model.clone(),
            trained.samples.to_string(),
            format!("{:.1} %", 100.0 * trained.validated),
            weights(trained),
            trained.fingerprint.clone(),
            format!("{:.0} ms", (trained.ended_ns - trained.began_ns) as f64 / 1e6),
        ]
    });
    let rounds = evidence.trained.iter().map(|trained| trained.rounds).max().unwrap_or_default();
    let heads = vec![
        "session",
        "pid",
        "model",
        "points",
        "validated",
        "weights of the features",
        "fingerprint",
        "took",
    ];
    Section::Table(
        format!(
            "Two sessions trained, {:.0} ms of it at the same time; {rounds} candidates each, the best was kept",
            together(evidence)
        ),
        heads,
        rows.collect(),
    )
}

fn verdicts(evidence: &Evidence) -> Section {
    let [a, b] = &evidence.scored;
    let divergent = a.divergent(b);
    let verdict = |it: &Prediction| format!("{} ({:.2})", it.label, it.probabilities[it.label.min(1)]);
    let mut rows: Vec<Vec<String>> = divergent
        .iter()
        .take(SHOWN)
        .map(|(a, b)| {
            let features = evidence.written.table.get(&a.id).map_or(&[][..], Vec::as_slice);
            let features: Vec<_> = features.iter().map(|value| format!("{value:.2}")).collect();
            vec![a.id.clone(), features.join(" "), verdict(a), verdict(b)]
        })
        .collect();
    if divergent.len() > SHOWN {
        rows.push(vec![format!("… and {} more", divergent.len() - SHOWN)]);
    }
    Section::Table(
        format!("The same {} records through both: they differ in {}", a.records, divergent.len()),
        vec!["record", "features", "A says", "B says"],
        rows,
    )
}

fn features(evidence: &Evidence) -> Section {
    let refused = &evidence.refused;
    let made: u64 = evidence.runs().iter().map(|(_, scored)| scored.featurized).sum();
    let asked: usize = evidence.runs().iter().map(|(_, scored)| scored.records).sum();
    let standing = |it: &Standing| format!("version {} of {} rows, {} bytes", it.version, it.rows, it.bytes);
    let lines = vec![
        format!(
            "of {asked} records looked up, {} had their features there; those of {made} were made",
            asked as u64 - made
        ),
        format!("{} rows in the table, and in the file that is written first", evidence.written.table.len()),
        "a write for which the disk was full half-way:".to_owned(),
        format!("  failed: {}", refused.error.as_deref().unwrap_or("it did not")),
        format!("  before: {}", standing(&refused.before)),
        format!("  after:  {}", standing(&refused.after)),
        format!("  again, on a disk with room: {}", standing(&refused.again)),
    ];
    Section::Lines("Feature store, written through".to_owned(), lines)
}

fn death(evidence: &Evidence) -> Section {
    let Loss { killed, running, queued, later, reopened, retrained, other, .. } = &evidence.loss;
    let lines = vec![
        format!("killed by SIGKILL: pid {killed}, while it trained another model for A"),
        format!("that training: {}", first_line(&running.message)),
        format!(
            "{} records and calls that waited: {}",
            queued.len(),
            kinds(queued.iter().map(|fell| fell.kind))
        ),
        format!("a call after that: {}: {}", kind(later.kind), first_line(&later.message)),
        format!(
            "reopened in pid {}, with {} models; trained again: {}",
            reopened.pid,
            reopened.models.len(),
            retrained.fingerprint
        ),
        format!(
            "B meanwhile: pid {}, {} records scored, still {}",
            other.pid,
            evidence.loss.meanwhile.predictions.len(),
            evidence.trained[1].fingerprint
        ),
    ];
    Section::Lines("The worker of session A was killed".to_owned(), lines)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn kind(found: Option<ErrorKind>) -> &'static str {
    found.map_or("answered", ErrorKind::as_str)
}

fn kinds(found: impl Iterator<Item = Option<ErrorKind>>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for kind in found {
        *counts.entry(self::kind(kind)).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    counts.join(", ")
}

fn real(evidence: &Evidence) -> Section {
    let rows = evidence.real.iter().zip(LETTERS).map(|(real, session)| {
        let Real { learnt, .. } = real;
        vec![
            learnt.trained.model.clone(),
            session.to_owned(),
            learnt.classes.join(", "),
            learnt.trained.samples.to_string(),
            learnt.labels.len().to_string(),
            format!("{} ({:.1} %)", real.correct(), 100.0 * real.accuracy()),
            format!("{:.1} %", 100.0 * real.guessing()),
        ]
    });
    let heads = vec!["data set", "session", "classes", "learnt from", "held out", "right", "by guessing"];
    Section::Table("Real data, judged on what was held out".to_owned(), heads, rows.collect())
}

fn workers(evidence: &Evidence) -> Section {
    let mut rows: Vec<Vec<String>> = evidence
        .accounts
        .iter()
        .map(|account| {
            let sessions = account.trained.first().map(|(session, _)| letter(evidence, session));
            let models: Vec<_> = account.trained.iter().map(|(_, model)| model.as_str()).collect();
            vec![
                account.pid.to_string(),
                sessions.unwrap_or("none").to_owned(),
                models.join(", "),
                account.predictions.to_string(),
            ]
        })
        .collect();
    for lost in &evidence.lost {
        let session = if lost.pid == evidence.loss.killed { LETTERS[0] } else { "none" };
        let mut row = vec![lost.pid.to_string(), session.to_owned()];
        row.extend([format!("lost: {}", lost.reason), "lost".to_owned()]);
        rows.push(row);
    }
    Section::Table(
        "Workers, by their own account".to_owned(),
        vec!["pid", "session", "trained", "predictions"],
        rows,
    )
}
