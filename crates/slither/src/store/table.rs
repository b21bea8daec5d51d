//! [`Table`]: what a table is called and holds.

use std::fmt;
use std::marker::PhantomData;

use super::rows::Rows;
use super::{Bag, Kind, OrderedSet, Set};

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
    row: PhantomData<Row<K, V, T>>,
}

/// Names the types without holding any, so that a table is `Send`, `Sync` and `Copy` whatever they are.
type Row<K, V, T> = fn() -> (K, V, T);

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
