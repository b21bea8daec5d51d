//! The pipe, and the types that travel through it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slither::{Call, ConfigError, Defaults, OnError, Pipe, Router, StoreHandle};

use super::contention::Pace;
use super::rows::Row;
use super::schema::Schema;
use super::store::{SchemaStore, Torn, read};
use super::transform::transform;

/// The module that the workers import.
pub(super) const MODULE: &str = "csv_transformer";
/// The pool's name.
pub(super) const POOL: &str = "validation";
/// Chunks that may wait between two stages. Few, so that a chunk is soon checked once it has its schema.
const WAITING: usize = 4;

/// Rows that stay together until they have been checked.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    pub(super) number: u64,
    pub(super) rows: Vec<Row>,
}

/// The same with the schema to check them by: read once, in one snapshot, for all of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Chunk {
    number: u64,
    schema: Schema,
    rows: Vec<Row>,
}

/// What Python makes of a chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checked {
    number: u64,
    schema: Schema,
    pid: u32,
    batch: u64,
    rows: Vec<CheckedRow>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CheckedRow {
    row: Row,
    version: u64,
    problems: Vec<Problem>,
}

/// Why a row is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) column: String,
    pub(super) rule: String,
    pub(super) message: String,
}

/// A row at its end: with its verdict, and if it is valid with what the rules made of it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) row: Row,
    /// The version of the schema that it was checked with.
    pub(super) version: u64,
    /// The worker that checked it, and in which of its batches.
    pub(super) checked_by: (u32, u64),
    pub(super) problems: Vec<Problem>,
    /// Renamed, cast and with defaults; empty for a row that is not valid.
    pub(super) fields: BTreeMap<String, Value>,
    /// Cells that could not be cast and stayed as they were.
    pub(super) uncast: u64,
}

/// What one worker has written down.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WorkerStats {
    pub(super) pid: u32,
    pub(super) batches: u64,
    pub(super) validations: u64,
    pub(super) audit_log: Vec<Entry>,
}

/// A line of an audit log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) run: u32,
    pub(super) row: u64,
    pub(super) version: u64,
    pub(super) batch: u64,
    pub(super) valid: bool,
}

/// Prepare, validate, transform, route. A batch of the Python stage is one chunk, and a chunk has one schema.
pub(super) fn pipe(
    store: StoreHandle<SchemaStore>,
    pace: Arc<Pace>,
    in_flight: usize,
    on_error: OnError,
) -> Result<Pipe<Gathered, Record>, ConfigError> {
    Pipe::builder("data_etl")
        .try_map("prepare", move |gathered: Gathered, _: &_| {
            let schema = read(&store.snapshot());
            pace.prepared(schema.is_ok());
            let Gathered { number, rows } = gathered;
            Ok::<_, Torn>(Chunk { number, schema: schema?, rows })
        })
        .python::<Checked>(
            "validate",
            Call::new(format!("{MODULE}:validate_batch")).pool(POOL).batch_size(1).max_in_flight(in_flight),
        )
        .flat_map("transform", |checked: Checked, _: &_| {
            let Checked { schema, pid, batch, rows, .. } = checked;
            rows.into_iter().map(move |checked| record(checked, &schema, (pid, batch)))
        })
        .route("route", Router::new().when("invalid", |record: &Record| !record.problems.is_empty()))
        .defaults(Defaults::new().batch_size(WAITING))
        .on_error("validate", on_error)
        .on_error("*", OnError::Skip)
        .build()
}

fn record(checked: CheckedRow, schema: &Schema, checked_by: (u32, u64)) -> Record {
    let CheckedRow { row, version, problems } = checked;
    let (fields, uncast) =
        if problems.is_empty() { transform(&row.cells, schema) } else { (BTreeMap::new(), 0) };
    Record { row, version, checked_by, problems, fields, uncast }
}
