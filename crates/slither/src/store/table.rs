//! What a table is called, what it holds, and how: [`Table`] and its kinds.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use super::rows::{BagRows, OrderedRows, Rows, SetRows};

/// Names a table and fixes the types of its keys and values and its kind `T`: [`Set`], [`OrderedSet`] or
/// [`Bag`].
///
/// A table is a constant of the program; it holds nothing itself. The store declares it, every read and
/// write names it, and so a key or a value of the wrong type does not compile.
///
/// ```
/// use slither::store::{Bag, OrderedSet, Table};
///
/// const PRICES: Table<String, f64> = Table::set("prices");
/// const READINGS: Table<u64, f64, OrderedSet> = Table::ordered_set("readings");
/// const TAGS: Table<String, String, Bag> = Table::bag("tags");
/// ```
///
/// Keys are `Clone`, because old and new versions of a table share what did not change; values need not be.
pub struct Table<K, V, T = Set> {
    name: &'static str,
    row: PhantomData<fn() -> (K, V, T)>,
}

impl<K, V> Table<K, V, Set> {
    /// A table with one value a key, in no order.
    pub const fn set(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }
}

impl<K, V> Table<K, V, OrderedSet> {
    /// A table with one value a key, in the order of the keys.
    pub const fn ordered_set(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }
}

impl<K, V> Table<K, V, Bag> {
    /// A table with any number of values a key, equal ones included, in the order they were put.
    pub const fn bag(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }
}

impl<K, V, T> Table<K, V, T> {
    /// The name, unique within a store.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: 'static, V: 'static, T: Kind<K, V>> Table<K, V, T> {
    /// The kind and the types, as an error message calls them.
    pub(super) fn describe() -> String {
        let (key, value) = (std::any::type_name::<K>(), std::any::type_name::<V>());
        format!("{} of `{}` to `{}`", T::Rows::KIND, short(key), short(value))
    }
}

impl<K, V, T> Clone for Table<K, V, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V, T> Copy for Table<K, V, T> {}

impl<K, V, T> fmt::Debug for Table<K, V, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.name).finish()
    }
}

/// A type's name without the paths of its modules.
fn short(name: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    name.split_inclusive(|c| !word(c)).map(|part| part.rsplit("::").next().unwrap_or(part)).collect()
}

/// One value a key, in no order: a hash map. The default kind.
#[derive(Debug)]
pub enum Set {}

/// One value a key, in the order of the keys: a tree, with [`range`](super::Contents::range).
#[derive(Debug)]
pub enum OrderedSet {}

/// Any number of values a key, in the order they were put: a hash map of lists.
#[derive(Debug)]
pub enum Bag {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Set {}
    impl Sealed for super::OrderedSet {}
    impl Sealed for super::Bag {}
}

/// A kind of table that can hold keys `K` and values `V`: `Hash + Eq` for [`Set`] and [`Bag`], `Ord` for
/// [`OrderedSet`].
pub trait Kind<K: 'static, V: 'static>: sealed::Sealed + 'static {
    /// What holds the rows.
    #[doc(hidden)]
    type Rows: Rows<K, V>;
}

/// A kind of table in which a `Q` finds a key `K`, as `str` finds `String`.
#[diagnostic::on_unimplemented(
    message = "a `{Q}` finds nothing in a table of `{K}` of kind `{Self}`",
    note = "a key is looked up as in the maps of std: by itself, or by what it borrows to"
)]
pub trait Find<K: 'static, V: 'static, Q: ?Sized>: Kind<K, V> {
    /// What a read finds: `Option<&V>`, or [`Values<'_, V>`](Values) in a [`Bag`].
    type Found<'a>;

    /// The same, independent of the snapshot: `Option<Arc<V>>`, or `Vec<Arc<V>>` in a [`Bag`].
    type Shared;

    #[doc(hidden)]
    fn find<'a>(rows: &'a Self::Rows, key: &Q) -> Self::Found<'a>;

    #[doc(hidden)]
    fn share(rows: &Self::Rows, key: &Q) -> Self::Shared;

    /// Removes the key; says how many values went with it.
    #[doc(hidden)]
    fn remove(rows: &mut Self::Rows, key: &Q) -> usize;
}

impl<K, V> Kind<K, V> for Set
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Rows = SetRows<K, V>;
}

impl<K, V, Q> Find<K, V, Q> for Set
where
    K: Hash + Eq + Clone + Send + Sync + 'static + Borrow<Q>,
    V: Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    type Found<'a> = Option<&'a V>;
    type Shared = Option<Arc<V>>;

    fn find<'a>(rows: &'a SetRows<K, V>, key: &Q) -> Option<&'a V> {
        rows.0.get(key).map(|value| &**value)
    }

    fn share(rows: &SetRows<K, V>, key: &Q) -> Option<Arc<V>> {
        rows.0.get(key).cloned()
    }

    fn remove(rows: &mut SetRows<K, V>, key: &Q) -> usize {
        rows.0.remove(key).is_some().into()
    }
}

impl<K, V> Kind<K, V> for OrderedSet
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Rows = OrderedRows<K, V>;
}

impl<K, V, Q> Find<K, V, Q> for OrderedSet
where
    K: Ord + Clone + Send + Sync + 'static + Borrow<Q>,
    V: Send + Sync + 'static,
    Q: Ord + ?Sized,
{
    type Found<'a> = Option<&'a V>;
    type Shared = Option<Arc<V>>;

    fn find<'a>(rows: &'a OrderedRows<K, V>, key: &Q) -> Option<&'a V> {
        rows.0.get(key).map(|value| &**value)
    }

    fn share(rows: &OrderedRows<K, V>, key: &Q) -> Option<Arc<V>> {
        rows.0.get(key).cloned()
    }

    fn remove(rows: &mut OrderedRows<K, V>, key: &Q) -> usize {
        rows.0.remove(key).is_some().into()
    }
}

impl<K, V> Kind<K, V> for Bag
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    type Rows = BagRows<K, V>;
}

impl<K, V, Q> Find<K, V, Q> for Bag
where
    K: Hash + Eq + Clone + Send + Sync + 'static + Borrow<Q>,
    V: Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    type Found<'a> = Values<'a, V>;
    type Shared = Vec<Arc<V>>;

    fn find<'a>(rows: &'a BagRows<K, V>, key: &Q) -> Values<'a, V> {
        Values(rows.keys.get(key).map(imbl::Vector::iter))
    }

    fn share(rows: &BagRows<K, V>, key: &Q) -> Vec<Arc<V>> {
        rows.keys.get(key).into_iter().flatten().cloned().collect()
    }

    fn remove(rows: &mut BagRows<K, V>, key: &Q) -> usize {
        let removed = rows.keys.remove(key).map_or(0, |values| values.len());
        rows.size -= removed;
        removed
    }
}

/// The values of a key of a [`Bag`], in the order they were put; none if the key is not there.
pub struct Values<'a, V>(Option<imbl::vector::Iter<'a, Arc<V>, imbl::shared_ptr::DefaultSharedPtr>>);

impl<'a, V> Iterator for Values<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        self.0.as_mut()?.next().map(|value| &**value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.as_ref().map_or(0, ExactSizeIterator::len);
        (left, Some(left))
    }
}

impl<V> DoubleEndedIterator for Values<'_, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next_back().map(|value| &**value)
    }
}

impl<V> ExactSizeIterator for Values<'_, V> {}

impl<V> Clone for Values<'_, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: fmt::Debug> fmt::Debug for Values<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_describes_itself_without_paths() {
        assert_eq!(
            Table::<String, Vec<Option<u8>>, Bag>::describe(),
            "a bag of `String` to `Vec<Option<u8>>`"
        );
    }
}
