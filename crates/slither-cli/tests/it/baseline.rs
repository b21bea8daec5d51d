//! Promise: plain Python does the same work in processes of its own, and what is said of it is what they did.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Ended, Scratch, broken, run, slither, whole};

/// The free-threaded interpreter to test with. CI names one and so tests it for real; elsewhere there may be
/// none, and then it is said what was not run.
#[allow(clippy::print_stderr, reason = "who reads the tests' output is to know what was not run")]
fn free_threaded() -> Option<String> {
    let found = run(slither(&["doctor", "--json"])).json()["free_threaded"]["executable"].clone();
    let found = found.as_str().map(str::to_owned);
    assert!(
        found.is_some() || std::env::var_os("SLITHER_FREE_THREADED_PYTHON").is_none(),
        "the one named is none"
    );
    if found.is_none() {
        eprintln!("NOT RUN: there is no free-threaded python here (uv python install 3.14t)");
    }
    found
}

fn baseline(args: &[&str]) -> Ended {
    run(slither(&[&["baseline"], args].concat()))
}

/// Of each run: whether there was a GIL, the mode, how it ended, and what broke.
fn outcomes(report: &Value) -> Vec<(bool, String, String, Vec<String>)> {
    let outcome = |run: &Value| {
        let text = |name: &str| run[name].as_str().unwrap().to_owned();
        let invariants = run["invariants"].as_array().unwrap();
        assert!(!invariants.is_empty() && invariants.iter().all(|it| it["broke"].is_boolean()), "{run}");
        let broken = invariants.iter().filter(|it| it["broke"] == true);
        let broken = broken.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (run["gil"].as_bool().unwrap(), text("mode"), text("exit"), broken)
    };
    report["runs"].as_array().unwrap().iter().map(outcome).collect()
}

#[test]
fn a_segfault_takes_all_in_flight_along_with_locks_and_without() {
    let ended = baseline(&["batch_stats", "--json", "--python", "python3"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended}");
    let report = ended.json();
    assert_eq!((&report["example"], &report["skipped"]), (&"batch_stats".into(), &Value::Array(vec![])));
    let outcomes = outcomes(&report);
    assert_eq!(outcomes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["naive", "locked"]);
    for (_, mode, exit, broken) in outcomes {
        assert_eq!(exit, "SIGSEGV", "{mode}");
        assert!(
            broken.ends_with(&["good_results_kept".to_owned(), "process_survives".to_owned()]),
            "{broken:?}"
        );
    }
    let lost = &report["runs"][1]["invariants"].as_array().unwrap()[3];
    assert_eq!((&lost["expected"], &lost["actual"]), (&50.into(), &Value::Null));
}

#[test]
fn locks_keep_what_they_guard() {
    let python = free_threaded().unwrap_or_else(|| "python3".to_owned());
    for example in ["text_analysis", "data_etl"] {
        let ended = baseline(&[example, "--json", "--python", &python]);
        assert_eq!(ended.code(), Some(0), "{ended}");
        let outcomes = outcomes(&ended.json());
        let (_, mode, exit, broken) = outcomes.last().unwrap();
        assert_eq!(
            (mode.as_str(), exit.as_str(), broken.as_slice()),
            ("locked", "code 0", &[][..]),
            "{example}"
        );
    }
}

#[test]
fn without_a_gil_naive_threads_tear_a_running_figure() {
    let Some(python) = free_threaded() else { return };
    let ended = baseline(&["batch_stats", "--json", "--python", &python]);
    let outcomes = outcomes(&ended.json());
    assert!(outcomes.iter().all(|(gil, ..)| !gil), "{outcomes:?}");
    // Tens of thousands of updates of one object by four threads; with one core it would be luck.
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        assert!(outcomes[0].3.contains(&"values_counted".to_owned()), "{outcomes:?}");
    }
    assert!(!outcomes[1].3.contains(&"values_counted".to_owned()), "{outcomes:?}");
}

#[test]
fn packages_come_from_the_same_place_as_a_pools() {
    let python = free_threaded().unwrap_or_else(|| "python3".to_owned());
    let ended = baseline(&["image_pipeline", "--json", "--python", &python]);
    assert_eq!(ended.code(), Some(0), "{ended}");
    for (_, mode, exit, broken) in outcomes(&ended.json()) {
        assert_eq!(exit, "code 0", "{mode}");
        assert!(!broken.contains(&"thumbnails_as_serial".to_owned()), "{mode}: {broken:?}");
    }
}

#[test]
fn its_lines_stand_beside_those_of_the_example() {
    let ended = run(whole(&["example", "text_analysis", "--json", "--workers", "2"]));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let report = ended.json();
    assert_eq!(broken(&report), [&Value::Null; 0]);
    let runs = outcomes(&report["baseline"]);
    assert_eq!(runs.len() % 2, 0);
    assert!(runs.len() == if free_threaded().is_some() { 4 } else { 2 }, "{runs:?}");

    let read = run(whole(&["example", "batch_stats", "--workers", "2"])).stdout;
    let (_, table) = read.split_once("The same work in plain Python threads\n").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][2], "Slither");
    for row in &rows[1..] {
        assert!(row.contains(&"ok"), "{row:?} has nothing of Slither's beside it: {read}");
    }
}

#[test]
fn a_named_interpreter_that_is_none_stops_a_baseline_and_no_example() {
    let scratch = Scratch::new();
    let named = |mut command: Command| {
        command.env("SLITHER_FREE_THREADED_PYTHON", scratch.path().join("none"));
        run(command)
    };
    assert_snapshot!(named(slither(&["baseline", "text_analysis"])).snapshot(&[(scratch.path(), "DIR")]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: SLITHER_FREE_THREADED_PYTHON names DIR/none as the python to use, but: there is no such file
      hint: unset it, or install one: `uv python install 3.14t`
    ");
    let ended = named(whole(&["example", "text_analysis", "--json"]));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let skipped = ended.json()["baseline"]["skipped"][0]["reason"].as_str().unwrap().to_owned();
    assert!(skipped.contains("SLITHER_FREE_THREADED_PYTHON names"), "{skipped}");
    let old = scratch.python("3.9.18").to_string_lossy().into_owned();
    let refused = baseline(&["text_analysis", "--python", &old]);
    assert_eq!(refused.code(), Some(2));
    assert!(refused.stderr.contains("is too old"), "{refused}");
}

#[test]
fn the_ones_of_the_standard_library_are_run_and_summed_up_offline() {
    let json = run(slither(&["example", "--stdlib", "--json"]));
    assert_eq!(json.code(), Some(0), "{json}");
    let reports: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = reports.iter().map(|report| report["example"].as_str().unwrap()).collect();
    assert_eq!(names, ["text_analysis", "batch_stats", "data_etl"]);
    assert!(reports.iter().all(|report| report["exit"] == 0 && broken(report).is_empty()));

    let mut offline = slither(&["example", "--all", "--stdlib", "--workers", "2"]);
    offline.env("SLITHER_OFFLINE", "1");
    let read = run(offline);
    assert_eq!(read.code(), Some(0), "{read}");
    assert_eq!(read.stderr, "1/3 text_analysis\n2/3 batch_stats\n3/3 data_etl\n");
    let (_, summary) = read.stdout.split_once("Summary: what this run showed\n").unwrap();
    assert_eq!(summary.lines().count(), 4, "{summary}");
    assert!(summary.contains("81 documents counted by 2 workers, merged = serial"), "{summary}");
    assert!(summary.contains("0 good datasets lost under isolate"), "{summary}");
    assert!(!summary.contains("instead of"), "nothing is said of plain Python that was not run: {summary}");
}

#[test]
fn an_example_that_cannot_run_keeps_no_other_from_it() {
    let scratch = Scratch::new();
    let venv = scratch.path().join("venv");
    let made = Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(&venv).status().unwrap();
    assert!(made.success());
    // What every run needs is there, and Pillow is not.
    let mut setup = slither(&["setup"]);
    let cache = scratch.path().join("cache");
    setup.env("SLITHER_PYTHON", venv.join("bin/python")).env("SLITHER_CACHE_DIR", &cache);
    assert_eq!(run(setup).code(), Some(0));
    let mut all = slither(&["example", "--all", "--json"]);
    all.env("SLITHER_PYTHON", venv.join("bin/python"))
        .env("SLITHER_CACHE_DIR", &cache)
        .env("SLITHER_OFFLINE", "1");
    let ended = run(all);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stdout.lines().count(), 3, "{ended}");
    assert!(
        ended.stderr.contains("lacks msgspec>=0.18.6, Pillow>=10, and SLITHER_OFFLINE is set"),
        "{ended}"
    );
    assert!(ended.stderr.contains("error: could not run: "), "{ended}");
}

#[test]
fn no_baseline_alone_lists() {
    let listed = run(slither(&["example"])).stdout;
    assert_eq!(run(whole(&["example", "--no-baseline"])).stdout, listed);
}

#[test]
fn misuse_is_refused_before_any_work() {
    assert_snapshot!(baseline(&["text_analisys"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unknown example `text_analisys`
      hint: did you mean `text_analysis`?
    ");
    for args in
        [&["baseline"][..], &["baseline", "text_analysis", "--all"], &["example", "data_etl", "--all"]]
    {
        let ended = run(whole(args));
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{ended}");
    }
}
