//! [`StoreHandle`]: how Rust code reads and writes an opened store.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::engine::Engine;
use super::stores::Stores;
use super::{
    Find, Kind, OrderedSet, Snapshot, Store, StoreError, Table, Transaction, ViewContext, ViewError,
};
use crate::codec;
use crate::context::Context;
use crate::error::ConfigError;

/// An opened store of type `S`. Cheap to clone, and to be used from any thread.
///
/// Its reads are those of [`Contents`](super::Contents), each from a snapshot of its own: two of them may see
/// two versions. Take one [`snapshot`](Self::snapshot) where they must agree. Its writes are one-line
/// transactions; take [`write`](Self::write) where several must become visible together.
///
/// A write waits for the write before it, so on an async task only short ones belong; a reload may take long
/// and goes to `spawn_blocking`.
pub struct StoreHandle<S> {
    engine: Arc<Engine>,
    store: PhantomData<fn() -> S>,
}

impl<S: Store> StoreHandle<S> {
    /// Opens a store without a runtime, as tests do, and loads it.
    ///
    /// # Errors
    /// When its declarations are not sound (a table or a view twice, an empty name), or the first load fails.
    pub fn open(store: S) -> Result<Self, ConfigError> {
        Stores::open(vec![Box::new(store)])?.get()
    }

    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, store: PhantomData }
    }

    /// The store's configuration: the value that was opened.
    pub fn store(&self) -> &S {
        let store: &dyn Any = self.engine.definition();
        store.downcast_ref().expect("a handle is made for the type of its store")
    }
}

/// Reads.
impl<S> StoreHandle<S> {
    /// The current version, to be read for as long as it is held. Never waits.
    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot()
    }

    /// The number of the current version; see [`Contents::version`](super::Contents::version).
    pub fn version(&self) -> u64 {
        self.engine.peek().version()
    }

    /// What `table` holds for `key` now: `Option<Arc<V>>`, or `Vec<Arc<V>>` of a bag.
    pub fn get<K: 'static, V: 'static, T, Q>(&self, table: &Table<K, V, T>, key: &Q) -> T::Shared
    where
        T: Find<K, V, Q>,
        Q: ?Sized,
    {
        self.engine.peek().get_arc(table, key)
    }

    /// How many values `table` holds now.
    pub fn size<K: 'static, V: 'static, T: Kind<K, V>>(&self, table: &Table<K, V, T>) -> usize {
        self.engine.peek().size(table)
    }

    /// The rows that `matches` says yes to. It looks at every row.
    pub fn select<K: Clone + 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        matches: impl FnMut(&K, &V) -> bool,
    ) -> Vec<(K, Arc<V>)> {
        self.snapshot().select_arc(table, matches)
    }

    /// The rows whose keys lie in `range`, in order.
    pub fn range<K, V, Q>(
        &self,
        table: &Table<K, V, OrderedSet>,
        range: impl RangeBounds<Q>,
    ) -> Vec<(K, Arc<V>)>
    where
        K: Ord + Clone + Send + Sync + 'static + Borrow<Q>,
        V: Send + Sync + 'static,
        Q: Ord + ?Sized,
    {
        self.snapshot().range_arc(table, range)
    }

    /// Joins every row into one value.
    pub fn fold<K: 'static, V: 'static, T: Kind<K, V>, A>(
        &self,
        table: &Table<K, V, T>,
        start: A,
        join: impl FnMut(A, &K, &V) -> A,
    ) -> A {
        self.snapshot().fold(table, start, join)
    }

    /// Calls a view as Python would, by way of msgpack: for tests of a store. Its timeout is not enforced.
    ///
    /// # Errors
    /// As Python gets them: see [`ViewErrorKind`](super::ViewErrorKind).
    pub fn call_view<R: DeserializeOwned>(
        &self,
        name: &str,
        args: &impl Serialize,
        context: &Context,
    ) -> Result<R, ViewError> {
        let views = self.engine.views();
        let known = || views.iter().map(|view| view.name());
        let view =
            views.iter().find(|view| view.name() == name).ok_or_else(|| ViewError::unknown(name, known()))?;
        let mut bytes = Vec::new();
        codec::encode(args, &mut bytes).map_err(ViewError::decode)?;
        let answer = view.call(&bytes, false, &ViewContext::new(self.snapshot(), context.clone()))?;
        codec::decode(&answer).map_err(ViewError::decode)
    }
}

/// Writes. Each is one transaction: all of it or nothing.
///
/// Each fails with [`StoreError::NestedWrite`] inside a write or a load of the same store on the same thread,
/// and with [`StoreError::Table`] when the store does not declare the table as it is used.
impl<S> StoreHandle<S> {
    /// Runs `change` on a transaction, and makes its changes the next version if it returns `Ok`.
    ///
    /// Writes run one at a time, so `change` reads what no other write can change before it is done. If it
    /// returns an error or panics nothing has happened; the panic goes on to the caller. Without a change
    /// there is no new version.
    ///
    /// ```
    /// use slither::store::{Store, StoreError, StoreHandle, Table, Tables};
    ///
    /// const BALANCES: Table<String, i64> = Table::set("balances");
    ///
    /// struct Bank;
    ///
    /// impl Store for Bank {
    ///     fn tables(&self) -> Tables {
    ///         Tables::new().with(&BALANCES)
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let bank = StoreHandle::open(Bank)?;
    /// bank.bulk_insert(&BALANCES, [("ann".into(), 10), ("bob".into(), 0)])?;
    /// bank.write(|tx| -> Result<(), StoreError> {
    ///     tx.update(&BALANCES, "ann".into(), |held| held.unwrap_or(&0) - 4)?;
    ///     tx.update(&BALANCES, "bob".into(), |held| held.unwrap_or(&0) + 4)
    /// })?;
    /// assert_eq!(bank.fold(&BALANCES, 0, |sum, _, held| sum + held), 10);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `change`, and [`StoreError::NestedWrite`].
    pub fn write<R, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.engine.write(change)
    }

    /// [`Transaction::put`] by itself.
    ///
    /// # Errors
    /// [`StoreError::Table`] and [`StoreError::NestedWrite`].
    pub fn put<K: 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        key: K,
        value: V,
    ) -> Result<(), StoreError> {
        self.write(|tx| tx.put(table, key, value))
    }

    /// [`Transaction::update`] by itself: between the read and the write nobody else writes.
    ///
    /// # Errors
    /// [`StoreError::Table`] and [`StoreError::NestedWrite`].
    pub fn update<K: 'static, V: 'static, T>(
        &self,
        table: &Table<K, V, T>,
        key: K,
        change: impl FnOnce(Option<&V>) -> V,
    ) -> Result<(), StoreError>
    where
        T: Find<K, V, K, Shared = Option<Arc<V>>>,
    {
        self.write(|tx| tx.update(table, key, change))
    }

    /// [`Transaction::delete`] by itself.
    ///
    /// # Errors
    /// [`StoreError::Table`] and [`StoreError::NestedWrite`].
    pub fn delete<K: 'static, V: 'static, T, Q>(
        &self,
        table: &Table<K, V, T>,
        key: &Q,
    ) -> Result<usize, StoreError>
    where
        T: Find<K, V, Q>,
        Q: ?Sized,
    {
        self.write(|tx| tx.delete(table, key))
    }

    /// [`Transaction::bulk_insert`] by itself: the rows become visible together.
    ///
    /// # Errors
    /// [`StoreError::Table`] and [`StoreError::NestedWrite`].
    pub fn bulk_insert<K: 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        rows: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), StoreError> {
        self.write(|tx| tx.bulk_insert(table, rows))
    }

    /// [`Transaction::retain`] by itself.
    ///
    /// # Errors
    /// [`StoreError::Table`] and [`StoreError::NestedWrite`].
    pub fn retain<K: 'static, V: 'static, T: Kind<K, V>>(
        &self,
        table: &Table<K, V, T>,
        keep: impl FnMut(&K, &V) -> bool,
    ) -> Result<usize, StoreError> {
        self.write(|tx| tx.retain(table, keep))
    }

    /// Loads the store anew, beside the data in use, swaps once, and returns the new version.
    ///
    /// It holds the writer's place from before [`Store::load`] begins until the swap: a write comes before,
    /// and is replaced with the rest, or after, and is kept; none falls between.
    ///
    /// # Errors
    /// When `load` fails or panics: the data in use stay. [`StoreError::NestedWrite`] inside a write.
    pub fn reload(&self) -> Result<u64, StoreError> {
        self.engine.reload()
    }
}

impl<S> Clone for StoreHandle<S> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), store: PhantomData }
    }
}

impl<S> fmt::Debug for StoreHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.engine, f)
    }
}
