//! [`Transaction`]: changes to a copy of a store, which become a version together or not at all.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::rows::Rows;
use super::{Contents, Find, Kind, StoreError, Table};

/// The changes of one write, or of one load, before they become a version.
///
/// It reads through [`Contents`] and sees its own changes; nobody else does until the closure that was given
/// it has returned `Ok`.
///
/// Every write fails with [`StoreError::Table`], and changes nothing, when the store does not declare the
/// table as it is used.
#[derive(Debug)]
pub struct Transaction<'a> {
    contents: Contents,
    operations: u64,
    /// Ties it to the closure it is given to: it cannot leave, nor be swapped with another store's.
    scope: PhantomData<&'a mut ()>,
}

impl Transaction<'_> {
    pub(super) fn over(contents: Contents) -> Self {
        Self { contents, operations: 0, scope: PhantomData }
    }

    /// The changed contents, and how many rows were changed.
    pub(super) fn into_parts(self) -> (Contents, u64) {
        (self.contents, self.operations)
    }

    /// Gives `key` this value, in place of the one it has; in a bag, besides those it has.
    ///
    /// # Errors
    /// When the table is not declared so.
    pub fn put<K: 'static, V: 'static, T: Kind<K, V>>(
        &mut self,
        table: &Table<K, V, T>,
        key: K,
        value: V,
    ) -> Result<(), StoreError> {
        self.contents.rows_mut(table)?.insert(key, Arc::new(value));
        self.operations += 1;
        Ok(())
    }

    /// Gives `key` the value that `change` makes of the one it has, if it has one. Not for bags.
    ///
    /// # Errors
    /// When the table is not declared so.
    pub fn update<K: 'static, V: 'static, T>(
        &mut self,
        table: &Table<K, V, T>,
        key: K,
        change: impl FnOnce(Option<&V>) -> V,
    ) -> Result<(), StoreError>
    where
        T: Find<K, V, K, Shared = Option<Arc<V>>>,
    {
        let rows = self.contents.rows_mut(table)?;
        let old = T::share(rows, &key);
        rows.insert(key, Arc::new(change(old.as_deref())));
        self.operations += 1;
        Ok(())
    }

    /// Removes `key`, and says how many values went with it: 0 or 1, or all those of a bag.
    ///
    /// # Errors
    /// When the table is not declared so.
    pub fn delete<K: 'static, V: 'static, T, Q>(
        &mut self,
        table: &Table<K, V, T>,
        key: &Q,
    ) -> Result<usize, StoreError>
    where
        T: Find<K, V, Q>,
        Q: ?Sized,
    {
        let removed = T::remove(self.contents.rows_mut(table)?, key);
        self.operations += removed as u64;
        Ok(removed)
    }

    /// Puts every row, one after the other.
    ///
    /// # Errors
    /// When the table is not declared so.
    pub fn bulk_insert<K: 'static, V: 'static, T: Kind<K, V>>(
        &mut self,
        table: &Table<K, V, T>,
        rows: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), StoreError> {
        let target = self.contents.rows_mut(table)?;
        for (key, value) in rows {
            target.insert(key, Arc::new(value));
            self.operations += 1;
        }
        Ok(())
    }

    /// Keeps the rows that `keep` says yes to, and says how many went. It looks at every row, and is the way
    /// to take single values out of a bag.
    ///
    /// # Errors
    /// When the table is not declared so.
    pub fn retain<K: 'static, V: 'static, T: Kind<K, V>>(
        &mut self,
        table: &Table<K, V, T>,
        keep: impl FnMut(&K, &V) -> bool,
    ) -> Result<usize, StoreError> {
        let removed = self.contents.rows_mut(table)?.retain(keep);
        self.operations += removed as u64;
        Ok(removed)
    }
}

impl Deref for Transaction<'_> {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}
