//! `cargo xtask ci`: everything that must hold before a change lands, cheapest first.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{cargo, has_cargo};
use crate::{python, tidy};

/// A step, and what it came to.
type Step = (&'static str, fn(&Path, &mut Vec<String>) -> Result<Outcome, String>);

enum Outcome {
    Passed,
    Skipped(&'static str),
}

const STEPS: &[Step] = &[
    ("format", |root, _| passed(format(root))),
    ("tidy", |root, _| passed(tidy::run(root))),
    ("clippy", |root, _| {
        passed(cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]).run())
    }),
    ("build", |root, _| passed(cargo(root, &["build", "--release"]).run())),
    ("test", test),
    ("profiles", |root, _| passed(profiles(root))),
    ("rustdoc", |root, _| passed(rustdoc(root))),
    ("python", |root, _| passed(python::check(root))),
    ("deny", deny),
    ("example", |root, _| passed(example(root))),
];

/// The steps' names.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|(name, _)| *name).collect()
}

/// Runs the steps, or those named in `only`, and sums up.
///
/// # Errors
/// A step failed.
pub(crate) fn run(root: &Path, keep_going: bool, only: &[String]) -> Result<(), String> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let steps: Vec<_> = STEPS.iter().filter(|(name, _)| wanted(name)).collect();
    let mut summary = Vec::new();
    let mut counts = Vec::new();
    let mut failed = Vec::new();
    for (number, (name, step)) in steps.iter().enumerate() {
        println!("\n== {}/{} {name}", number + 1, steps.len());
        let started = Instant::now();
        let outcome = step(root, &mut counts);
        let line = match &outcome {
            Ok(Outcome::Passed) => "ok".to_owned(),
            Ok(Outcome::Skipped(reason)) => format!("skipped: {reason}"),
            Err(error) => format!("FAILED: {error}"),
        };
        summary.push(format!("{name:<8} {:>8}  {line}", seconds(started.elapsed())));
        println!("-- {name}: {line}");
        if outcome.is_err() {
            failed.push(*name);
            if !keep_going {
                break;
            }
        }
    }
    println!("\n== summary");
    summary.iter().for_each(|line| println!("{line}"));
    if !counts.is_empty() {
        println!("\n== cargo test --workspace");
        counts.iter().for_each(|line| println!("{line}"));
        println!("{}", total(&counts));
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("ci: {} failed", failed.join(", "))) }
}

fn passed(result: Result<(), String>) -> Result<Outcome, String> {
    result.map(|()| Outcome::Passed)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn format(root: &Path) -> Result<(), String> {
    cargo(root, &["fmt", "--all", "--check"]).run()?;
    // The fuzz targets are a workspace of their own.
    cargo(root, &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]).run()
}

/// README's command, letter for letter. Its result lines are repeated at the end, where a reader looks.
fn test(root: &Path, counts: &mut Vec<String>) -> Result<Outcome, String> {
    let keep = |line: &str| {
        if line.starts_with("test result: ") {
            counts.push(line.to_owned());
        }
    };
    passed(cargo(root, &["test", "--workspace"]).run_watched(keep))
}

/// What is promised of processes once more in workers of threads, and of coroutines. Left out is what has no pool, what chooses the
/// profile itself, and chaos, which is for processes alone.
fn profiles(root: &Path) -> Result<(), String> {
    let mut args = vec!["test", "-p", "slither", "--test", "it", "--"];
    for module in [
        "adapters::",
        "chaos::",
        "environments::",
        "guides_python::",
        "pages::",
        "python_suite::",
        "routing::",
        "scratch_crate::",
        "several::",
        "troubleshooting::",
    ] {
        args.extend(["--skip", module]);
    }
    ["thread", "async"]
        .into_iter()
        .try_for_each(|profile| cargo(root, &args).env("SLITHER_TEST_PROFILE", profile).run())
}

/// Adds up lines like `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn total(counts: &[String]) -> String {
    let sum = |what: &str| -> u64 {
        let numbers = counts
            .iter()
            .flat_map(|line| line.split(['.', ';']))
            .filter_map(|part| part.trim().strip_suffix(what));
        numbers.filter_map(|number| number.trim().parse::<u64>().ok()).sum()
    };
    format!("in all: {} passed, {} failed, {} ignored", sum("passed"), sum("failed"), sum("ignored"))
}

/// The command's pages are made apart from the library's and before them, because both are called `slither`.
fn rustdoc(root: &Path) -> Result<(), String> {
    const PRIVATE: &[&str] = &["--no-deps", "--document-private-items"];
    for selection in [&["-p", "slither-cli"][..], &["--workspace", "--exclude", "slither-cli"]] {
        cargo(root, &["doc"]).args(selection).args(PRIVATE).env("RUSTDOCFLAGS", "-D warnings").run()?;
    }
    Ok(())
}

fn deny(root: &Path, _: &mut Vec<String>) -> Result<Outcome, String> {
    if !has_cargo("deny") {
        return Ok(Outcome::Skipped("cargo-deny is not installed"));
    }
    passed(cargo(root, &["deny", "check"]).run())
}

/// All examples with their baselines, in the form that other programs read: a line each.
fn example(root: &Path) -> Result<(), String> {
    let mut printed = String::new();
    let gather = |line: &str| printed.extend([line, "\n"]);
    cargo(root, &["run", "--release", "--", "example", "--all", "--json"]).run_watched(gather)?;
    // Where an interpreter without a GIL is named, as in CI, each baseline has to have run on it.
    let threaded = std::env::var_os("SLITHER_FREE_THREADED_PYTHON").is_some();
    judge_reports(&printed, threaded)
}

fn judge_reports(printed: &str, threaded: bool) -> Result<(), String> {
    if printed.trim().is_empty() {
        return Err("no example reported".into());
    }
    printed.lines().try_for_each(|line| judge_report(line, threaded))
}

fn judge_report(printed: &str, threaded: bool) -> Result<(), String> {
    let report: serde_json::Value =
        serde_json::from_str(printed).map_err(|error| format!("a line of stdout is no JSON: {error}"))?;
    let example = report["example"].as_str().ok_or("a report does not name its example")?;
    let checks = report["checks"].as_array().filter(|checks| !checks.is_empty());
    let checks = checks.ok_or_else(|| format!("the report of {example} has no checks"))?;
    let broken: Vec<_> =
        checks.iter().filter(|check| check["ok"] != true).map(|check| check["name"].to_string()).collect();
    if !broken.is_empty() {
        return Err(format!("checks of {example} failed: {}", broken.join(", ")));
    }
    if report["ledger"]["balanced"] != true {
        return Err(format!("the ledger of {example} is not balanced"));
    }
    let runs = report["baseline"]["runs"].as_array().filter(|runs| !runs.is_empty());
    let runs = runs.ok_or_else(|| format!("{example} has no baseline: {}", report["baseline"]["skipped"]))?;
    if threaded && !runs.iter().any(|run| run["gil"] == false) {
        return Err(format!("the baseline of {example} never ran without a GIL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_added_up() {
        let counts = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 40 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s",
        ];
        assert_eq!(total(&counts.map(str::to_owned)), "in all: 43 passed, 2 failed, 1 ignored");
    }

    const SOUND: &str = r#"{"example": "x", "checks": [{"name": "a", "ok": true}], "ledger": {"balanced": true}, "baseline": {"runs": [{"gil": true}, {"gil": false}]}}"#;

    #[test]
    fn a_report_needs_checks_that_hold_and_a_baseline() {
        assert_eq!(judge_reports(&format!("{SOUND}\n{SOUND}\n"), true), Ok(()));
        for (from, to) in [
            (r#""ok": true"#, r#""ok": false"#),
            (r#"[{"name": "a", "ok": true}]"#, "[]"),
            (r#""balanced": true"#, r#""balanced": false"#),
            (r#"[{"gil": true}, {"gil": false}]"#, "[]"),
            (r#"{"gil": false}"#, r#"{"gil": true}"#),
            ("{\"example\"", "progress\n{\"example\""),
        ] {
            let spoilt = SOUND.replace(from, to);
            assert_ne!(spoilt, SOUND);
            assert!(judge_reports(&spoilt, true).is_err(), "{spoilt}");
        }
        assert!(judge_reports("", false).is_err());
        let unthreaded = SOUND.replace(r#"{"gil": false}"#, r#"{"gil": true}"#);
        assert_eq!(judge_reports(&unthreaded, false), Ok(()));
    }
}
