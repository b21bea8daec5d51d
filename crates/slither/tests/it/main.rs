//! The promises of Slither, a file each; one binary.

mod dispatch;
mod environments;
mod pipe;
mod pool;
mod snapshot_is_one_version;
mod support;
