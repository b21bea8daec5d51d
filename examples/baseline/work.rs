//! What a baseline is given: the data of its example, and which of its findings stand beside which checks.

use std::path::Path;

use include_dir::Dir;
use serde_json::Value;
use slither::ConfigError;

use super::scoring;
use crate::{batch_stats, data_etl, image_pipeline, text_analysis};

/// The work of an example, for plain Python.
pub(crate) struct Work {
    /// The example's name.
    pub(crate) example: &'static str,
    /// The module of `baseline/python` that does it.
    pub(crate) module: &'static str,
    /// The example's own modules, if it imports any.
    pub(crate) python: Option<&'static Dir<'static>>,
    /// What it is given, as JSON.
    pub(crate) given: Value,
    /// Whether its pictures and the like have to be made first.
    pub(crate) prepares: bool,
    /// Each invariant that has a counterpart among the example's checks, with that check's name.
    pub(crate) beside: &'static [(&'static str, &'static str)],
}

/// How much of a user's input is taken: a baseline compares, it does not compete.
pub(crate) const MOST_ITEMS: usize = 2000;

/// The work of the example of that name; `folder` is for files, and goes when the baseline is over.
///
/// # Errors
/// If the input is not as it must be.
pub(super) fn of(example: &str, input: Option<&Path>, folder: &Path) -> Result<Work, ConfigError> {
    match example {
        text_analysis::NAME => text_analysis::baseline_work(input),
        batch_stats::NAME => batch_stats::baseline_work(input),
        data_etl::NAME => data_etl::baseline_work(input),
        image_pipeline::NAME => image_pipeline::baseline_work(input, folder),
        scoring::NAME => Ok(scoring::work()),
        other => Err(ConfigError::new(format!("example `{other}` has no baseline"))),
    }
}
