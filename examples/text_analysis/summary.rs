//! The report: what a person reads, and what a program does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::NAME;
use super::checks::checks;
use super::merge::{Evidence, Spread, top};
use crate::report::{Report, Section, exit_code};

/// Words of the merged list that are shown and named in the check.
pub(super) const TOP: usize = 12;

/// Turns the evidence into the report.
pub(super) fn report(workers: usize, evidence: Evidence) -> Report {
    let checks = checks(workers, &evidence);
    Report {
        example: NAME,
        exit: exit_code(&checks, &evidence.failures, evidence.end.as_deref()),
        ledger: evidence.ledger.into(),
        outputs: evidence.outputs.clone(),
        workers: worker_rows(&evidence),
        sections: sections(&evidence),
        elapsed_s: evidence.elapsed.as_secs_f64(),
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
    sections.extend(lost(evidence));
    sections.extend([readability(evidence), words(evidence)]);
    sections.extend(buckets(evidence));
    sections.extend(evidence.chaos.as_ref().map(|chaos| chaos.section(evidence.failures.count)));
    sections.push(pace(evidence));
    if let Some(end) = &evidence.end {
        sections.push(Section::Lines("The run ended early".to_owned(), vec![end.clone()]));
    }
    sections.extend(evidence.failures.section());
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
        "together".to_owned(),
        sum(|account| account.documents).to_string(),
        sum(|account| account.words).to_string(),
        evidence.merged.len().to_string(),
    ]);
    let title = format!(
        "Workers: {} of {} documents analysed, each counted by the worker that had it",
        evidence.analysed(),
        evidence.documents
    );
    Section::Table(title, vec!["pid", "documents", "words", "vocabulary"], rows)
}

fn lost(evidence: &Evidence) -> Option<Section> {
    let lines: Vec<_> = evidence
        .lost
        .iter()
        .map(|lost| format!("{} (pid {}): {}", lost.worker, lost.pid, lost.reason))
        .collect();
    let title = "Lost workers; what they had counted is gone, and left out of the comparison";
    (!lines.is_empty()).then(|| Section::Lines(title.to_owned(), lines))
}

fn readability(evidence: &Evidence) -> Section {
    let row = |measure: &str, spread: Spread| {
        let [mean, least, greatest] =
            [spread.mean(), spread.least, spread.greatest].map(|value| format!("{value:.1}"));
        vec![measure.to_owned(), mean, least, greatest]
    };
    let measures = [("Flesch reading ease", evidence.reading_ease), ("Flesch-Kincaid grade", evidence.grade)];
    let measures = measures.into_iter().filter_map(|(measure, spread)| Some(row(measure, spread?)));
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
        let lines: Vec<_> = lines.collect();
        let title = match *count {
            1 => format!("{name}: 1 document"),
            count if count == lines.len() as u64 => format!("{name}: {count} documents"),
            count => format!("{name}: {count} documents, for example"),
        };
        Section::Lines(title, lines)
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
