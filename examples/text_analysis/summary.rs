//! The checks, and what a person reads.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::NAME;
use super::flow::BATCH;
use super::merge::{Evidence, WordCounts, top};
use crate::report::{Check, Report, Section};

/// Words of the merged list that are shown and named in the check.
const TOP: usize = 12;

/// Turns the evidence into the report.
pub(super) fn report(workers: usize, evidence: Evidence) -> Report {
    let checks = checks(workers, &evidence);
    let sound = checks.iter().all(|check| check.ok) && evidence.failures.count == 0 && evidence.end.is_none();
    Report {
        example: NAME,
        exit: u8::from(!sound),
        ledger: evidence.ledger.into(),
        outputs: evidence.outputs.clone(),
        workers: worker_rows(&evidence),
        sections: sections(&evidence),
        elapsed_s: evidence.elapsed.as_secs_f64(),
        checks,
        failures: evidence.failures.named,
    }
}

/// What was to be proven. Nothing here looks at how the counts came about, only at whether they agree.
pub(super) fn checks(workers: usize, evidence: &Evidence) -> Vec<Check> {
    let outputs: u64 = evidence.outputs.values().sum();
    let batches = evidence.documents.div_ceil(BATCH as u64);
    let least = 2.min(workers as u64).min(batches);
    let busy: HashSet<u32> =
        evidence.accounts.iter().filter(|account| account.documents > 0).map(|account| account.pid).collect();
    let lost: HashSet<u32> = evidence.lost.iter().map(|lost| lost.pid).collect();
    let counted: u64 = evidence.accounts.iter().map(|account| account.documents).sum();
    let pulled = evidence.ledger.pulled;
    let accounted = outputs + evidence.failures.count + evidence.ledger.cancelled;
    vec![
        Check {
            name: "documents_accounted",
            expected: pulled.into(),
            actual: accounted.into(),
            // A run that nobody stopped has read the whole input.
            ok: accounted == pulled && (pulled == evidence.documents || evidence.serial.is_none()),
        },
        Check::equal("worker_counts_sum", evidence.documents_to_recount(), counted),
        merged_equals_serial(&evidence.merged, evidence.serial.as_ref()),
        Check::at_least("workers_distinct", least, (busy.len() + lost.difference(&busy).count()) as u64),
        Check::equal("ledger_balanced", true, evidence.ledger.balanced()),
    ]
}

/// The whole counts are compared; what is shown is their size and their commonest words.
fn merged_equals_serial(merged: &WordCounts, serial: Option<&WordCounts>) -> Check {
    let show = |counts: &WordCounts| -> Value {
        json!({
            "words": counts.len(),
            "occurrences": counts.values().sum::<u64>(),
            "top": top(counts, TOP),
        })
    };
    Check {
        name: "merged_equals_serial",
        expected: serial.map_or(Value::Null, show),
        actual: show(merged),
        ok: serial == Some(merged),
    }
}

fn worker_rows(evidence: &Evidence) -> Vec<BTreeMap<&'static str, Value>> {
    let living = evidence.accounts.iter().map(|account| {
        BTreeMap::from([
            ("pid", account.pid.into()),
            ("documents", account.documents.into()),
            ("words", account.words.into()),
            ("vocabulary", account.vocabulary.into()),
        ])
    });
    let lost = evidence
        .lost
        .iter()
        .map(|lost| BTreeMap::from([("pid", lost.pid.into()), ("lost", lost.reason.clone().into())]));
    living.chain(lost).collect()
}

fn sections(evidence: &Evidence) -> Vec<Section> {
    let mut sections = vec![workers(evidence)];
    if !evidence.silent.is_empty() {
        sections.push(Section::Lines("Workers that did not answer".to_owned(), evidence.silent.clone()));
    }
    sections.extend([readability(evidence), words(evidence)]);
    sections.extend(buckets(evidence));
    sections.push(pace(evidence));
    if let Some(end) = &evidence.end {
        sections.push(Section::Lines("The run ended early".to_owned(), vec![end.clone()]));
    }
    sections
}

fn workers(evidence: &Evidence) -> Section {
    let mut rows: Vec<Vec<String>> = evidence
        .accounts
        .iter()
        .map(|account| {
            [u64::from(account.pid), account.documents, account.words, account.vocabulary]
                .map(|number| number.to_string())
                .to_vec()
        })
        .collect();
    let sum = |of: fn(&super::merge::Account) -> u64| evidence.accounts.iter().map(of).sum::<u64>();
    rows.push(vec![
        "sum".to_owned(),
        sum(|account| account.documents).to_string(),
        sum(|account| account.words).to_string(),
        format!("{} merged", evidence.merged.len()),
    ]);
    for lost in &evidence.lost {
        rows.push(vec![lost.pid.to_string(), "lost".to_owned(), "lost".to_owned(), lost.reason.clone()]);
    }
    let title = format!(
        "Workers: {} of {} documents analysed, each counted by the worker that had it",
        evidence.analysed(),
        evidence.documents
    );
    Section::Table(title, vec!["pid", "documents", "words", "vocabulary"], rows)
}

fn readability(evidence: &Evidence) -> Section {
    let measures = evidence.readability.iter().filter_map(|(measure, spread)| {
        let spread = (*spread)?;
        Some(vec![
            measure.replace('_', " "),
            format!("{:.1}", spread.mean()),
            format!("{:.1}", spread.least),
            format!("{:.1}", spread.greatest),
        ])
    });
    let title = format!("Readability of {} words in {} sentences", evidence.words, evidence.sentences);
    Section::Table(title, vec!["measure", "mean", "least", "greatest"], measures.collect())
}

fn words(evidence: &Evidence) -> Section {
    let rows =
        top(&evidence.merged, TOP).into_iter().map(|(word, count)| vec![word.to_owned(), count.to_string()]);
    Section::Table(
        "Commonest words, merged from all workers, stopwords left out".to_owned(),
        vec!["word", "times"],
        rows.collect(),
    )
}

fn buckets(evidence: &Evidence) -> impl Iterator<Item = Section> {
    evidence.outputs.iter().filter(|(name, count)| **count > 0 || *name != "default").map(|(name, count)| {
        let samples = evidence.samples.get(name).into_iter().flatten();
        let lines = samples.map(|document| {
            format!("{:+.2}  {}: {}", document.sentiment.score, document.name, document.excerpt)
        });
        Section::Lines(format!("{name}: {count} documents, for example"), lines.collect())
    })
}

fn pace(evidence: &Evidence) -> Section {
    let seconds = evidence.elapsed.as_secs_f64();
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    Section::Lines(
        "Pace".to_owned(),
        vec![format!(
            "{seconds:.3} s; {:.0} documents a second, {:.0} words a second",
            per_second(evidence.analysed()),
            per_second(evidence.words)
        )],
    )
}
