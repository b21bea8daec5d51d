//! `batch_stats` from end to end, as the command runs it.

mod support;

use std::path::PathBuf;

use slither_examples::{Report, Settings};
use support::{broken, run_until};

async fn example(input: Option<PathBuf>, datasets: u64, workers: usize) -> Result<Report, String> {
    let settings = Settings { input, output: None, workers: Some(workers), chaos: None };
    run_until("batch_stats", settings, move |_, items| items >= datasets).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_kills_costs_its_neighbours_under_skip_and_nobody_under_isolate() {
    for workers in [1, 2, 5] {
        let report = example(None, u64::MAX, workers).await.unwrap();
        assert_eq!(broken(&report), [""; 0], "{workers} workers");
        assert_eq!((report.exit, report.failed), (0, 0));
        assert!(report.checks.iter().any(|check| check.name == "killed_by_sigsegv"));
        let isolated: Vec<_> = report.outputs.iter().filter(|(name, _)| name.ends_with("isolate")).collect();
        assert_eq!(isolated.len(), 4);
        assert!(isolated.iter().all(|(_, described)| **described == 50), "{isolated:?}");
        assert_eq!(report.outputs["fixed/skip"], 16);
        assert!(report.ledger.balanced);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_column_of_the_users_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weather.csv");
    let rows = (0..2500).map(|row| match row {
        1200 => "north,n/a,1.5\n".to_owned(),
        row => format!("north,{},{}\n", row % 40, f64::from(row) / 7.0),
    });
    std::fs::write(&path, "place,rain,wind\n".to_owned() + &rows.collect::<String>()).unwrap();
    let report = example(Some(path), u64::MAX, 2).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!((report.exit, report.failed), (1, 1));
    assert_eq!(report.failures[0].name.as_deref(), Some("rain, lines 1002 to 2001"));
    assert_eq!(report.failures[0].message, "value 201 of rain, lines 1002 to 2001 is no number: 'n/a'");
    assert_eq!((report.outputs["fixed/skip"], report.outputs["fixed/isolate"]), (0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_file_loses_nothing_under_either_policy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lists.jsonl");
    let lines: String = (0..40).map(|line| format!("[{line}, {}, 3.5]\n", line * line)).collect();
    std::fs::write(&path, lines).unwrap();
    let report = example(Some(path), u64::MAX, 2).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.exit, 0);
    assert!(report.outputs.values().all(|described| *described == 40), "{:?}", report.outputs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_file_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::write(&path, "[1]\n{\n").unwrap();
    let error = example(Some(path), u64::MAX, 2).await.unwrap_err();
    assert!(error.contains("x.jsonl line 2, column 1: not JSON"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_accounts_for_what_it_pulled() {
    let report = example(None, 100, 2).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert!(report.outputs.len() < 8, "{:?}", report.outputs);
}
