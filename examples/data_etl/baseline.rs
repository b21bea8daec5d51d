//! The rows and the schemas for plain Python.

use std::path::Path;

use serde_json::json;
use slither::ConfigError;

use super::rows::Input;
use super::{NAME, PYTHON, RELOADS};
use crate::baseline::Work;

/// Rows that are checked at most.
const ROWS: usize = 10_000;
/// Versions that follow each other.
const VERSIONS: u64 = 4;

/// The rows of the second act, the user's or the example's, and the first versions of their schema.
///
/// # Errors
/// If the input is not as it must be.
pub(crate) fn work(input: Option<&Path>) -> Result<Work, ConfigError> {
    let input = input.map_or_else(Input::built_in, Input::open)?;
    let rows: Vec<_> =
        input.rows(3).take(ROWS).map(|row| row.map(|row| row.cells)).collect::<Result<_, _>>()?;
    let schemas: Vec<_> = (1..=VERSIONS).map(|version| input.edition.at(version)).collect();
    Ok(Work {
        example: NAME,
        module: "data_etl_baseline",
        python: Some(&PYTHON),
        given: json!({ "rows": rows, "schemas": schemas, "reloads": 2 * RELOADS }),
        prepares: false,
        beside: &[
            ("torn_rows", "verdicts_recomputed"),
            ("reloads_met", "versions_as_expected"),
            ("audit_log_length", "audit_logs_match"),
            ("audit_log_rows", "audit_logs_match"),
            ("validations_counted", "audit_logs_match"),
            ("process_survives", "rows_accounted"),
        ],
    })
}
