//! Plain Python's findings as a person reads them, beside what Slither's checks found of the same.

use serde_json::Value;

use super::{Baseline, Invariant, Run};
use crate::report::{Check, Section};

impl Baseline {
    /// A table of all invariants and runs, what broke in words, and what was not run. `checks` are those of the
    /// example, if it was run just before.
    pub fn sections(&self, checks: &[Check]) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.runs.is_empty() {
            sections.extend([self.table(checks), self.told()]);
        }
        if !self.skipped.is_empty() {
            let line = |skipped: &super::Skipped| {
                let hint =
                    skipped.hint.as_ref().map_or_else(String::new, |hint| format!("; to have one: {hint}"));
                format!("{}: {}{hint}", skipped.interpreter, skipped.reason)
            };
            let lines =
                self.skipped.iter().flat_map(|it| line(it).lines().map(str::to_owned).collect::<Vec<_>>());
            sections.push(Section::Lines("Not run in plain Python".to_owned(), lines.collect()));
        }
        sections
    }

    fn table(&self, checks: &[Check]) -> Section {
        let mut heads = vec!["invariant".to_owned(), "expected".to_owned()];
        if !checks.is_empty() {
            heads.push("Slither".to_owned());
        }
        heads.extend(self.runs.iter().map(name));
        // Runs of one example state the same; one that died early states less.
        let fullest = self.runs.iter().max_by_key(|run| run.invariants.len());
        let rows = fullest.into_iter().flat_map(|run| &run.invariants).map(|stated| {
            let mut row = vec![stated.name.clone(), short(&stated.expected)];
            if !checks.is_empty() {
                row.push(self.slithers(&stated.name, checks));
            }
            row.extend(self.runs.iter().map(|run| run.invariant(&stated.name).map_or("-".to_owned(), cell)));
            row
        });
        let title = "The same work in plain Python threads".to_owned();
        Section::Matrix(title, heads, rows.collect())
    }

    /// What Slither's check of the same came to.
    fn slithers(&self, invariant: &str, checks: &[Check]) -> String {
        let named = self.beside.iter().find(|(name, _)| *name == invariant);
        let check = named.and_then(|(_, check)| checks.iter().find(|it| it.name == *check));
        debug_assert_eq!(named.is_some(), check.is_some(), "the example has no check for `{invariant}`");
        check.map_or("-".to_owned(), |check| if check.ok { "ok".to_owned() } else { "BROKE".to_owned() })
    }

    /// Run by run what broke, and what did not.
    fn told(&self) -> Section {
        let mut lines = Vec::new();
        for run in &self.runs {
            let gil = match run.gil {
                Some(true) => "with a GIL",
                Some(false) => "without a GIL",
                None => "GIL unknown",
            };
            let broken: Vec<_> = run.broken().map(claim).collect();
            let end = if broken.is_empty() { "nothing broke in this run" } else { "" };
            lines.push(format!("Python {}, {gil}, {}: {end}", run.version, run.mode).trim_end().to_owned());
            lines.extend(broken.into_iter().map(|claim| format!("  {claim}")));
            lines.extend(run.stderr.iter().map(|last| format!("  stderr: {last}")));
        }
        Section::Lines("What broke".to_owned(), lines)
    }
}

/// `3.14t naive`: a column is narrow, and the whole version stands below.
fn name(run: &Run) -> String {
    let minor = run.version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let threaded = if run.gil == Some(false) { "t" } else { "" };
    format!("{minor}{threaded} {}", run.mode)
}

fn cell(invariant: &Invariant) -> String {
    match (invariant.broke, &invariant.actual) {
        (false, _) => "ok".to_owned(),
        (true, Value::Null) => "LOST".to_owned(),
        (true, actual) => short(actual),
    }
}

fn short(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What this run showed.
fn claim(invariant: &Invariant) -> String {
    let Invariant { name, expected, actual, .. } = invariant;
    match actual {
        Value::Null => format!("{name} lost with the process, expected {}", short(expected)),
        actual => format!("{name} {} instead of {}", short(actual), short(expected)),
    }
}

/// What the baseline lost, in a phrase for a summary: of the run without a GIL and without locks, if there was one.
pub fn headline(baseline: &Baseline) -> String {
    let naive = || baseline.runs.iter().filter(|run| run.mode == "naive");
    let Some(run) = naive().find(|run| run.gil == Some(false)).or_else(|| naive().next()) else {
        return "not run".to_owned();
    };
    let broken: Vec<_> = run.broken().map(claim).collect();
    match broken.as_slice() {
        [] => format!("nothing broke in {}", name(run)),
        [first] => format!("{}: {first}", name(run)),
        [first, more @ ..] => format!("{}: {first}, and {} more", name(run), more.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(mode: &'static str, gil: Option<bool>, actual: Value, broke: bool) -> Run {
        let counted = Invariant { name: "counted".to_owned(), expected: json!(100), actual, broke };
        Run {
            interpreter: "/opt/python".to_owned(),
            version: "3.14.1".to_owned(),
            gil,
            mode,
            exit: "code 0".to_owned(),
            invariants: vec![counted],
            stderr: Vec::new(),
            elapsed_s: 1.0,
        }
    }

    fn baseline(runs: Vec<Run>) -> Baseline {
        Baseline { example: "text_analysis", runs, skipped: Vec::new(), beside: &[("counted", "sum")] }
    }

    fn lines(sections: &[Section]) -> Vec<String> {
        let lines = |section: &Section| match section {
            Section::Lines(_, lines) => lines.clone(),
            Section::Table(..) => panic!("its heads are known at run time only"),
            Section::Matrix(_, heads, rows) => {
                std::iter::once(heads.clone()).chain(rows.clone()).map(|row| row.join(" | ")).collect()
            }
        };
        sections.iter().flat_map(lines).collect()
    }

    #[test]
    fn a_failure_is_told_of_the_run_that_showed_it_and_of_no_other() {
        let runs = vec![
            run("naive", Some(false), json!(97), true),
            run("locked", Some(false), json!(100), false),
            run("naive", Some(true), Value::Null, true),
        ];
        let checks = [Check::equal("sum", 100, 100)];
        assert_eq!(
            lines(&baseline(runs.clone()).sections(&checks)),
            [
                "invariant | expected | Slither | 3.14t naive | 3.14t locked | 3.14 naive",
                "counted | 100 | ok | 97 | ok | LOST",
                "Python 3.14.1, without a GIL, naive:",
                "  counted 97 instead of 100",
                "Python 3.14.1, without a GIL, locked: nothing broke in this run",
                "Python 3.14.1, with a GIL, naive:",
                "  counted lost with the process, expected 100",
            ]
        );
        assert_eq!(headline(&baseline(runs[..1].to_vec())), "3.14t naive: counted 97 instead of 100");
        assert_eq!(
            headline(&baseline(vec![run("naive", Some(false), json!(100), false)])),
            "nothing broke in 3.14t naive"
        );
        assert_eq!(headline(&baseline(Vec::new())), "not run");
    }

    #[test]
    fn a_check_of_slithers_that_does_not_hold_is_not_called_ok() {
        let runs = vec![run("naive", Some(true), json!(100), false)];
        let shown = lines(&baseline(runs).sections(&[Check::equal("sum", 100, 99)]));
        assert_eq!(shown[1], "counted | 100 | BROKE | ok");
    }
}
