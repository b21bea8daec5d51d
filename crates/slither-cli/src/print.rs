//! All printing: data on stdout, everything else on stderr, colour only on a terminal.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Write as _};

use serde::Serialize;
use slither::ConfigError;
use slither::python::{Candidate, Diagnosis, Environment, Origin};
use slither_examples::report::{FailureReport, NAMED};
use slither_examples::{Check, Listed, Report, Section};

use crate::{progress, text};

/// Failures that a person is shown; JSON has more.
const SHOWN_FAILURES: usize = 20;

/// Printing fails if stdout takes no more, as when a disk is full.
pub(crate) type Printed = Result<(), ConfigError>;

/// Data, to stdout. A reader that has gone away has read enough.
pub(crate) fn data(text: &str) -> Printed {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(ConfigError::new(format!("stdout cannot be written to: {error}")))
        }
        _ => Ok(()),
    }
}

fn json(value: &impl Serialize) -> Printed {
    let line = serde_json::to_string(value).map_err(|error| {
        ConfigError::new(format!("internal error: the report cannot be written as JSON: {error}"))
    })?;
    data(&(text::json(&line) + "\n"))
}

/// A line for the person, to stderr, above a progress bar if there is one.
pub(crate) fn note(line: &str) {
    // If nobody can be told, that is no reason to fail.
    let _ = progress::above(|| writeln!(io::stderr(), "{}", text::lines(line)));
}

/// Why it could not be done.
pub(crate) fn error(error: &ConfigError) {
    let label = Paint::of(&io::stderr()).red("error");
    let _ = writeln!(io::stderr(), "{label}: {}", text::lines(&error.to_string()));
}

/// How wide stdout is, if it is a terminal.
fn width() -> Option<usize> {
    let stdout = console::Term::stdout();
    stdout.size_checked().filter(|_| stdout.is_term()).map(|(_, columns)| usize::from(columns))
}

/// The list of examples.
pub(crate) fn examples(examples: &[Listed], as_json: bool) -> Printed {
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
    data(&text)
}

/// The end of an example.
pub(crate) fn report(report: &Report, as_json: bool) -> Printed {
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
            let _ = writeln!(text, "{}", paint.bold(title));
            table(text, paint, heads, rows);
        }
    }
    text.push('\n');
}

fn table(text: &mut String, paint: &Paint, heads: &[&str], rows: &[Vec<String>]) {
    let mut lines = text::table(heads, rows, width()).into_iter();
    if let Some(heads) = lines.next() {
        let _ = writeln!(text, "{}", paint.dim(&heads));
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
}

/// What `setup` provided.
pub(crate) fn environment(environment: &Environment) -> Printed {
    let mut text = format!("ready: {}\n", environment.interpreter);
    let _ = match &environment.overlay {
        Some(overlay) => writeln!(text, "  packages that it lacks are in {}", overlay.display()),
        None => writeln!(text, "  it has all that is needed itself"),
    };
    data(&text::lines(&text))
}

/// What `doctor` found.
pub(crate) fn diagnosis(diagnosis: &Diagnosis, as_json: bool) -> Printed {
    if as_json {
        return json(diagnosis);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = String::new();
    let cores = if diagnosis.cores == 1 { "core" } else { "cores" };
    let _ = writeln!(text, "slither {}, {} {cores}", diagnosis.version, diagnosis.cores);
    let _ = match &diagnosis.interpreter {
        Some(interpreter) => writeln!(text, "uses {interpreter}"),
        None => writeln!(text, "{}", paint.red("finds no Python to use")),
    };
    interpreters(&mut text, &paint, diagnosis);
    packages(&mut text, &paint, diagnosis);
    if diagnosis.problems.is_empty() {
        let _ = writeln!(text, "\n{}", paint.green("no problems"));
    } else {
        let _ = writeln!(text, "\n{}", paint.bold("Problems"));
        for found in &diagnosis.problems {
            let _ = writeln!(text, "  {} {}", paint.red("•"), text::lines(&found.problem));
            let _ = writeln!(text, "    mend: {}", text::line(&found.mend));
        }
    }
    data(&text)
}

fn interpreters(text: &mut String, paint: &Paint, diagnosis: &Diagnosis) {
    // What nobody named and what does not answer is of no use, such as the shims of versions that pyenv lacks.
    let useless =
        |candidate: &&Candidate| candidate.interpreter.is_none() && candidate.origin == Origin::Path;
    let (silent, shown): (Vec<_>, Vec<_>) = diagnosis.candidates.iter().partition(useless);
    let _ = writeln!(text, "\n{}", paint.bold("Interpreters"));
    let rows: Vec<_> = shown.into_iter().map(interpreter).collect();
    if rows.is_empty() {
        let _ = writeln!(text, "  none");
    } else {
        let heads = ["path", "version", "build", "msgspec", "remark"];
        let remarks = rows.iter().any(|row| row.last().is_some_and(|remark| !remark.is_empty()));
        table(text, paint, if remarks { &heads } else { &heads[..4] }, &rows);
    }
    let _ = match silent.as_slice() {
        [] => Ok(()),
        [only] => writeln!(text, "  {} does not answer (--json says why)", only.path.display()),
        [_, ..] => writeln!(text, "  {} more on PATH do not answer (--json says why)", silent.len()),
    };
}

fn interpreter(candidate: &Candidate) -> Vec<String> {
    let found = candidate.interpreter.as_ref();
    let build = found.map(|found| match (found.free_threaded, found.gil_enabled) {
        (false, _) => "GIL",
        (true, true) => "free-threaded, GIL on",
        (true, false) => "free-threaded, GIL off",
    });
    let msgspec = found.map(|found| match &found.msgspec {
        Some(version) => version.clone(),
        None if candidate.usable() => "from the cache".to_owned(),
        None => String::new(),
    });
    // It begins with what the other columns say already.
    let remark = candidate
        .error
        .as_deref()
        .and_then(|error| error.lines().next())
        .map(|error| found.and_then(|found| error.strip_prefix(&format!("{found} "))).unwrap_or(error));
    vec![
        candidate.path.display().to_string(),
        found.map(|found| found.version.clone()).unwrap_or_default(),
        build.unwrap_or_default().to_owned(),
        msgspec.unwrap_or_default(),
        remark.unwrap_or_default().to_owned(),
    ]
}

fn packages(text: &mut String, paint: &Paint, diagnosis: &Diagnosis) {
    let _ = writeln!(text, "\n{}", paint.bold("Packages"));
    let _ = match &diagnosis.uv {
        Some(uv) => writeln!(text, "  uv {} at {}", uv.version, uv.path.display()),
        None => writeln!(text, "  uv is not here; it is fetched when it is first needed"),
    };
    let _ = match &diagnosis.cache {
        Some(cache) => {
            let size = indicatif::DecimalBytes(cache.bytes);
            let writable = if cache.writable { "" } else { ", not writable" };
            writeln!(text, "  cache at {}, {size}{writable}", cache.path.display())
        }
        None => writeln!(text, "  there is no place for a cache"),
    };
    if diagnosis.offline {
        let _ = writeln!(text, "  SLITHER_OFFLINE is set: the network is not used");
    }
}

/// Colours, or none.
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let says = |name, value: fn(&str) -> bool| std::env::var(name).is_ok_and(|found| value(&found));
        let refused = says("NO_COLOR", |set| !set.is_empty()) || says("TERM", |term| term == "dumb");
        Self(stream.is_terminal() && !refused)
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(false)
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

    pub(crate) fn dim(&self, text: &str) -> String {
        self.code("2", text)
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.code("31", text)
    }

    pub(crate) fn yellow(&self, text: &str) -> String {
        self.code("33", text)
    }

    fn green(&self, text: &str) -> String {
        self.code("32", text)
    }
}
