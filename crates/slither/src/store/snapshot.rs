//! [`Snapshot`]: one version of a store, kept for as long as a reader likes.

use std::ops::Deref;
use std::sync::Arc;

use super::Contents;

/// One version of a store: the same, over all keys and tables, for as long as it is held.
///
/// Taking one never waits, for a writer or for anybody else, and cloning one costs a reference count. It
/// reads through [`Contents`]. What was written after it was taken is not in it; take another to see it.
///
/// It keeps its version alive: rows that have since been replaced or deleted stay in memory until it is
/// dropped. Hold it for a request, not for the life of a service.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Contents>);

impl Snapshot {
    pub(super) fn new(contents: Arc<Contents>) -> Self {
        Self(contents)
    }
}

impl Deref for Snapshot {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.0
    }
}
