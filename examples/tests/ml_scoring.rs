//! `ml_scoring` from end to end, as the command runs it. scikit-learn is installed if it is not there yet.

mod support;

use std::path::PathBuf;

use serde_json::Value;
use slither_examples::{Report, Settings};
use support::{broken, run_until};

async fn until(step: &'static str, input: Option<PathBuf>, workers: Option<usize>) -> Result<Report, String> {
    let settings = Settings { input, output: None, workers, chaos: None };
    run_until("ml_scoring", settings, move |now, _| !step.is_empty() && now == step).await
}

async fn example(workers: Option<usize>) -> Report {
    until("", None, workers).await.unwrap_or_else(|error| panic!("{error}"))
}

fn workers<'a>(report: &'a Report, session: &str) -> Vec<&'a Value> {
    let of = report.workers.iter().filter(|worker| worker["session"] == session);
    of.filter_map(|worker| worker.get("models")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_keeps_its_model_and_one_gets_over_the_death_of_its_worker() {
    let report = example(Some(2)).await;
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!((report.exit, report.failed), (0, 0), "what was lost was lost on purpose");
    // Five runs of twenty records and less, and the twenty that were lost with their session.
    let ledger = report.ledger.ledger;
    assert_eq!((ledger.pulled, ledger.emitted, ledger.failed), (288, 268, 20));
    assert_eq!(report.outputs["sure"] + report.outputs["unsure"], 268);
    assert_eq!(workers(&report, "A"), [&Value::from(vec!["a", "breast_cancer"])]);
    assert_eq!(workers(&report, "B"), [&Value::from(vec!["b", "wine"])]);
    assert!(report.workers.iter().any(|worker| worker.get("lost").is_some() && worker["session"] == "A"));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_beyond_two_change_nothing() {
    let report = example(Some(4)).await;
    assert_eq!((broken(&report), report.exit), (Vec::new(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_refused_before_any_work() {
    let one = until("starting workers", None, Some(1)).await.unwrap_err();
    assert_eq!(
        one,
        "the example `ml_scoring` needs at least 2 workers, one for each of its two sessions; got 1\n  \
         hint: leave --workers out, or give 2 or more"
    );
    let input = until("starting workers", Some("mine.csv".into()), None).await.unwrap_err();
    assert!(input.starts_with("the example `ml_scoring` takes no input"), "{input}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_the_middle_of_an_act() {
    let stopped = until("the worker of session A is killed", None, Some(2)).await.unwrap_err();
    assert_eq!(stopped, "stopped before the end");
}
