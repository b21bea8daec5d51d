//! Items, their failures, and the ledger that accounts for each of them.

mod payload;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use self::payload::Keep;
pub use self::payload::Payload;
use crate::context::Context;
use crate::error::ItemError;
use crate::metadata::Metadata;

/// Identifies an item within its run; given in the order of the input, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemId(pub u64);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One unit of work: an id, a payload, and metadata that every stage hands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<T> {
    /// Its identity within the run. Children of an expansion carry their parent's id.
    pub id: ItemId,
    /// What the stages read and replace.
    pub payload: T,
    /// What travels along, untouched by stages.
    pub metadata: Metadata,
}

impl<T> Item<T> {
    /// An item without metadata.
    pub fn new(id: u64, payload: T) -> Self {
        Self { id: ItemId(id), payload, metadata: Metadata::new() }
    }

    /// The same item with another payload.
    pub fn with_payload<U>(self, payload: U) -> Item<U> {
        Item { id: self.id, payload, metadata: self.metadata }
    }
}

/// An item that ended in `failures`, with the reason.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Failure {
    /// The item.
    pub item: ItemId,
    /// The items of the batch that failed with it, itself included; only itself if it failed alone.
    pub batch: Arc<[ItemId]>,
    /// The stage it failed in; none outside a pipe.
    pub stage: Option<Arc<str>>,
    /// Why.
    pub error: ItemError,
    /// What travelled with the item.
    pub metadata: Metadata,
    /// How often it was run, the last time included; 0 if it never was, for lack of a weight or a key.
    pub attempts: u32,
    /// What its stage was given; kept where that was asked for, of stages whose payloads can travel. See
    /// [`Call::keep_payloads`](crate::Call::keep_payloads) and
    /// [`RunOptions::dead_letters`](crate::RunOptions::dead_letters).
    #[serde(skip)]
    pub payload: Option<Payload>,
    /// The run, pipe, stage and session that it failed in.
    #[serde(skip)]
    pub context: Option<Arc<Context>>,
}

impl Failure {
    pub(crate) fn new(item: Item<()>, fall: Fall, stage: Option<Arc<str>>) -> Self {
        let Fall { error, batch, attempts, payload } = fall;
        let Item { id, metadata, .. } = item;
        Self { item: id, batch, stage, error, metadata, attempts, payload, context: None }
    }
}

/// How an item failed, where it is not yet known which stage and run it is of.
#[derive(Debug, Clone)]
pub(crate) struct Fall {
    pub(crate) error: ItemError,
    /// As in [`Failure`].
    pub(crate) batch: Arc<[ItemId]>,
    pub(crate) attempts: u32,
    pub(crate) payload: Option<Payload>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}", self.item)?;
        if let Some(stage) = &self.stage {
            write!(f, " in stage `{stage}`")?;
        }
        write!(f, ": {}: {}", self.error.kind(), self.error)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Where every item of a run ended. Counted where it happens, never derived by subtraction, so that
/// [`balanced`](Self::balanced) is a real check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Items pulled from the input.
    #[serde(rename = "in")]
    pub pulled: u64,
    /// Children beyond the first that expansion made.
    pub expanded: u64,
    /// Items that reached an output.
    pub emitted: u64,
    /// Items that a stage left out on purpose.
    pub dropped: u64,
    /// Items that ended in `failures`.
    pub failed: u64,
    /// Items that were given up when the run halted or was cancelled.
    pub cancelled: u64,
}

impl Ledger {
    /// Whether each item that entered ended in exactly one place:
    /// `in + expanded = emitted + dropped + failed + cancelled`.
    pub fn balanced(&self) -> bool {
        self.pulled + self.expanded == self.emitted + self.dropped + self.failed + self.cancelled
    }
}

impl std::iter::Sum for Ledger {
    /// The counts of several runs together.
    fn sum<L: Iterator<Item = Self>>(ledgers: L) -> Self {
        ledgers.fold(Self::default(), |sum, one| Self {
            pulled: sum.pulled + one.pulled,
            expanded: sum.expanded + one.expanded,
            emitted: sum.emitted + one.emitted,
            dropped: sum.dropped + one.dropped,
            failed: sum.failed + one.failed,
            cancelled: sum.cancelled + one.cancelled,
        })
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in + {} expanded = {} emitted + {} dropped + {} failed + {} cancelled",
            self.pulled, self.expanded, self.emitted, self.dropped, self.failed, self.cancelled
        )?;
        if self.balanced() { Ok(()) } else { f.write_str(" (does not balance)") }
    }
}
