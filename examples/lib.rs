//! The examples: real pipes over real data, each of which proves by checks what it shows.
//!
//! An example never prints. It tells an [`Observer`] how far it is and returns a [`Report`], which the command
//! shows to a person or writes as JSON.

mod achieved;
pub mod baseline;
pub mod batch_stats;
mod comparison;
pub mod data_etl;
pub mod documents;
pub mod failure_domains;
pub mod faults;
pub mod hybrid_routing;
pub mod image_pipeline;
mod jsonl;
pub mod ml_scoring;
pub mod observe;
pub mod report;
pub mod shared_data;
pub mod text_analysis;

pub use achieved::achieved;
pub use observe::{Observer, Stop};
pub use report::{Check, Report, Section};

use std::path::PathBuf;
use std::sync::Arc;

use slither::{Chaos, ConfigError};

/// An example as the list shows it.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows, in a line.
    pub summary: &'static str,
    /// Packages it needs beside the standard library.
    pub requirements: &'static [&'static str],
    /// Whether it is run by its name only: it compares and measures by itself.
    pub alone: bool,
}

/// Every example, in the order of the guide.
pub const EXAMPLES: &[Listed] = &[
    Listed {
        name: text_analysis::NAME,
        summary: "documents through a pipe; every worker counts for itself, and Rust merges the counts",
        requirements: &[],
        alone: false,
    },
    Listed {
        name: batch_stats::NAME,
        summary: "good datasets among bad ones, one of which kills its worker; what each policy loses is counted",
        requirements: &[],
        alone: false,
    },
    Listed {
        name: data_etl::NAME,
        summary: "rows checked by a schema that is reloaded while they flow; none meets half a change",
        requirements: &[],
        alone: false,
    },
    Listed {
        name: ml_scoring::NAME,
        summary: "two sessions with models of their own, one of which loses its worker and has to train again",
        requirements: ml_scoring::REQUIREMENTS,
        alone: false,
    },
    Listed {
        name: image_pipeline::NAME,
        summary: "thumbnails of small and large pictures, in memory bounded by their pixels and measured",
        requirements: image_pipeline::REQUIREMENTS,
        alone: false,
    },
    Listed {
        name: hybrid_routing::NAME,
        summary: "work that waits, computes or crashes, each routed to its kind of pool; beside one kind for all",
        requirements: &[],
        alone: true,
    },
    Listed {
        name: failure_domains::NAME,
        summary: "a crash, recycling, sessions and a large model, in processes and in threads; what each costs",
        requirements: &[],
        alone: true,
    },
    Listed {
        name: shared_data::NAME,
        summary: "values asked of a store, carried with items, and shared by threads; what a read costs, and why",
        requirements: &[],
        alone: true,
    },
];

/// What an example is given.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The user's own data, instead of what ships with the example.
    pub input: Option<PathBuf>,
    /// Where files are written that are to be kept; for examples that write any.
    pub output: Option<PathBuf>,
    /// Workers; by default one a core.
    pub workers: Option<usize>,
    /// Faults that its workers are to have; for examples that do not bring their own.
    pub chaos: Option<Chaos>,
}

/// The example of that name.
///
/// # Errors
/// If there is none; with the nearest name.
pub fn find(name: &str) -> Result<&'static Listed, ConfigError> {
    let found = EXAMPLES.iter().find(|example| example.name == name);
    found.ok_or_else(|| ConfigError::unknown("example", name, EXAMPLES.iter().map(|example| example.name)))
}

/// Runs an example to its end, or until it is told to stop.
///
/// # Errors
/// If it cannot run: its input is missing or malformed, or the environment is not as it must be. What goes
/// wrong with single items is part of the report.
pub async fn run(
    example: &Listed,
    settings: Settings,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Report, ConfigError> {
    if settings.output.is_some() && example.name != image_pipeline::NAME {
        return Err(ConfigError::new(format!("the example `{}` writes no files", example.name))
            .hint(format!("leave --output out, or run {}", image_pipeline::NAME)));
    }
    if settings.chaos.is_some() && example.name == batch_stats::NAME {
        return Err(ConfigError::new(format!("the example `{}` takes no chaos", example.name))
            .hint("leave --chaos out: its datasets raise and kill workers themselves, and each death is accounted for"));
    }
    match example.name {
        text_analysis::NAME => text_analysis::run(settings, observer, stop).await,
        batch_stats::NAME => batch_stats::run(settings, observer, stop).await,
        data_etl::NAME => data_etl::run(settings, observer, stop).await,
        ml_scoring::NAME => ml_scoring::run(settings, observer, stop).await,
        image_pipeline::NAME => image_pipeline::run(settings, observer, stop).await,
        hybrid_routing::NAME => hybrid_routing::run(settings, observer, stop).await,
        failure_domains::NAME => failure_domains::run(settings, observer, stop).await,
        shared_data::NAME => shared_data::run(settings, observer, stop).await,
        other => Err(ConfigError::new(format!("example `{other}` is listed but cannot be run"))),
    }
}
