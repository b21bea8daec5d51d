//! The documents for plain Python.

use std::path::Path;

use serde_json::json;
use slither::ConfigError;

use super::{NAME, PYTHON, corpus, stopwords};
use crate::baseline::{MOST_ITEMS, Work};
use crate::documents::{Document, Documents};

/// How many documents are gone through in all; the corpus is small, and races need their time.
const DOCUMENTS: usize = 1620;

/// The corpus or the user's documents, each as often as makes for about 1600 of them.
///
/// # Errors
/// If the input is not as it must be.
pub(crate) fn work(input: Option<&Path>) -> Result<Work, ConfigError> {
    let documents = input.map_or_else(|| Ok(corpus()), Documents::open)?;
    let named = |Document { name, text }| json!({ "name": name, "text": text, "stopwords": 0 });
    let documents: Vec<_> =
        documents.iter().take(MOST_ITEMS).map(|it| it.map(named)).collect::<Result<_, _>>()?;
    let rounds = (DOCUMENTS / documents.len().max(1)).max(1);
    let words: Vec<_> = stopwords::words().collect();
    Ok(Work {
        example: NAME,
        module: "text_analysis_baseline",
        python: Some(&PYTHON),
        given: json!({ "documents": documents, "stopwords": words, "rounds": rounds }),
        prepares: false,
        beside: &[
            ("index_occurrences", "merged_equals_serial"),
            ("index_words_right", "merged_equals_serial"),
            ("words_indexed", "merged_equals_serial"),
            ("documents_counted", "worker_counts_sum"),
            ("process_survives", "documents_accounted"),
        ],
    })
}
