//! What a store declares: [`Store`], its [`Tables`], and the schema they become.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::rows::AnyRows;
use super::{BoxError, Kind, StoreError, Table, Transaction, View};
use crate::error::{ConfigError, nearest};

/// A kind of shared state: which tables it has, where their rows come from, and what Python may ask.
///
/// The value itself is the store's configuration (a path, a client), not its state: it is never changed, and
/// the rows live in the tables. See the [module's page](super) for an example.
pub trait Store: Any + Send + Sync {
    /// The store's name in errors and telemetry, unique in a runtime; unless said otherwise the type's.
    fn name(&self) -> &str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }

    /// The tables. Those not declared here do not exist.
    fn tables(&self) -> Tables;

    /// The views, which is all that Python sees of the store. None unless said otherwise.
    fn views(&self) -> Vec<View> {
        Vec::new()
    }

    /// Fills empty tables: once before the store can be used, and again at each reload.
    ///
    /// It may block and take its time; readers go on with the old data meanwhile, and writers wait. Nothing
    /// unless said otherwise: the store starts empty.
    ///
    /// # Errors
    /// Whatever it returns; the old data stay, and if there are none the runtime refuses to start. A panic
    /// counts as an error.
    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        let _ = tx;
        Ok(())
    }
}

/// The tables that a store declares, of whatever types.
#[derive(Debug, Default)]
pub struct Tables(Vec<Declaration>);

impl Tables {
    /// No tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a table.
    #[must_use]
    pub fn with<K: 'static, V: 'static, T: Kind<K, V>>(mut self, table: &Table<K, V, T>) -> Self {
        let what = Table::<K, V, T>::describe();
        self.0.push(Declaration { name: table.name(), what, empty: Arc::new(T::Rows::default()) });
        self
    }
}

struct Declaration {
    name: &'static str,
    /// Kind and types, for messages.
    what: String,
    /// Rows of the right types, to begin with.
    empty: Arc<dyn AnyRows>,
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// A store's name and its tables, checked.
#[derive(Debug)]
pub(super) struct Schema {
    store: String,
    tables: Vec<Declaration>,
}

impl Schema {
    pub(super) fn new(store: &dyn Store) -> Result<Self, ConfigError> {
        let schema = Self { store: store.name().to_owned(), tables: store.tables().0 };
        if schema.store.is_empty() {
            return Err(ConfigError::new("a store has an empty name"));
        }
        for (index, table) in schema.tables.iter().enumerate() {
            if table.name.is_empty() {
                let store = &schema.store;
                return Err(ConfigError::new(format!("store `{store}` declares a table with an empty name")));
            }
            if let Some(first) = schema.tables[..index].iter().find(|other| other.name == table.name) {
                let (store, name) = (&schema.store, table.name);
                return Err(ConfigError::new(format!("store `{store}` declares table `{name}` twice"))
                    .hint(format!("first as {}, then as {}", first.what, table.what)));
            }
        }
        Ok(schema)
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    pub(super) fn empty(&self) -> Box<[Arc<dyn AnyRows>]> {
        self.tables.iter().map(|table| table.empty.clone()).collect()
    }

    /// Where the rows of the table called `name` are. A store has few tables: to look is faster than to hash.
    pub(super) fn position(&self, name: &str) -> Result<usize, StoreError> {
        self.tables.iter().position(|table| table.name == name).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> StoreError {
        let known: Vec<&str> = self.tables.iter().map(|table| table.name).collect();
        let error = ConfigError::new(format!("store `{}` declares no table `{name}`", self.store));
        StoreError::Table(error.hint(match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it declares no table at all".to_owned(),
            None => format!("it declares: {}", known.join(", ")),
        }))
    }

    /// The error for a table that is used as something else than what the store declares.
    pub(super) fn mismatch(&self, position: usize, used: &str) -> StoreError {
        let Declaration { name, what, .. } = &self.tables[position];
        let error = ConfigError::new(format!("table `{name}` of store `{}` is {what}", self.store));
        StoreError::Table(error.hint(format!("it is used as {used}")))
    }
}
