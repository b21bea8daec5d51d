//! The promises of Slither, a file each; one binary.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod breaker;
mod call_batch;
mod cancel;
mod chaos;
mod dead_letters;
mod dispatch;
mod dispatch_batching;
mod environments;
mod faults;
mod flow_events;
mod free_threaded;
mod guides_python;
mod objects;
mod pages;
mod pipe;
mod pipe_branches;
mod pipe_build;
mod pipe_ledger;
mod pipe_policies;
mod pipe_rust_stages;
mod poison;
mod pool;
mod progress;
mod promises;
mod python_suite;
mod recycling;
mod retry;
mod scratch_crate;
mod sessions;
mod snapshot_is_one_version;
mod sticky;
mod support;
mod troubleshooting;
mod views_never_wait_for_themselves;
mod yields;
