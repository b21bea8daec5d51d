//! The pictures for plain Python.

use std::path::Path;

use serde_json::json;
use slither::ConfigError;

use super::evidence::ALLOWANCE;
use super::flow::{IN_FLIGHT, MAX_WEIGHT};
use super::{NAME, PYTHON, pictures};
use crate::baseline::Work;

/// Pictures that are taken at most: they are all held open at once.
const PICTURES: usize = 60;

/// The pictures, to be painted or the user's, and the bound that two bounded workers keep together.
///
/// # Errors
/// If the input is not as it must be.
pub(crate) fn work(input: Option<&Path>, folder: &Path) -> Result<Work, ConfigError> {
    let thumbnails = folder.join("thumbnails");
    let painted = folder.join("pictures");
    std::fs::create_dir_all(&painted).map_err(|error| super::unwritten(&error))?;
    let mut wanted = match input {
        Some(path) => pictures::found(path, &thumbnails)?,
        None => pictures::painted(&painted, &thumbnails)?,
    };
    wanted.truncate(PICTURES);
    Ok(Work {
        example: NAME,
        module: "image_pipeline_baseline",
        python: Some(&PYTHON),
        given: json!({
            "pictures": wanted, "max_weight": MAX_WEIGHT, "allowance": ALLOWANCE, "in_flight": IN_FLIGHT,
        }),
        prepares: input.is_none(),
        beside: &[
            ("peak_memory_mb", "peak_within_bound"),
            ("thumbnails_made", "thumbnails_written"),
            ("thumbnails_as_serial", "thumbnails_equal"),
            ("process_survives", "pictures_accounted"),
        ],
    })
}
