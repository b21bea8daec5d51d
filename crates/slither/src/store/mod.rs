//! **Store**: shared state with lock-free snapshot reads and serialised writes, open to Python through views.
//!
//! A store is a set of typed tables under one version. Readers take a snapshot and never wait; writers take
//! turns, and each makes the next version of all tables at once.
//!
//! ```text
//!  put, update, delete,          one writer
//!  bulk_insert, write ────────▶  at a time   ──▶ a copy that shares all rows ──┐
//!  reload ────────────────────▶ (its place)  ──▶ load, into empty tables ──────┤
//!                                                                              ▼
//!  snapshot, get, select, range, fold, views ◀── never wait ── version 7 ═ swap ═▶ version 8
//!                                                                  │
//!                             its last reader lets go of version 7 └──▶ the reaper's thread frees it
//! ```
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use slither::Context;
//! use slither::store::{BoxError, Scope, Store, StoreHandle, Table, Tables, Transaction, View};
//!
//! #[derive(Debug, Serialize)]
//! struct Feature {
//!     weight: f64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Lookup {
//!     key: String,
//! }
//!
//! const FEATURES: Table<String, Feature> = Table::set("features");
//!
//! struct FeatureStore;
//!
//! impl Store for FeatureStore {
//!     fn tables(&self) -> Tables {
//!         Tables::new().with(&FEATURES)
//!     }
//!
//!     fn views(&self) -> Vec<View> {
//!         let lookup = View::scalar("lookup_feature", |asked: Lookup, view| {
//!             Ok(view.snapshot().get_arc(&FEATURES, &asked.key))
//!         });
//!         vec![lookup.scope(Scope::Global)]
//!     }
//!
//!     fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
//!         tx.put(&FEATURES, "user:42".into(), Feature { weight: 0.5 })?;
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), BoxError> {
//! // In a service: `Slither::builder().store(FeatureStore)`, then `slither.store::<FeatureStore>()`.
//! let store = StoreHandle::open(FeatureStore)?;
//! let before = store.snapshot();
//! store.put(&FEATURES, "user:43".into(), Feature { weight: 1.5 })?;
//!
//! assert_eq!(before.size(&FEATURES), 1);
//! assert_eq!(store.get(&FEATURES, "user:43").unwrap().weight, 1.5);
//!
//! // What Python gets for `slither.view("lookup_feature", key="user:42")`:
//! #[derive(Deserialize)]
//! struct Answer {
//!     weight: f64,
//! }
//! let asked = Lookup { key: "user:42".into() };
//! let answer: Option<Answer> = store.call_view("lookup_feature", &asked, &Context::none())?;
//! assert_eq!(answer.unwrap().weight, 0.5);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - A snapshot is one version: no write or reload is seen in part, over all keys and tables.
//! - Reading waits for nobody. A reader that is slow or stuck delays no writer.
//! - A write happens whole, as the next version, or not at all: also when its closure fails or panics, which
//!   spoils nothing for the next. Writes form one order; none is lost between another's read and write.
//! - A reload loses no write: one comes before the load and is replaced with the rest, or after and is kept.
//! - A failed reload leaves the old data; with a failed first load the store does not open.
//! - When a write returns, every snapshot taken afterwards contains it, on any thread.
//!
//! # Not guaranteed
//! - That old versions go away: a snapshot held keeps all rows of its version in memory.
//! - Anything between stores: a write spans one store, and two snapshots of two stores may not fit together.
//!   Inside a write to one store, writing to another is possible; two threads that do so in opposite order
//!   wait for each other for ever.
//! - Durability. A store is memory, refilled by `load`.
//! - Order among writers that wait.
//!
//! # Limits and defaults
//! | | bound | when reached |
//! |---|---|---|
//! | writers | 1 a store | the next waits, without a timeout; on the same thread it gets [`StoreError::NestedWrite`] |
//! | rows | none | memory is yours to bound |
//! | versions waiting to be freed | 256 in the process | whoever lets go of a version frees it itself: 0.25 s for a million rows |
//! | a view's time | 5 s, see [`View`] | Python gets an exception |
//!
//! # Failure
//! - A table that is not declared, or declared otherwise: [`StoreError::Table`] from a write, a panic from a
//!   read, naming what is declared; both are slips in the program. Twice the same table, view, store name or
//!   store type: a [`ConfigError`](crate::ConfigError) before anything is loaded.
//! - A panic in a closure of [`write`](StoreHandle::write) goes on to its caller; in [`load`](Store::load) it
//!   is returned as [`StoreError::LoadPanicked`]; in a view it is Python's exception.
//!
//! # Events
//! `slither.store.write` with each new version that a write made, `slither.store.reload.start` and then
//! `.stop` or `.exception` with each load, the first included; durations include the wait for the writer's
//! place. All are labelled with the store's name.

mod contents;
mod declare;
mod engine;
mod error;
mod handle;
mod kind;
#[cfg(test)]
mod model;
mod reaper;
mod rows;
mod snapshot;
mod stores;
mod table;
mod transaction;
mod view;
mod view_error;
mod views;
mod writer;

pub use contents::Contents;
pub use declare::{Store, Tables};
pub use error::{BoxError, StoreError};
pub use handle::StoreHandle;
pub use kind::{Bag, Find, Kind, OrderedSet, Set, Values};
pub use snapshot::Snapshot;
pub(crate) use stores::Stores;
pub use table::Table;
pub use transaction::Transaction;
pub use view::{Scope, View, ViewContext};
pub use view_error::{ViewError, ViewErrorKind};
pub(crate) use views::Views;
