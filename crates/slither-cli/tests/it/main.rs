//! The promises of the `slither` command, a file each, on the built binary.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod adapter;
mod baseline;
mod chaos;
mod crash;
mod data_etl;
mod documents;
mod environment;
mod examples;
mod image_pipeline;
mod matrix;
mod ml_scoring;
mod output;
mod probe;
mod refusals;
mod route;
mod signals;
mod support;
