//! What a person reads, and what a program is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::NAME;
use super::checks::checks;
use super::evidence::{Evidence, Later};
use super::flow::{IN_FLIGHT, MAX_WEIGHT, Thumbnail};
use super::output::SHEET;
use crate::report::{Report, Section, exit_code};

/// Bytes for people.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

fn megapixels(pixels: u64) -> String {
    format!("{:.1} MP", pixels as f64 / 1e6)
}

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
    let bound = evidence.bound();
    let living = evidence.accounts.iter().map(|account| {
        BTreeMap::from([
            ("pid", json!(account.pid)),
            ("batches", json!(account.batches)),
            ("images", json!(account.images)),
            ("pixels", json!(account.pixels)),
            ("baseline_bytes", json!(account.baseline_bytes)),
            ("peak_bytes", json!(account.peak_bytes)),
            ("growth_bytes", json!(account.growth())),
            ("bound_bytes", json!(bound)),
        ])
    });
    let lost = evidence
        .lost
        .iter()
        .map(|lost| BTreeMap::from([("pid", json!(lost.pid)), ("lost", json!(lost.reason))]));
    living.chain(lost).collect()
}

fn sections(evidence: &Evidence) -> Vec<Section> {
    let mut sections = vec![pictures(evidence), workers(evidence), memory(evidence)];
    if !evidence.silent.is_empty() {
        sections.push(Section::Lines("Workers that did not answer".to_owned(), evidence.silent.clone()));
    }
    sections.extend(evidence.failures.section());
    sections.extend(evidence.chaos.as_ref().map(|chaos| chaos.section(evidence.failures.count)));
    sections.push(written(evidence));
    if let Some(end) = &evidence.end {
        sections.push(Section::Lines("The run ended early".to_owned(), vec![end.clone()]));
    }
    sections
}

fn weight(batch: &[&Thumbnail]) -> u64 {
    batch.iter().map(|thumbnail| thumbnail.picture.pixels()).sum()
}

fn pictures(evidence: &Evidence) -> Section {
    let mut formats: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for thumbnail in evidence.thumbnails() {
        let (count, pixels) = formats.entry(&thumbnail.picture.format).or_default();
        *count += 1;
        *pixels += thumbnail.picture.pixels();
    }
    let formats: Vec<_> = formats
        .into_iter()
        .map(|(format, (count, pixels))| format!("{count} {format} ({})", megapixels(pixels)))
        .collect();
    let batches = evidence.batches();
    let alone = batches.values().filter(|batch| weight(batch) > MAX_WEIGHT).count();
    let seconds = evidence.elapsed.as_secs_f64();
    Section::Lines(
        format!("Pictures: {} of {} made into thumbnails", evidence.thumbnails().count(), evidence.pictures),
        vec![
            formats.join(", "),
            format!(
                "{} batches of at most {}; {alone} pictures were heavier and travelled alone",
                batches.len(),
                megapixels(MAX_WEIGHT)
            ),
            format!("at most {} batches under way at a time, {IN_FLIGHT} allowed", evidence.most_in_flight()),
            format!("{seconds:.3} s, with the preparation of the pictures"),
        ],
    )
}

fn workers(evidence: &Evidence) -> Section {
    let batches = evidence.batches();
    let mut rows: Vec<Vec<String>> = evidence
        .accounts
        .iter()
        .map(|account| {
            let theirs = batches.iter().filter(|((pid, _), _)| *pid == account.pid);
            let heaviest = theirs.map(|(_, batch)| weight(batch)).max().unwrap_or_default();
            vec![
                account.pid.to_string(),
                account.batches.to_string(),
                account.images.to_string(),
                megapixels(account.pixels),
                megapixels(heaviest),
                megabytes(account.baseline_bytes),
                megabytes(account.growth()),
                megabytes(evidence.bound()),
            ]
        })
        .collect();
    for lost in &evidence.lost {
        let mut row = vec!["lost".to_owned(); 7];
        row.insert(0, lost.pid.to_string());
        row[7].clone_from(&lost.reason);
        rows.push(row);
    }
    let heads =
        vec!["pid", "batches", "images", "pixels", "heaviest batch", "before", "peak beyond it", "bound"];
    Section::Table("Workers: memory as the kernel measured it".to_owned(), heads, rows)
}

fn memory(evidence: &Evidence) -> Section {
    let mut lines = vec![format!(
        "with Slither: at most {} in a worker, {} in {} workers together",
        megabytes(evidence.peak()),
        megabytes(evidence.peak_of_all()),
        evidence.accounts.len()
    )];
    match &evidence.at_once {
        Later::Left => {}
        Later::Failed(reason) => lines.push(format!("without backpressure: {reason}")),
        Later::Done(at_once) => {
            lines.push(format!(
                "without backpressure: {} in one process, with {} pictures of {} decoded at the same time",
                megabytes(at_once.stats.growth()),
                at_once.pictures,
                megapixels(at_once.pixels)
            ));
            let all = evidence.thumbnails().count() as u64;
            if at_once.pictures < all {
                lines.push(format!(
                    "the other {} were left out there: decoding them all at once is what harms",
                    all - at_once.pictures
                ));
            }
        }
    }
    Section::Lines("Memory, with and without backpressure; both were run".to_owned(), lines)
}

fn written(evidence: &Evidence) -> Section {
    let bytes: u64 = evidence.thumbnails().map(|thumbnail| thumbnail.bytes).sum();
    let mut lines = vec![format!("{} thumbnails, {}", evidence.thumbnails().count(), megabytes(bytes))];
    if let Later::Done((sheet, _)) = &evidence.sheet {
        lines.push(format!("{SHEET}: {} tiles, {}×{}", sheet.tiles, sheet.width, sheet.height));
    }
    lines.push(match &evidence.kept {
        Some(folder) => format!("in {}", folder.display()),
        None => "in a temporary folder, which is gone; --output DIR keeps them".to_owned(),
    });
    Section::Lines("Written".to_owned(), lines)
}
