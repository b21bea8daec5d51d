//! What `doctor` found.

use std::fmt::Write as _;
use std::io;

use slither::python::{Candidate, Diagnosis, Interpreter, Origin};

use super::{Paint, Printed, data, json, table};
use crate::text;

/// Everything that was looked at, and the problems.
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
    let _ = match &diagnosis.free_threaded {
        Some(python) => writeln!(text, "runs baselines and probes without a GIL on {python}"),
        None => {
            writeln!(
                text,
                "finds no free-threaded Python, for baselines and probes without a GIL: {}",
                install(diagnosis)
            )
        }
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

/// The command that installs one, as it can be pasted: the uv of the cache is not on `PATH`.
fn install(diagnosis: &Diagnosis) -> String {
    let command = Interpreter::INSTALL_FREE_THREADED;
    match (&diagnosis.uv, command.strip_prefix("uv ")) {
        (Some(uv), Some(rest)) => format!("{} {rest}", uv.path.display()),
        _ => command.to_owned(),
    }
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
