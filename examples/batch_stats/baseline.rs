//! The datasets for plain Python.

use std::path::Path;

use serde_json::{Value, json};
use slither::ConfigError;

use super::datasets::{Cell, Dataset};
use super::input::Input;
use super::{NAME, PYTHON};
use crate::baseline::{MOST_ITEMS, Work};

/// How many datasets are gone through in all.
const DATASETS: usize = 1100;

/// The example's datasets or the user's, many times over.
///
/// # Errors
/// If the input is not as it must be.
pub(crate) fn work(input: Option<&Path>) -> Result<Work, ConfigError> {
    let input = input.map_or(Ok(Input::BuiltIn), Input::open)?;
    let datasets: Vec<_> = input.iter().take(MOST_ITEMS).map(|it| it.map(plain)).collect::<Result<_, _>>()?;
    let rounds = (DATASETS / datasets.len().max(1)).max(1);
    Ok(Work {
        example: NAME,
        module: "batch_stats_baseline",
        python: Some(&PYTHON),
        given: json!({ "datasets": datasets, "rounds": rounds }),
        prepares: false,
        beside: &[
            ("values_counted", "welford_recomputed"),
            ("mean", "welford_recomputed"),
            ("deviation", "welford_recomputed"),
            ("good_results_kept", "isolate_loses_none"),
            ("process_survives", "datasets_accounted"),
        ],
    })
}

/// As JSON that has NaN: Python reads the word, serde writes none.
fn plain(dataset: Dataset) -> Value {
    let cell = |cell| match cell {
        Cell::Number(number) if number.is_finite() => json!(number),
        Cell::Number(number) => json!({ "float": number.to_string() }),
        Cell::Text(text) => json!(text),
        Cell::Missing(()) => Value::Null,
    };
    let Dataset { number, name, group, values, address } = dataset;
    let values = values.map(|values| values.into_iter().map(cell).collect::<Vec<_>>());
    json!({ "number": number, "name": name, "group": group, "values": values, "address": address })
}
