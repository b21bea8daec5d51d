//! The promises of Slither, a file each; one binary.

mod dispatch;
mod pipe;
mod pipe_build;
mod pipe_ledger;
