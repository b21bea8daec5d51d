//! Where a function's calls go.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use slither::python::Library;
use slither::routing::{Candidate, Decision, Finding, Source, Subject, Verdict};

use super::{Paint, Printed, data, fact, json, wrapped};
use crate::text;

/// A decision, and what it was made from.
pub(crate) fn route(
    decision: &Decision,
    subject: &Subject,
    source: &Source,
    pools: &[Candidate],
    as_json: bool,
) -> Printed {
    #[derive(Serialize)]
    struct Explained<'a> {
        decision: &'a Decision,
        source: &'a Source,
        traits: String,
        libraries: Vec<&'a str>,
        verdicts: &'a [Verdict],
        pools: &'a [Candidate],
    }
    if as_json {
        let traits = subject.traits.to_string();
        let libraries = subject.libraries.iter().map(|library| library.name.as_str()).collect();
        let verdicts = &subject.verdicts;
        return json(&Explained { decision, source, traits, libraries, verdicts, pools });
    }
    let paint = Paint::of(&io::stdout());
    let mut out = String::new();
    let Decision { function, profile, reason, .. } = decision;
    let place = paint.bold(&profile.to_string());
    wrapped(&mut out, "", &format!("{} goes to {place}: {}", text::line(function), text::line(reason)));
    for other in &decision.passed_over {
        wrapped(&mut out, "  ", &format!("not to {}: {}", other.profile, text::line(&other.why_not)));
    }
    let _ = writeln!(out, "\n{}", paint.bold("What is known of it"));
    let file = source.file.as_ref().map_or_else(|| "not found".to_owned(), |file| file.display().to_string());
    let traits = Some(subject.traits.to_string()).filter(|said| !said.is_empty());
    let traits = traits.unwrap_or_else(|| "nothing; `@slither.traits(…)` in the source says it".to_owned());
    let libraries: Vec<String> = subject.libraries.iter().map(library).collect();
    let libraries = Some(libraries.join(", ")).filter(|said| !said.is_empty());
    let libraries = libraries.unwrap_or_else(|| "nothing that is in the matrix".to_owned());
    for (title, said) in [("source", file), ("is said to be", traits), ("imports", libraries)] {
        fact(&mut out, title, &text::line(&said));
    }
    for verdict in &subject.verdicts {
        fact(&mut out, "was measured", &text::line(&measured(verdict)));
    }
    if subject.verdicts.is_empty() {
        fact(&mut out, "was measured", "no; `slither probe` does that");
    }
    data(&out)
}

fn library(library: &Library) -> String {
    format!("{} ({} in threads)", library.name, library.thread_safety)
}

fn measured(verdict: &Verdict) -> String {
    let gil = if verdict.without_gil { "without a GIL" } else { "with a GIL" };
    let found = match &verdict.finding {
        Finding::Same => "threads make no difference".to_owned(),
        Finding::Race(what) => format!("threads spoil it: {what}"),
        Finding::Stateful(what) => format!("it depends on earlier calls: {what}"),
        Finding::Unrepeatable(what) => format!("its results differ each time: {what}"),
    };
    format!("on {} {gil}: {found}; belongs in {}", verdict.version, verdict.profile)
}
