//! What travels with an item or a run beside its payload: mostly nothing, and then one word.

use std::collections::{BTreeMap, btree_map};
use std::ops::Index;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::value::Value;

/// Named values that travel along. Empty, as most are, it is one word without an allocation, which counts because
/// each stage moves it with each item.
///
/// ```
/// use slither::{Item, Metadata};
///
/// let mut item = Item::new(7, "payload");
/// item.metadata.insert("source", "upload");
/// assert_eq!(item.metadata["source"].as_str(), Some("upload"));
/// assert!(Metadata::new().is_empty());
/// ```
#[derive(Debug, Clone, Default)]
#[allow(clippy::box_collection, reason = "an empty map is three words to move and a call to drop")]
pub struct Metadata(Option<Box<BTreeMap<String, Value>>>);

impl Metadata {
    /// No metadata.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |map| map.len())
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// Puts a value in; returns the one of the same name that it replaces.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.get_or_insert_default().insert(name.into(), value.into())
    }

    /// Takes the value of this name out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.as_mut()?.remove(name)
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().flat_map(|map| map.iter()).map(|(name, value)| (name.as_str(), value))
    }
}

// An empty map that was once filled is as empty as one that never was.
impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// # Panics
/// If there is no such name; [`Metadata::get`] does not.
impl Index<&str> for Metadata {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or_else(|| panic!("the metadata have no `{name}`"))
    }
}

impl From<BTreeMap<String, Value>> for Metadata {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Self((!map.is_empty()).then(|| Box::new(map)))
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Metadata {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(values: T) -> Self {
        values.into_iter().map(|(name, value)| (name.into(), value.into())).collect::<BTreeMap<_, _>>().into()
    }
}

impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for Metadata {
    fn extend<T: IntoIterator<Item = (N, V)>>(&mut self, values: T) {
        for (name, value) in values {
            self.insert(name, value);
        }
    }
}

impl IntoIterator for Metadata {
    type Item = (String, Value);
    type IntoIter = btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|map| *map).unwrap_or_default().into_iter()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(map) => map.serialize(serializer),
            None => BTreeMap::<String, Value>::new().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}
