//! `failure_domains` from end to end, as the command runs it.

mod support;

use slither_examples::Settings;

use support::{broken, run_until};

#[tokio::test(flavor = "multi_thread")]
async fn what_each_kind_of_pool_loses_and_keeps_is_shown() {
    let report = run_until("failure_domains", Settings::default(), |_, _| false).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!((report.exit, report.workers.len()), (0, 2));
    assert_eq!(report.workers[0]["failed"], 1, "processes lose the call to blame alone");
    // Everything that a run took in is accounted for: four runs of two hundred items.
    assert!(report.ledger.balanced && report.ledger.ledger.pulled == 800);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_thread_has_no_call_beside_the_one_that_crashes() {
    let settings = Settings { workers: Some(1), ..Settings::default() };
    let report = run_until("failure_domains", settings, |_, _| false).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!(report.workers[1]["failed"], 1);
}
