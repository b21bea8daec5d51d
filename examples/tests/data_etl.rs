//! `data_etl` from end to end, as the command runs it.

mod support;

use std::path::PathBuf;

use slither_examples::{EXAMPLES, Report, Settings};
use support::{broken, run_until};

async fn example(input: Option<PathBuf>, rows: u64) -> Result<Report, String> {
    let settings = Settings { input, output: None, workers: Some(2), chaos: None };
    run_until("data_etl", settings, move |_, items| items >= rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reloads_among_ten_thousand_rows_mix_nothing() {
    let report = example(None, u64::MAX).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.exit, 0);
    assert_eq!(report.outputs.values().sum::<u64>(), 10_032);
    assert!(report.outputs["default"] > 1000 && report.outputs["invalid"] > 1000, "{:?}", report.outputs);
    let reloads = report.checks.iter().find(|check| check.name == "reloads_done").unwrap();
    assert_eq!(reloads.actual, serde_json::json!({ "puts": 101, "reloads": 100 }));
    assert!(report.ledger.balanced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_users_is_checked_by_what_most_of_it_keeps_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.csv");
    let rows = (0..40).map(|number| match number {
        20 => "Zed;unknown\n".to_owned(),
        number => format!("P{number};{}\n", 20 + number),
    });
    std::fs::write(&path, "name;age\n".to_owned() + &rows.collect::<String>()).unwrap();
    let report = example(Some(path), u64::MAX).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    // Line 22 is in batch 2 and in the second act.
    assert_eq!((report.outputs["default"], report.outputs["invalid"]), (70, 2));
    assert_eq!(report.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_file_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.csv");
    std::fs::write(&path, "a,b\n1,2\n3\n").unwrap();
    let error = example(Some(path), u64::MAX).await.unwrap_err();
    assert!(error.contains("x.csv line 3: 1 cells, expected 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_accounts_for_what_it_pulled() {
    let report = example(None, 1000).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    let rows = report.outputs.values().sum::<u64>();
    assert!((1000..10_032).contains(&rows), "{rows}");
}

#[test]
fn it_is_listed() {
    assert!(EXAMPLES.iter().any(|example| example.name == "data_etl" && example.requirements.is_empty()));
}
