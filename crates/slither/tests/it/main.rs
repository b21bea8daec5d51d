//! The integration tests: one binary, a file per promise.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod environments;
