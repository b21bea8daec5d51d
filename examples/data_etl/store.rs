//! The schema as a store, spread over two tables, so that a reader who saw half a change would notice.

use std::path::{Path, PathBuf};

use slither::StoreHandle;
use slither::store::{BoxError, Contents, OrderedSet, Store, StoreError, Table, Tables, Transaction};

use super::schema::{Field, Schema};

/// One row: the version in force, and how many fields it has.
const CURRENT: Table<(), Header> = Table::set("current");
/// Its fields in their order, each marked with the version it belongs to.
const FIELDS: Table<usize, Marked, OrderedSet> = Table::ordered_set("fields");

#[derive(Debug)]
struct Header {
    version: u64,
    name: String,
    fields: usize,
}

#[derive(Debug)]
struct Marked {
    version: u64,
    field: Field,
}

/// The schema in force, loaded from a file.
#[derive(Debug)]
pub(super) struct SchemaStore {
    file: PathBuf,
}

impl SchemaStore {
    /// A store that is loaded from this file.
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file }
    }
}

impl Store for SchemaStore {
    fn tables(&self) -> Tables {
        Tables::new().with(&CURRENT).with(&FIELDS)
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        let schema = serde_json::from_slice(&std::fs::read(&self.file)?)?;
        fill(tx, schema)?;
        Ok(())
    }
}

/// Puts a schema in the place of the one in force: both tables, in one write.
pub(super) fn put(store: &StoreHandle<SchemaStore>, schema: Schema) -> Result<(), StoreError> {
    store.write(|tx| {
        tx.retain(&FIELDS, |_, _| false)?;
        fill(tx, schema)
    })
}

/// Writes the schema where the store is loaded from. The file is there whole or not at all.
pub(super) fn save(file: &Path, schema: &Schema) -> std::io::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec_pretty(schema)?)?;
    std::fs::rename(beside, file)
}

fn fill(tx: &mut Transaction<'_>, schema: Schema) -> Result<(), StoreError> {
    let Schema { version, name, fields } = schema;
    tx.put(&CURRENT, (), Header { version, name, fields: fields.len() })?;
    let marked = fields.into_iter().map(|field| Marked { version, field });
    tx.bulk_insert(&FIELDS, marked.enumerate())
}

/// What a reader finds amiss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Torn {
    #[error("the table of the current version is empty")]
    Empty,
    #[error("version {version} has {expected} fields, and {found} are there")]
    Partial { version: u64, expected: usize, found: usize },
    #[error("a field of version {found} stands among those of version {version}")]
    Mixed { version: u64, found: u64 },
}

/// Reads through one version and returns its number.
pub(super) fn inspect(contents: &Contents) -> Result<u64, Torn> {
    let Header { version, fields: expected, .. } = *header(contents)?;
    let mut found = 0;
    for (_, marked) in contents.iter(&FIELDS) {
        if marked.version != version {
            return Err(Torn::Mixed { version, found: marked.version });
        }
        found += 1;
    }
    if found == expected { Ok(version) } else { Err(Torn::Partial { version, expected, found }) }
}

/// The whole schema of one version.
pub(super) fn read(contents: &Contents) -> Result<Schema, Torn> {
    let version = inspect(contents)?;
    let name = header(contents)?.name.clone();
    let fields = contents.iter(&FIELDS).map(|(_, marked)| marked.field.clone()).collect();
    Ok(Schema { version, name, fields })
}

fn header(contents: &Contents) -> Result<&Header, Torn> {
    contents.get(&CURRENT, &()).ok_or(Torn::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: u64, fields: usize) -> Schema {
        let field = |number| Field { column: format!("c{number}"), ..Field::default() };
        Schema { version, name: format!("v{version}"), fields: (0..fields).map(field).collect() }
    }

    fn opened(folder: &Path) -> StoreHandle<SchemaStore> {
        let file = folder.join("schema.json");
        save(&file, &schema(1, 3)).unwrap();
        StoreHandle::open(SchemaStore::new(file)).unwrap()
    }

    #[test]
    fn what_is_put_or_loaded_is_read_back_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path());
        assert_eq!(read(&store.snapshot()), Ok(schema(1, 3)));
        put(&store, schema(2, 1)).unwrap();
        assert_eq!(read(&store.snapshot()), Ok(schema(2, 1)));
        save(&folder.path().join("schema.json"), &schema(3, 5)).unwrap();
        assert_eq!(store.reload().unwrap(), 3);
        assert_eq!(read(&store.snapshot()), Ok(schema(3, 5)));
    }

    #[test]
    fn a_broken_file_leaves_the_schema_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path());
        std::fs::write(folder.path().join("schema.json"), "{\"version\": 2,").unwrap();
        store.reload().unwrap_err();
        assert_eq!(read(&store.snapshot()), Ok(schema(1, 3)));
    }

    #[test]
    fn half_a_change_would_be_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let store = opened(folder.path());
        let header = |version, fields| Header { version, name: String::new(), fields };
        store.put(&CURRENT, (), header(1, 4)).unwrap();
        assert_eq!(inspect(&store.snapshot()), Err(Torn::Partial { version: 1, expected: 4, found: 3 }));
        store.put(&CURRENT, (), header(2, 3)).unwrap();
        assert_eq!(inspect(&store.snapshot()), Err(Torn::Mixed { version: 2, found: 1 }));
        store.delete(&CURRENT, &()).unwrap();
        assert_eq!(inspect(&store.snapshot()), Err(Torn::Empty));
    }
}
