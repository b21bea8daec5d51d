//! The store: a value of each size, and a view that counts what finding one takes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Deserialize;
use slither::store::{BoxError, Scope, Tables, Transaction, ViewContext, ViewError};
use slither::{Store, Table, View};

/// Sizes of the values in bytes; each is found under its place here.
pub(super) const SIZES: [usize; 4] = [16, 1024, 65_536, 1_048_576];

pub(super) const VALUES: Table<u64, String> = Table::set("values");

/// Values, and how long lookups took.
#[derive(Debug, Default)]
pub(super) struct Shared {
    counts: std::sync::Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    lookups: AtomicU64,
    nanoseconds: AtomicU64,
}

#[derive(Deserialize)]
struct Asked {
    key: u64,
}

impl Shared {
    /// How many lookups there were, and how long they took together.
    pub(super) fn looked(&self) -> (u64, Duration) {
        (self.counts.lookups.load(Relaxed), Duration::from_nanos(self.counts.nanoseconds.load(Relaxed)))
    }
}

impl Store for Shared {
    fn tables(&self) -> Tables {
        Tables::new().with(&VALUES)
    }

    fn views(&self) -> Vec<View> {
        let counts = self.counts.clone();
        let find = move |asked: Asked, view: &ViewContext| {
            let begun = Instant::now();
            let found = view.snapshot().get_arc(&VALUES, &asked.key);
            counts.lookups.fetch_add(1, Relaxed);
            counts.nanoseconds.fetch_add(begun.elapsed().as_nanos() as u64, Relaxed);
            Ok::<_, ViewError>(found)
        };
        vec![View::scalar("value", find).scope(Scope::Global)]
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        for (key, size) in (0..).zip(SIZES) {
            tx.put(&VALUES, key, "x".repeat(size))?;
        }
        Ok(())
    }
}
