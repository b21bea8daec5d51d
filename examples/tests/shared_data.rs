//! `shared_data` from end to end, as the command runs it.

mod support;

use slither_examples::Settings;

use support::{broken, run_until};

#[tokio::test(flavor = "multi_thread")]
async fn values_of_each_size_are_read_and_written_in_each_way() {
    let report = run_until("shared_data", Settings::default(), |_, _| false).await.unwrap();
    assert_eq!(broken(&report), [""; 0]);
    assert_eq!((report.exit, report.workers.len()), (0, 4));
    assert!(report.workers.iter().all(|row| row["view_reads_per_s"].as_f64().is_some_and(|rate| rate > 0.0)));
}
