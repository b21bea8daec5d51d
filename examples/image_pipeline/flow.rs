//! The pipe, and the types that travel through it.

use serde::{Deserialize, Serialize};
use slither::{Call, ConfigError, OnError, Pipe, WeightedBatch};

/// The module that the workers import.
pub(super) const MODULE: &str = "image_processor";
/// The package it needs.
pub(super) const PILLOW: &str = "Pillow>=10";

/// The pool that paints pictures or looks at headers, and makes the contact sheet.
pub(super) const STUDIO: &str = "studio";
/// The pool that makes thumbnails, behind the bounds.
pub(super) const BOUNDED: &str = "thumbnails";
/// The pool that makes them all at once.
pub(super) const UNBOUNDED: &str = "unlimited";

/// Pictures that are prepared together.
const PREPARED: usize = 10;
/// Pixels that are decoded together, unless one picture alone has more.
pub(super) const MAX_WEIGHT: u64 = 2_000_000;
/// Batches of thumbnails under way at a time.
pub(super) const IN_FLIGHT: usize = 2;

/// A picture to be painted, or one that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(super) name: String,
    pub(super) path: String,
    /// Where its thumbnail goes.
    pub(super) thumbnail: String,
    pub(super) width: u32,
    pub(super) height: u32,
    /// What it shows, if it is to be painted.
    pub(super) seed: Option<u64>,
}

/// A picture that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) path: String,
    /// Where its thumbnail goes; nowhere if empty.
    pub(super) thumbnail: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: String,
    /// What a pixel takes in memory at most.
    pub(super) pixel_bytes: u64,
}

impl Picture {
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A thumbnail, and when, where and in which of the worker's batches it was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Thumbnail {
    pub(super) picture: Picture,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    pub(super) pid: u32,
    pub(super) batch: u64,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
}

/// What one worker has done, and the memory it took.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WorkerStats {
    pub(super) pid: u32,
    pub(super) batches: u64,
    pub(super) images: u64,
    pub(super) pixels: u64,
    pub(super) baseline_bytes: u64,
    pub(super) peak_bytes: u64,
}

impl WorkerStats {
    /// What pictures took, beyond what was there before the first.
    pub(super) fn growth(&self) -> u64 {
        self.peak_bytes.saturating_sub(self.baseline_bytes)
    }
}

/// What became of the contact sheet.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sheet {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) tiles: u64,
}

/// Pictures are prepared by tens, and made into thumbnails by their weight in pixels.
pub(super) fn pipe(on_error: OnError) -> Result<Pipe<Wanted, Thumbnail>, ConfigError> {
    Pipe::builder("image_pipeline")
        .python::<Picture>(
            "prepare",
            Call::new(format!("{MODULE}:prepare_batch")).pool(STUDIO).batch_size(PREPARED),
        )
        .python::<Thumbnail>(
            "thumbnail",
            Call::new(format!("{MODULE}:thumbnail_batch"))
                .pool(BOUNDED)
                .batching(WeightedBatch::new(MAX_WEIGHT, Picture::pixels))
                .max_in_flight(IN_FLIGHT),
        )
        .on_error("*", on_error)
        .build()
}
