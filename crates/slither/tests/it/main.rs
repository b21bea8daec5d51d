//! The promises of Slither, a file each; one binary.

mod dispatch;
mod environments;
mod faults;
mod pipe;
mod pipe_build;
mod pipe_ledger;
mod pool;
mod snapshot_is_one_version;
mod support;
