//! The feature store: a table that is written through to a file, the file first.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slither::StoreHandle;
use slither::store::{BoxError, Contents, Store, StoreError, Table, Tables, Transaction};

use super::backing::{Backing, Line};

/// The features of each record.
const FEATURES: Table<String, Vec<f64>> = Table::set("features");

/// Features, in memory and on disk.
#[derive(Debug)]
pub(super) struct FeatureStore {
    backing: Mutex<Backing>,
}

/// Why features were not written: neither to the file nor to the table.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    #[error("the features cannot be written to their file, and so not to the table either: {0}")]
    Backing(#[from] io::Error),
    #[error(transparent)]
    Table(#[from] StoreError),
}

impl FeatureStore {
    /// A store over this file, which is created if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { backing: Mutex::new(Backing::open(path)?) })
    }

    /// The file.
    pub(super) fn backing(&self) -> MutexGuard<'_, Backing> {
        self.backing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for FeatureStore {
    fn tables(&self) -> Tables {
        Tables::new().with(&FEATURES)
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        let lines = self.backing().lines()?;
        tx.bulk_insert(&FEATURES, lines.into_iter().map(|line| (line.id, line.features)))?;
        Ok(())
    }
}

/// Writes features through: to the file, and when the disk has them to the table. Those that are there already are not
/// written again. Returns how many were written; all of them or none.
///
/// The file is written while the store is: so both see the writes in the same order, and no reader, who never waits,
/// finds in the table what is not on the disk. It blocks.
///
/// # Errors
/// If the file cannot be written to. Then neither file nor table has changed.
pub(super) fn remember(
    store: &StoreHandle<FeatureStore>,
    rows: impl IntoIterator<Item = Line>,
) -> Result<usize, Unwritten> {
    store.write(|tx| {
        let new = |row: &Line| tx.get(&FEATURES, &row.id) != Some(&row.features);
        let rows: Vec<Line> = rows.into_iter().filter(new).collect();
        if rows.is_empty() {
            return Ok(0);
        }
        store.store().backing().append(&rows)?;
        let count = rows.len();
        tx.bulk_insert(&FEATURES, rows.into_iter().map(|row| (row.id, row.features)))?;
        Ok(count)
    })
}

/// What one version has for a record.
pub(super) fn known<'a>(contents: &'a Contents, id: &str) -> Option<&'a Vec<f64>> {
    contents.get(&FEATURES, id)
}

/// Everything that one version has.
pub(super) fn all(contents: &Contents) -> impl Iterator<Item = Line> {
    contents.iter(&FEATURES).map(|(id, features)| Line { id: id.clone(), features: features.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, value: f64) -> Line {
        Line { id: id.to_owned(), features: vec![value] }
    }

    fn opened(folder: &Path) -> StoreHandle<FeatureStore> {
        StoreHandle::open(FeatureStore::open(&folder.join("features.jsonl")).unwrap()).unwrap()
    }

    #[test]
    fn what_is_remembered_is_in_the_table_and_in_the_file_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path());
        assert_eq!(remember(&store, [line("a", 1.0), line("b", 2.0)]).unwrap(), 2);
        assert_eq!(remember(&store, [line("a", 1.0), line("c", 3.0)]).unwrap(), 1);
        assert_eq!(remember(&store, [line("b", 9.0)]).unwrap(), 1);
        let again = opened(folder.path());
        for store in [&store, &again] {
            let snapshot = store.snapshot();
            assert_eq!(known(&snapshot, "b"), Some(&vec![9.0]));
            assert_eq!(all(&snapshot).count(), 3);
        }
        assert_eq!(store.store().backing().lines().unwrap().len(), 4);
    }

    #[test]
    fn a_failed_write_changes_neither_file_nor_table() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path());
        remember(&store, [line("a", 1.0)]).unwrap();
        let (version, size) = (store.version(), store.store().backing().size().unwrap());
        store.store().backing().full_after(10);
        let error = remember(&store, [line("a", 5.0), line("b", 2.0)]).unwrap_err();
        assert!(matches!(error, Unwritten::Backing(_)), "{error}");
        assert_eq!((store.version(), store.store().backing().size().unwrap()), (version, size));
        assert_eq!(known(&store.snapshot(), "a"), Some(&vec![1.0]));
        assert_eq!(known(&store.snapshot(), "b"), None);
    }
}
