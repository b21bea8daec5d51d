//! The rows of a table: persistent maps, so that a copy costs nothing and shares all that stays the same.
//!
//! Values are behind an `Arc`: versions share them, and `V` needs no `Clone`.

#![allow(missing_debug_implementations, reason = "no user ever holds one: they stand behind a sealed trait")]

use std::any::Any;
use std::hash::Hash;
use std::sync::Arc;

/// What a kind of table keeps its rows in.
pub trait Rows<K: 'static, V: 'static>: Any + Clone + Default + Send + Sync {
    /// What messages call the kind, with its article.
    const KIND: &'static str;

    /// How many values there are.
    fn size(&self) -> usize;

    /// Replaces the key's value, or adds to its values in a bag.
    fn insert(&mut self, key: K, value: Arc<V>);

    /// Every value with its key.
    fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)>;

    /// Removes what `keep` says no to, sharing the rest as before; says how many values went.
    fn retain(&mut self, keep: impl FnMut(&K, &V) -> bool) -> usize;
}

/// Rows of types that are not known here.
pub(super) trait AnyRows: Any + Send + Sync {
    /// A copy that shares everything, to be changed.
    fn copy(&self) -> Arc<dyn AnyRows>;
}

// `Default` keeps out `Arc<dyn AnyRows>`, whose copy would be one more layer.
impl<R: Any + Clone + Default + Send + Sync> AnyRows for R {
    fn copy(&self) -> Arc<dyn AnyRows> {
        Arc::new(self.clone())
    }
}

pub struct SetRows<K, V>(pub(super) imbl::HashMap<K, Arc<V>>);

impl<K: Clone, V> Clone for SetRows<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for SetRows<K, V> {
    fn default() -> Self {
        Self(imbl::HashMap::default())
    }
}

impl<K, V> Rows<K, V> for SetRows<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    const KIND: &'static str = "a set";

    fn size(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, key: K, value: Arc<V>) {
        self.0.insert(key, value);
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.0.iter()
    }

    fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let gone: Vec<K> =
            self.0.iter().filter(|(key, value)| !keep(key, value)).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.0.remove(key);
        }
        gone.len()
    }
}

pub struct OrderedRows<K, V>(pub(super) imbl::OrdMap<K, Arc<V>>);

impl<K: Clone, V> Clone for OrderedRows<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Default for OrderedRows<K, V> {
    fn default() -> Self {
        Self(imbl::OrdMap::default())
    }
}

impl<K, V> Rows<K, V> for OrderedRows<K, V>
where
    K: Ord + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    const KIND: &'static str = "an ordered set";

    fn size(&self) -> usize {
        self.0.len()
    }

    fn insert(&mut self, key: K, value: Arc<V>) {
        self.0.insert(key, value);
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.0.iter()
    }

    fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let gone: Vec<K> =
            self.0.iter().filter(|(key, value)| !keep(key, value)).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.0.remove(key);
        }
        gone.len()
    }
}

pub struct BagRows<K, V> {
    pub(super) keys: imbl::HashMap<K, imbl::Vector<Arc<V>>>,
    /// The values of all keys, counted as they come and go.
    pub(super) size: usize,
}

impl<K: Clone, V> Clone for BagRows<K, V> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), size: self.size }
    }
}

impl<K, V> Default for BagRows<K, V> {
    fn default() -> Self {
        Self { keys: imbl::HashMap::default(), size: 0 }
    }
}

impl<K, V> Rows<K, V> for BagRows<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    const KIND: &'static str = "a bag";

    fn size(&self) -> usize {
        self.size
    }

    fn insert(&mut self, key: K, value: Arc<V>) {
        self.keys.entry(key).or_default().push_back(value);
        self.size += 1;
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.keys.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    }

    fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let before = self.size;
        let mut changed = Vec::new();
        for (key, values) in &self.keys {
            let kept: imbl::Vector<_> = values.iter().filter(|value| keep(key, value)).cloned().collect();
            if kept.len() < values.len() {
                self.size -= values.len() - kept.len();
                changed.push((key.clone(), kept));
            }
        }
        for (key, kept) in changed {
            match kept.is_empty() {
                true => self.keys.remove(&key),
                false => self.keys.insert(key, kept),
            };
        }
        before - self.size
    }
}
