//! An example's outcome in a phrase, made of its own figures: the last column of the summary.

use serde_json::Value;

use crate::report::Report;
use crate::{
    batch_stats, data_etl, failure_domains, hybrid_routing, image_pipeline, ml_scoring, text_analysis,
};

/// What an example showed; or which of its checks did not hold, which comes first.
pub fn achieved(report: &Report) -> String {
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect();
    if !broken.is_empty() {
        return format!("FAILED: {}", broken.join(", "));
    }
    let actual = |name: &str| {
        let check = report.checks.iter().find(|check| check.name == name);
        check.map_or_else(|| "?".to_owned(), |check| short(&check.actual))
    };
    let arrived: u64 = report.outputs.values().sum();
    match report.example {
        text_analysis::NAME => {
            format!("{arrived} documents counted by {} workers, merged = serial", actual("workers_distinct"))
        }
        batch_stats::NAME => format!(
            "{} good datasets lost under isolate, {} workers died and were replaced",
            actual("isolate_loses_none"),
            actual("deaths_explained")
        ),
        data_etl::NAME => format!("{arrived} rows, reloads: {}, none torn", actual("reloads_done")),
        ml_scoring::NAME => format!(
            "models differ on {} of 20 records; one lost with its worker and trained again, the other untouched",
            actual("predictions_diverge")
        ),
        image_pipeline::NAME => format!("{arrived} thumbnails, peak {}", actual("peak_within_bound")),
        hybrid_routing::NAME => format!(
            "{arrived} items, computing in `{}`; threads alone lost {} beside crashes",
            actual("computing_goes_where_it_runs_at_once"),
            actual("threads_lose_what_runs_beside_a_crash")
        ),
        failure_domains::NAME => format!(
            "a crash took {} calls along in threads and none in processes; threads hold a model once",
            actual("a_crash_among_threads_takes_calls_beside_it_along")
        ),
        _ => format!("{} checks hold", report.checks.len()),
    }
}

/// Of an object its numbers.
fn short(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let numbers = fields.iter().filter(|(_, value)| value.is_number());
            numbers.map(|(name, value)| format!("{value} {name}")).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        plain => plain.to_string(),
    }
}
