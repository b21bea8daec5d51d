//! `hybrid_routing` from end to end, as the command runs it.

mod support;

use slither_examples::Settings;

use support::{broken, run_until};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_goes_where_its_reason_says_and_only_threads_lose_their_neighbours() {
    let settings = Settings { workers: Some(2), ..Settings::default() };
    let report = run_until("hybrid_routing", settings, |_, _| false).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!((report.exit, report.checks.len(), report.workers.len()), (0, 7, 3));
    assert_eq!(report.outputs["legacy"], 57, "three of sixty crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_thread_is_no_better_than_a_process_for_computing() {
    let settings = Settings { workers: Some(1), ..Settings::default() };
    let report = run_until("hybrid_routing", settings, |_, _| false).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_no_input() {
    let settings = Settings { input: Some("anything".into()), ..Settings::default() };
    let error = run_until("hybrid_routing", settings, |_, _| false).await.unwrap_err();
    assert!(error.starts_with("the example `hybrid_routing` takes no input and no chaos"), "{error}");
}
