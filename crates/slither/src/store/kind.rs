//! The kinds of tables: [`Set`], [`OrderedSet`], [`Bag`], and what each finds for a key.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::rows::{BagRows, OrderedRows, Rows, SetRows};

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
