//! The compatibility matrix.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use slither::python::{Import, Interpreter, Library, WithoutGil};

use super::{Paint, Printed, data, fact, json, table, wrapped};
use crate::text;

/// A library, and what was found of it.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    #[serde(flatten)]
    pub(crate) library: &'a Library,
    /// None if nobody looked.
    pub(crate) looked: Option<Looked>,
}

/// What an interpreter has of a library.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Looked {
    Imported(Import),
    NotInstalled,
}

impl Looked {
    fn import(&self) -> Option<&Import> {
        match self {
            Self::Imported(import) => Some(import),
            Self::NotInstalled => None,
        }
    }
}

/// A row for each library.
pub(crate) fn matrix(rows: &[Row<'_>], python: Option<&Interpreter>, as_json: bool) -> Printed {
    if as_json {
        return listed(rows, python);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = String::new();
    if let Some(python) = python {
        wrapped(&mut text, "", &found_by(python));
        text.push('\n');
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let library = row.library;
            let mut cells = vec![library.name.clone(), library.thread_safety.to_string()];
            match &row.looked {
                Some(looked) => cells.extend([version(looked), gil(looked), memory(looked)]),
                None => cells.push(library.without_gil.to_string()),
            }
            cells.extend([library.recommend.to_string(), library.because.clone()]);
            cells
        })
        .collect();
    let heads: &[&str] = match python {
        Some(_) => &["library", "in threads", "installed", "the GIL", "memory", "belongs in", "because"],
        None => &["library", "in threads", "without a GIL", "belongs in", "because"],
    };
    table(&mut text, &paint, heads, &cells);
    text.push_str("\nConditions and sources of one: slither matrix NAME\n");
    if python.is_none() {
        let more =
            "What an interpreter of yours has, and what importing it does: slither matrix --python PATH";
        wrapped(&mut text, "", more);
    }
    data(&text)
}

/// All that is known of each library.
pub(crate) fn libraries(rows: &[Row<'_>], python: Option<&Interpreter>, as_json: bool) -> Printed {
    if as_json {
        return listed(rows, python);
    }
    let paint = Paint::of(&io::stdout());
    let mut text = String::new();
    if let Some(python) = python {
        wrapped(&mut text, "", &found_by(python));
        text.push('\n');
    }
    for (at, row) in rows.iter().enumerate() {
        let library = row.library;
        let gap = if at > 0 { "\n" } else { "" };
        let _ = writeln!(text, "{gap}{}", paint.bold(&library.name));
        let (recommend, because) = (library.recommend, text::line(&library.because));
        fact(&mut text, "belongs in", &format!("{recommend}: {because}"));
        fact(&mut text, "in threads", &library.thread_safety.to_string());
        let claim = match library.without_gil {
            WithoutGil::StaysOff => "importing it leaves the GIL off",
            WithoutGil::TurnsOn => "importing it turns the GIL on",
            WithoutGil::NoWheel => "there is no build of it",
            WithoutGil::Unknown => "unknown",
        };
        let seen = library.seen.as_deref().map(|seen| format!(" ({seen})")).unwrap_or_default();
        fact(&mut text, "without a GIL", &format!("{claim}{}", text::line(&seen)));
        if let Some(looked) = &row.looked {
            fact(&mut text, "installed", &text::line(&installed(looked)));
        }
        let threads = match library.native_threads.as_slice() {
            [] => "none".to_owned(),
            variables => format!("bounded by {}", variables.join(", ")),
        };
        fact(&mut text, "native threads", &text::line(&threads));
        fact(&mut text, "memory", &text::line(&library.memory));
        for (title, lines) in [("conditions", &library.conditions), ("sources", &library.sources)] {
            for (at, line) in lines.iter().enumerate() {
                fact(&mut text, if at == 0 { title } else { "" }, &text::line(line));
            }
        }
    }
    data(&text)
}

fn listed(rows: &[Row<'_>], python: Option<&Interpreter>) -> Printed {
    #[derive(Serialize)]
    struct Listed<'a> {
        python: Option<&'a Interpreter>,
        libraries: &'a [Row<'a>],
    }
    json(&Listed { python, libraries: rows })
}

fn found_by(python: &Interpreter) -> String {
    let gil = if python.gil_enabled { "with a GIL" } else { "without a GIL" };
    format!("{python}, {gil}; each library was imported in a process of its own")
}

fn version(looked: &Looked) -> String {
    match looked.import() {
        Some(import) if import.error.is_some() => format!("{}, broken", import.version),
        Some(import) => import.version.clone(),
        None => "no".to_owned(),
    }
}

fn gil(looked: &Looked) -> String {
    match looked.import() {
        None => String::new(),
        Some(import) if import.error.is_some() => String::new(),
        Some(import) => match (import.gil_before, import.gil_after, &import.turned_on_by) {
            (true, ..) => "was on".to_owned(),
            (false, false, _) => "stays off".to_owned(),
            (false, true, Some(by)) => format!("was turned on by {by}"),
            (false, true, _) => "was turned on".to_owned(),
        },
    }
}

fn memory(looked: &Looked) -> String {
    match looked.import() {
        Some(import) if import.error.is_none() => format!("{} MiB", import.memory >> 20),
        _ => String::new(),
    }
}

fn installed(looked: &Looked) -> String {
    let Some(import) = looked.import() else { return "no".to_owned() };
    match &import.error {
        Some(error) => format!("{}, which cannot be imported: {error}", import.version),
        None => format!(
            "{}: importing it took {:.2} s and {} MiB, left {} threads behind; the GIL {}",
            import.version,
            import.seconds,
            import.memory >> 20,
            import.threads,
            gil(looked),
        ),
    }
}
