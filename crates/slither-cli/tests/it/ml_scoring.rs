//! Promise: `slither example ml_scoring` loses a worker on purpose, says so, and ends well; it refuses what it cannot do.

use insta::assert_snapshot;

use crate::support::{actual, broken, run, slither};

#[test]
fn what_is_lost_on_purpose_is_no_failure_and_no_warning() {
    // scikit-learn, fetched once.
    assert_eq!(run(slither(&["setup", "ml_scoring"])).code(), Some(0));
    let ended = run(slither(&["example", "ml_scoring", "--json", "--workers", "2"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended}");
    let report = ended.json();
    assert_eq!(broken(&report), [&serde_json::Value::Null; 0]);
    assert_eq!((&report["exit"], report["failures"].as_array().map(Vec::len)), (&0.into(), Some(0)));
    assert_eq!(report["ledger"]["failed"], 20, "the ledger counts them all the same");
    assert_eq!(actual(&report, "lost_loudly"), &serde_json::json!({ "session_lost": 22 }));
}

#[test]
fn one_worker_is_too_few_and_an_input_is_none_of_its_business() {
    assert_snapshot!(run(slither(&["example", "ml_scoring", "--workers", "1"])).snapshot(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the example `ml_scoring` needs at least 2 workers, one for each of its two sessions; got 1
      hint: leave --workers out, or give 2 or more
    ");
    assert_snapshot!(run(slither(&["example", "ml_scoring", "--input", "mine.csv"])).snapshot(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the example `ml_scoring` takes no input
      hint: leave --input out: it learns from data sets that come with scikit-learn
    ");
}
