//! Reports of examples, and of the same work in plain Python.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use slither_examples::baseline::{Baseline, headline};
use slither_examples::report::{FailureReport, NAMED};
use slither_examples::{Check, Report, Section, achieved};

use super::{Paint, Printed, data, json, table, width, wrapped};
use crate::text;

/// Failures that a person is shown; JSON has more.
const SHOWN_FAILURES: usize = 20;

/// The end of an example.
pub(crate) fn report(report: &Report, baseline: Option<&Baseline>, headed: bool, as_json: bool) -> Printed {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        report: &'a Report,
        #[serde(skip_serializing_if = "Option::is_none")]
        baseline: Option<&'a Baseline>,
    }
    if as_json {
        return json(&Whole { report, baseline });
    }
    let paint = Paint::of(&io::stdout());
    let mut text = if headed { heading(&paint, report.example) } else { String::new() };
    for section in &report.sections {
        self::section(&mut text, &paint, section);
    }
    failures(&mut text, &paint, report);
    let _ = writeln!(text, "{}", paint.bold("Ledger"));
    let _ = writeln!(text, "  {}", report.ledger.ledger);
    let _ = writeln!(text, "\n{}", paint.bold("Checks"));
    for check in &report.checks {
        self::check(&mut text, &paint, check);
    }
    for section in baseline.iter().flat_map(|baseline| baseline.sections(&report.checks)) {
        text.push('\n');
        self::section(&mut text, &paint, &section);
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    if headed {
        text.push('\n');
    }
    data(&text)
}

fn check(text: &mut String, paint: &Paint, check: &Check) {
    let Check { name, expected, actual, ok } = check;
    let (mark, verdict) = match ok {
        true => (paint.green("ok"), summarise(actual)),
        false => {
            let (mut wanted, mut got) = (summarise(expected), summarise(actual));
            if wanted == got {
                (wanted, got) = (expected.to_string(), actual.to_string());
            }
            (paint.red("FAILED"), format!("expected {wanted}, got {got}"))
        }
    };
    let _ = writeln!(text, "  {mark} {name}: {}", text::line(&verdict));
}

/// A check's value in a line: of an object only its numbers.
fn summarise(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| value.is_number())
            .map(|(name, value)| format!("{value} {name}"))
            .collect::<Vec<_>>()
            .join(", "),
        serde_json::Value::String(words) => words.clone(),
        plain => plain.to_string(),
    }
}

fn failures(text: &mut String, paint: &Paint, report: &Report) {
    let count = report.failed;
    if count == 0 {
        return;
    }
    let items = if count == 1 { "item" } else { "items" };
    let _ = writeln!(text, "{}", paint.bold(&format!("Failed: {count} {items}")));
    for failure in report.failures.iter().take(SHOWN_FAILURES) {
        let FailureReport { item, name, stage, kind, message, worker, pid } = failure;
        let name = name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
        let stage = stage.as_deref().map_or_else(String::new, |stage| format!(" in {stage}"));
        let worker = match (worker, pid) {
            (Some(worker), Some(pid)) => format!(" [{worker}, pid {pid}]"),
            _ => String::new(),
        };
        let (name, message) = (text::line(&name), text::line(message));
        let _ = writeln!(text, "  item {item}{name}{stage}: {}: {message}{worker}", paint.red(kind));
    }
    let rest = count.saturating_sub(SHOWN_FAILURES as u64);
    if rest > 0 {
        let _ = writeln!(text, "  … and {rest} more; --json names up to {NAMED}");
    }
    text.push('\n');
}

fn section(text: &mut String, paint: &Paint, section: &Section) {
    match section {
        Section::Lines(title, lines) => {
            let _ = writeln!(text, "{}", paint.bold(title));
            let width = width().map(|width| width.saturating_sub(2));
            for line in lines {
                let _ = writeln!(text, "  {}", text::cut(&text::line(line), width));
            }
        }
        Section::Table(title, heads, rows) => {
            wrapped(text, "", &paint.bold(title));
            table(text, paint, heads, rows);
        }
        Section::Matrix(title, heads, rows) => {
            let _ = writeln!(text, "{}", paint.bold(title));
            let heads: Vec<_> = heads.iter().map(|head| text::line(head)).collect();
            table(text, paint, &heads.iter().map(AsRef::as_ref).collect::<Vec<_>>(), rows);
        }
    }
    text.push('\n');
}

/// What plain Python came to.
pub(crate) fn baseline(baseline: &Baseline, headed: bool, as_json: bool) -> Printed {
    if as_json {
        return json(baseline);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = if headed { heading(&paint, baseline.example) } else { String::new() };
    for section in baseline.sections(&[]) {
        self::section(&mut text, &paint, &section);
    }
    if !headed {
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    data(&text)
}

/// All examples in a table, with what was measured just now.
pub(crate) fn summary(played: &[(Report, Option<Baseline>)]) -> Printed {
    let paint = Paint::of(&io::stdout());
    let rows: Vec<_> = (1..)
        .zip(played)
        .map(|(number, (report, baseline)): (usize, _)| {
            let plain = baseline.as_ref().map_or_else(|| "left out".to_owned(), headline);
            vec![number.to_string(), report.example.to_owned(), plain, achieved(report)]
        })
        .collect();
    let mut text = format!("{}\n", paint.bold("Summary: what this run showed"));
    table(&mut text, &paint, &["#", "example", "plain Python threads", "Slither"], &rows);
    data(&text)
}

fn heading(paint: &Paint, example: &str) -> String {
    format!("{}\n\n", paint.bold(&format!("== {example}")))
}
