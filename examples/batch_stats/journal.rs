//! Which batches were begun, written down in Rust by a view: the record outlives a worker that dies of its batch.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use slither::store::{Store, Tables, View, ViewError};

/// A batch, or a part of one that is run again, as a worker announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    /// How often its items have been run, this time included.
    pub(super) attempt: u32,
    pub(super) numbers: Vec<u64>,
}

/// The batches of an act, in the order in which they were begun.
#[derive(Debug, Clone, Default)]
pub(super) struct Journal(Arc<Mutex<Vec<Begun>>>);

#[derive(Deserialize)]
struct Announced {
    numbers: Vec<u64>,
}

impl Journal {
    /// What was written since the last time.
    pub(super) fn take(&self) -> Vec<Begun> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Journal {
    fn tables(&self) -> Tables {
        Tables::new()
    }

    fn views(&self) -> Vec<View> {
        let journal = self.0.clone();
        vec![View::scalar("batch_begins", move |announced: Announced, view| {
            let Announced { numbers } = announced;
            let begun = Begun { attempt: view.context().attempt, numbers };
            journal.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
            Ok::<_, ViewError>(())
        })]
    }
}
