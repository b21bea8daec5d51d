//! The store of the soak: 64 rows that always hold one and the same number, written and reloaded all the time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Deserialize;
use slither::store::{BoxError, Scope, StoreError, Tables, Transaction, ViewContext, ViewError};
use slither::{Store, StoreHandle, Table, View};

use super::Soak;
use crate::Fallible;

const ROWS: Table<u64, u64> = Table::set("rows");
/// Rows.
const SIZE: u64 = 64;

/// The store.
#[derive(Debug, Default)]
pub(super) struct Rows {
    loads: AtomicU64,
}

#[derive(Deserialize)]
struct Key {
    key: u64,
}

impl Store for Rows {
    fn tables(&self) -> Tables {
        Tables::new().with(&ROWS)
    }

    fn views(&self) -> Vec<View> {
        let row = |ask: Key, view: &ViewContext| -> Result<u64, ViewError> {
            Ok(view.snapshot().get(&ROWS, &ask.key).copied().ok_or("no such row")?)
        };
        vec![View::scalar("row", row).scope(Scope::Global)]
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        let load = self.loads.fetch_add(1, Relaxed);
        tx.bulk_insert(&ROWS, (0..SIZE).map(|key| (key, 0)))?;
        if load % 4 == 3 { Err("every fourth load fails".into()) } else { Ok(()) }
    }
}

/// Writes all rows at once, reloads now and then; every fourth reload fails.
pub(super) async fn churn(soak: Soak, rows: StoreHandle<Rows>) -> Fallible<()> {
    let mut every = super::every(Duration::from_millis(100));
    let mut round = 0u64;
    while soak.tick(&mut every).await {
        round += 1;
        let version = rows.version();
        rows.write(|tx| {
            for key in 0..SIZE {
                tx.put(&ROWS, key, version)?;
            }
            Ok::<_, StoreError>(())
        })?;
        if round.is_multiple_of(20) {
            let failed = rows.reload().is_err();
            if failed != (round / 20 % 4 == 3) {
                soak.account.wrong(format!("reload {} failed: {failed}", round / 20));
            }
        }
        soak.account.writes.fetch_add(1, Relaxed);
    }
    Ok(())
}
