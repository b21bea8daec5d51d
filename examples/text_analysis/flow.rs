//! The pipe, and the types that travel through it.

use serde::{Deserialize, Serialize};
use slither::{Call, ConfigError, OnError, Pipe, Router, StoreHandle};

use super::merge::WordCounts;
use super::stopwords::StopwordStore;
use crate::documents::Document;

/// The module that the workers import.
pub(super) const MODULE: &str = "text_analyzer";
/// Documents in a batch.
pub(super) const BATCH: usize = 8;

/// A document on its way to Python; it carries the version of the stopwords, not the words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) stopwords: u64,
}

/// What Python makes of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Analysis {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) words: u64,
    pub(super) sentences: u64,
    pub(super) readability: Readability,
    pub(super) sentiment: Sentiment,
    pub(super) excerpt: String,
}

/// How easily a document reads.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Readability {
    pub(super) flesch_reading_ease: f64,
    pub(super) grade: f64,
}

/// The feeling of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sentiment {
    pub(super) label: String,
    pub(super) score: f64,
}

/// What a worker has counted.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WorkerStats {
    pub(super) documents: u64,
    pub(super) words: u64,
    pub(super) vocabulary: u64,
    pub(super) index: WordCounts,
}

/// prepare, analyze, classify.
pub(super) fn pipe(
    stopwords: StoreHandle<StopwordStore>,
    in_flight: usize,
    on_error: OnError,
) -> Result<Pipe<Document, Analysis>, ConfigError> {
    let labelled = |label: &'static str| move |analysis: &Analysis| analysis.sentiment.label == label;
    Pipe::builder("text_analysis")
        .map("prepare", move |document: Document, _: &_| {
            let Document { name, text } = document;
            Prepared { name, text, stopwords: stopwords.version() }
        })
        .python::<Analysis>(
            "analyze",
            Call::new(format!("{MODULE}:analyze_batch"))
                .pool("analysis")
                .batch_size(BATCH)
                .max_in_flight(in_flight),
        )
        .route(
            "classify",
            Router::new()
                .when("positive", labelled("positive"))
                .when("negative", labelled("negative"))
                .when("neutral", labelled("neutral")),
        )
        .on_error("analyze", on_error)
        .build()
}
