//! All printing: data on stdout, everything else on stderr, colour only on a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is where printing is done")]

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use serde::Serialize;
use slither::ConfigError;
use slither::python::{Diagnosis, Environment};
use slither_examples::report::FailureReport;
use slither_examples::{Check, Listed, Report, Section};

/// Failures that a person is shown; JSON has more.
const SHOWN_FAILURES: usize = 20;

/// Data, to stdout. A reader that has gone away is not an error.
pub(crate) fn data(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => data(&(line + "\n")),
        Err(error) => eprintln!("internal error: the report cannot be written as JSON: {error}"),
    }
}

/// A line for the person, to stderr.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Why nothing ran.
pub(crate) fn error(error: &ConfigError) {
    let paint = Paint::of(&io::stderr());
    eprintln!("{}: {error}", paint.red("error"));
}

/// The list of examples.
pub(crate) fn examples(examples: &[Listed], as_json: bool) {
    #[derive(Serialize)]
    struct Row<'a> {
        name: &'a str,
        summary: &'a str,
        requirements: &'a [&'a str],
    }
    if as_json {
        let row = |it: &Listed| Row { name: it.name, summary: it.summary, requirements: it.requirements };
        return json(&examples.iter().map(row).collect::<Vec<_>>());
    }
    let paint = Paint::of(&io::stdout());
    let rows = examples.iter().map(|example| {
        let needs = match example.requirements {
            [] => "the standard library".to_owned(),
            packages => packages.join(", "),
        };
        vec![example.name.to_owned(), example.summary.to_owned(), needs]
    });
    let mut text = String::new();
    table(&mut text, &paint, &["example", "what it shows", "needs"], &rows.collect::<Vec<_>>());
    text.push_str("\nRun one: slither example NAME\n");
    data(&text);
}

/// The end of an example.
pub(crate) fn report(report: &Report, as_json: bool) {
    if as_json {
        return json(report);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = String::new();
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
    data(&text);
}

fn check(text: &mut String, paint: &Paint, check: &Check) {
    let Check { name, expected, actual, ok } = check;
    let (mark, verdict) = match ok {
        true => (paint.green("ok"), summarise(actual)),
        false => (paint.red("FAILED"), format!("expected {expected}, got {actual}")),
    };
    let _ = writeln!(text, "  {mark} {name}: {verdict}");
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
        plain => plain.to_string(),
    }
}

fn failures(text: &mut String, paint: &Paint, report: &Report) {
    let count = report.ledger.ledger.failed;
    if count == 0 {
        return;
    }
    let _ = writeln!(text, "{}", paint.bold(&format!("Failed: {count} items")));
    for failure in report.failures.iter().take(SHOWN_FAILURES) {
        let FailureReport { item, name, stage, kind, message, worker } = failure;
        let name = name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
        let stage = stage.as_deref().map_or_else(String::new, |stage| format!(" in {stage}"));
        let worker =
            worker.as_ref().map_or_else(String::new, |(worker, pid)| format!(" [{worker}, pid {pid}]"));
        let _ = writeln!(text, "  item {item}{name}{stage}: {}: {message}{worker}", paint.red(kind));
    }
    let rest = usize::try_from(count).unwrap_or(usize::MAX).saturating_sub(SHOWN_FAILURES);
    if rest > 0 {
        let _ = writeln!(text, "  … and {rest} more; --json names up to 100");
    }
    text.push('\n');
}

fn section(text: &mut String, paint: &Paint, section: &Section) {
    match section {
        Section::Lines(title, lines) => {
            let _ = writeln!(text, "{}", paint.bold(title));
            for line in lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        Section::Table(title, heads, rows) => {
            let _ = writeln!(text, "{}", paint.bold(title));
            table(text, paint, heads, rows);
        }
    }
    text.push('\n');
}

fn table(text: &mut String, paint: &Paint, heads: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let numeric =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.parse::<f64>().is_ok());
    let columns: Vec<_> = (0..heads.len()).map(|column| (width(column), numeric(column))).collect();
    let mut line = |cells: &[&str], dim: bool| {
        let mut out = String::from(" ");
        for (cell, (width, numeric)) in cells.iter().zip(&columns) {
            let _ = match numeric {
                true => write!(out, " {cell:>width$} "),
                false => write!(out, " {cell:<width$} "),
            };
        }
        let out = out.trim_end();
        let _ = writeln!(text, "{}", if dim { paint.dim(out) } else { out.to_owned() });
    };
    line(heads, true);
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>(), false);
    }
}

/// What `setup` provided.
pub(crate) fn environment(environment: &Environment) {
    let mut text = format!("ready: {}\n", environment.interpreter);
    let _ = match &environment.overlay {
        Some(overlay) => writeln!(text, "  packages that it lacks are in {}", overlay.display()),
        None => writeln!(text, "  it has all that is needed itself"),
    };
    data(&text);
}

/// What `doctor` found.
pub(crate) fn diagnosis(diagnosis: &Diagnosis, as_json: bool) {
    if as_json {
        return json(diagnosis);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = String::new();
    let _ = writeln!(text, "slither {}, {} cores", diagnosis.version, diagnosis.cores);
    let _ = match &diagnosis.interpreter {
        Some(interpreter) => writeln!(text, "uses {interpreter}"),
        None => writeln!(text, "{}", paint.red("finds no Python to use")),
    };
    let _ = writeln!(text, "\n{}", paint.bold("Interpreters"));
    let rows = diagnosis.candidates.iter().map(|candidate| {
        let mut row = vec![candidate.path.display().to_string()];
        match &candidate.interpreter {
            Some(found) => row.extend([
                found.version.clone(),
                match (found.free_threaded, found.gil_enabled) {
                    (false, _) => "GIL".to_owned(),
                    (true, true) => "free-threaded, GIL on".to_owned(),
                    (true, false) => "free-threaded, GIL off".to_owned(),
                },
                found.msgspec.clone().unwrap_or_else(|| "provided".to_owned()),
                candidate.error.clone().unwrap_or_default(),
            ]),
            None => row.extend([
                String::new(),
                String::new(),
                String::new(),
                candidate.error.clone().unwrap_or_default(),
            ]),
        }
        // A cell is one line.
        row.iter_mut().for_each(|cell| *cell = cell.lines().next().unwrap_or("").to_owned());
        row
    });
    table(&mut text, &paint, &["path", "version", "build", "msgspec", "remark"], &rows.collect::<Vec<_>>());
    let _ = writeln!(text, "\n{}", paint.bold("Packages"));
    let _ = match &diagnosis.uv {
        Some(uv) => writeln!(text, "  uv {} at {}", uv.version, uv.path.display()),
        None => writeln!(text, "  uv is not here; it is fetched when it is first needed"),
    };
    let _ = match &diagnosis.cache {
        Some(cache) => writeln!(
            text,
            "  cache {}, {:.1} MB{}",
            cache.path.display(),
            cache.bytes as f64 / 1e6,
            if cache.writable { "" } else { ", not writable" }
        ),
        None => writeln!(text, "  there is no place for a cache"),
    };
    if diagnosis.offline {
        let _ = writeln!(text, "  SLITHER_OFFLINE is set: the network is not used");
    }
    if diagnosis.problems.is_empty() {
        let _ = writeln!(text, "\n{}", paint.green("no problems"));
    } else {
        let _ = writeln!(text, "\n{}", paint.bold("Problems"));
        for found in &diagnosis.problems {
            let _ = writeln!(text, "  {} {}\n      {}", paint.red("•"), found.problem, found.mend);
        }
    }
    data(&text);
}

/// Colours, or none.
struct Paint(bool);

impl Paint {
    fn of(stream: &impl IsTerminal) -> Self {
        Self(stream.is_terminal() && std::env::var_os("NO_COLOR").is_none())
    }

    fn code(&self, code: &str, text: &str) -> String {
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn bold(&self, text: &str) -> String {
        self.code("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.code("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.code("31", text)
    }

    fn green(&self, text: &str) -> String {
        self.code("32", text)
    }
}
