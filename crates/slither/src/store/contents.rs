//! [`Contents`]: all tables of a store at one version, and every way to read them.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::mem;
use std::ops::RangeBounds;
use std::sync::Arc;

use super::declare::Schema;
use super::reaper;
use super::rows::{AnyRows, Rows};
use super::{Find, Kind, OrderedSet, StoreError, Table};

/// All tables of a store at one version. What a [`Snapshot`](super::Snapshot) and a
/// [`Transaction`](super::Transaction) read from; a transaction sees its own writes.
///
/// # Panics
/// Every read panics when the store does not declare the table, or declares it with another kind or other
/// types: tables are constants, so it is a slip in the program and no state of the data. The message names
/// what is declared. (Writes return it as [`StoreError::Table`].)
pub struct Contents {
    schema: Arc<Schema>,
    version: u64,
    tables: Box<[Arc<dyn AnyRows>]>,
}

impl Contents {
    pub(super) fn empty(schema: Arc<Schema>) -> Self {
        let tables = schema.empty();
        Self { schema, version: 0, tables }
    }

    /// A copy to be changed. It shares all rows until they are.
    pub(super) fn fork(&self) -> Self {
        Self { schema: self.schema.clone(), version: self.version, tables: self.tables.clone() }
    }

    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// The rows of `table`.
    fn rows<K: 'static, V: 'static, T: Kind<K, V>>(&self, table: &Table<K, V, T>) -> &T::Rows {
        let rows = self.schema.position(table.name()).and_then(|position| {
            let rows: &dyn Any = &*self.tables[position];
            rows.downcast_ref().ok_or_else(|| self.schema.mismatch(position, &Table::<K, V, T>::describe()))
        });
        rows.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The rows of `table`, no longer shared with any other version.
    pub(super) fn rows_mut<K: 'static, V: 'static, T: Kind<K, V>>(
        &mut self,
        table: &Table<K, V, T>,
    ) -> Result<&mut T::Rows, StoreError> {
        let position = self.schema.position(table.name())?;
        let rows = &mut self.tables[position];
        if Arc::get_mut(rows).is_none() {
            *rows = rows.copy();
        }
        let rows: &mut dyn Any = Arc::get_mut(rows).expect("rows that were just copied have one owner");
        let used = Table::<K, V, T>::describe;
        rows.downcast_mut().ok_or_else(|| self.schema.mismatch(position, &used()))
    }

    /// The version: 1 after the first load, and one more with each write and each reload. In a transaction
    /// the version it began from.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What `table` holds for `key`: `Option<&V>`, or the [`Values`](super::Values) of a bag.
    pub fn get<K: 'static, V: 'static, T, Q>(&self, table: &Table<K, V, T>, key: &Q) -> T::Found<'_>
    where
        T: Find<K, V, Q>,
        Q: ?Sized,
    {
        T::find(self.rows(table), key)
    }

    /// What `table` holds for `key`, to be kept: `Option<Arc<V>>`, or `Vec<Arc<V>>` of a bag. It keeps the
    /// values alive, but not the version.
    pub fn get_arc<K: 'static, V: 'static, T, Q>(&self, table: &Table<K, V, T>, key: &Q) -> T::Shared
    where
        T: Find<K, V, Q>,
        Q: ?Sized,
    {
        T::share(self.rows(table), key)
    }

    /// How many values `table` holds; of a bag, those of all keys together.
    pub fn size<K: 'static, V: 'static, T: Kind<K, V>>(&self, table: &Table<K, V, T>) -> usize {
        self.rows(table).size()
    }

    /// Every value with its key; sorted by key in an ordered set, else in no order, except that the values
    /// of one key of a bag come together as they were put.
    pub fn iter<K: 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
    ) -> impl Iterator<Item = (&K, &V)> {
        self.rows(table).iter().map(|(key, value)| (key, &**value))
    }

    /// The rows that `matches` says yes to. It looks at every row.
    pub fn select<K: 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        mut matches: impl FnMut(&K, &V) -> bool,
    ) -> impl Iterator<Item = (&K, &V)> {
        self.iter(table).filter(move |(key, value)| matches(key, value))
    }

    /// Joins every row into one value, in the order of [`iter`](Self::iter).
    pub fn fold<K: 'static, V: 'static, T: Kind<K, V>, A>(
        &self,
        table: &Table<K, V, T>,
        start: A,
        mut join: impl FnMut(A, &K, &V) -> A,
    ) -> A {
        self.iter(table).fold(start, |joined, (key, value)| join(joined, key, value))
    }

    /// The rows whose keys lie in `range`, in order, from either end. An empty range has none.
    pub fn range<K, V, Q>(
        &self,
        table: &Table<K, V, OrderedSet>,
        range: impl RangeBounds<Q>,
    ) -> impl DoubleEndedIterator<Item = (&K, &V)>
    where
        K: Ord + Clone + Send + Sync + 'static + Borrow<Q>,
        V: Send + Sync + 'static,
        Q: Ord + ?Sized,
    {
        self.rows(table).0.range(range).map(|(key, value)| (key, &**value))
    }

    /// Frees the rows here and now, for who knows that there is little to free.
    pub(super) fn free(mut self) {
        drop(mem::take(&mut self.tables));
    }

    /// The same as [`select`](Self::select), to be kept.
    pub(super) fn select_arc<K: Clone + 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        mut matches: impl FnMut(&K, &V) -> bool,
    ) -> Vec<(K, Arc<V>)> {
        let rows = self.rows(table).iter().filter(|(key, value)| matches(key, value));
        rows.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The same as [`range`](Self::range), to be kept.
    pub(super) fn range_arc<K, V, Q>(
        &self,
        table: &Table<K, V, OrderedSet>,
        range: impl RangeBounds<Q>,
    ) -> Vec<(K, Arc<V>)>
    where
        K: Ord + Clone + Send + Sync + 'static + Borrow<Q>,
        V: Send + Sync + 'static,
        Q: Ord + ?Sized,
    {
        let rows = self.rows(table).0.range(range);
        rows.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Drop for Contents {
    /// Whoever lets go of a version last, a reader or a writer, hands its rows to the reaper.
    fn drop(&mut self) {
        reaper::bury(mem::take(&mut self.tables));
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents")
            .field("store", &self.schema.store())
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
