//! All printing: data on stdout, everything else on stderr, colour only on a terminal.

mod adapter;
mod doctor;
mod matrix;
mod probe;
mod report;
mod route;

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, IsTerminal, Write as _};

use serde::Serialize;
use slither::ConfigError;
use slither::python::Environment;
use slither_examples::Listed;

use crate::{progress, text};

pub(crate) use adapter::{tools, value};
pub(crate) use doctor::diagnosis;
pub(crate) use matrix::{Looked, Row, libraries, matrix};
pub(crate) use probe::probe;
pub(crate) use report::{baseline, report, summary};
pub(crate) use route::route;

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
pub(crate) fn error(error: &impl Display) {
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

/// A sentence, broken between words where the terminal ends; what is wrapped stands two columns further in.
fn wrapped(out: &mut String, margin: &str, sentence: &str) {
    for (number, line) in
        text::paragraph(sentence, width().map(|width| width.saturating_sub(margin.len()))).enumerate()
    {
        let hang = if number > 0 { "  " } else { "" };
        let _ = writeln!(out, "{margin}{hang}{line}");
    }
}

/// What is known of something, beside its title; what is wrapped stands below what it belongs to.
fn fact(out: &mut String, title: &str, said: &str) {
    for (number, line) in text::paragraph(said, width().map(|width| width.saturating_sub(18))).enumerate() {
        let _ = writeln!(out, "  {:<15} {line}", if number == 0 { title } else { "" });
    }
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
