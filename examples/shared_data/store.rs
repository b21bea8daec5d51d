//! The store: a value of each size, and a view that counts what finding one takes.

use std::sync::{Arc, Mutex, PoisonError};
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
    lookups: Arc<Mutex<Vec<Duration>>>,
}

#[derive(Deserialize)]
struct Asked {
    key: u64,
}

impl Shared {
    /// How long a lookup took since this was last asked: the median, which one that was held up does not change.
    pub(super) fn lookup(&self) -> Duration {
        let mut lookups = std::mem::take(&mut *self.lookups.lock().unwrap_or_else(PoisonError::into_inner));
        lookups.sort_unstable();
        lookups.get(lookups.len() / 2).copied().unwrap_or_default()
    }
}

impl Store for Shared {
    fn tables(&self) -> Tables {
        Tables::new().with(&VALUES)
    }

    fn views(&self) -> Vec<View> {
        let lookups = self.lookups.clone();
        let find = move |asked: Asked, view: &ViewContext| {
            let begun = Instant::now();
            let found = view.snapshot().get_arc(&VALUES, &asked.key);
            let took = begun.elapsed();
            lookups.lock().unwrap_or_else(PoisonError::into_inner).push(took);
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
