//! The promises of Slither, a file each; one binary.

mod dispatch;
mod flow_events;
mod pipe;
mod pipe_build;
mod pipe_ledger;
