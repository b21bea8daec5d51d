//! Tests by promise.

mod snapshot_is_one_version;
