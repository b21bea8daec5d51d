//! What runs a batch: the trait [`Executor`], and the [`Batch`] it is given.

use std::fmt;

use futures_core::future::BoxFuture;

use super::yields::Yields;
use crate::context::Context;
use crate::error::ItemError;
use crate::item::Item;

/// Identifies a batch within its run; given in the order in which batches are started, from 0. The stages
/// of one pipe share the count. A batch or a part of one that is run again has a number of its own each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Items that are executed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<I> {
    /// Its identity within the run.
    pub id: BatchId,
    /// Its items, in the order of the input; never none.
    pub items: Vec<Item<I>>,
    /// For a sticky [`KeyPartition`](super::KeyPartition): the hash of its key. Batches of one key should go to
    /// one place; they come one at a time.
    pub key: Option<u64>,
    /// It is part of a batch that failed, run again by [`OnError::Isolate`](crate::OnError::Isolate) to find which item
    /// is to blame; a further failure is expected.
    pub suspect: bool,
}

impl<I> Batch<I> {
    /// The payloads, in the order of the items.
    pub fn payloads(&self) -> impl ExactSizeIterator<Item = &I> {
        self.items.iter().map(|item| &item.payload)
    }
}

/// What a batch came back with: the outer error fails all its items, an inner one only that item.
pub type Reply<O> = Result<Vec<Result<O, ItemError>>, ItemError>;

/// Runs batches of `I` and returns one result for each item, in the order of the items.
///
/// A pool of Python workers is one; [`InProcess`](super::InProcess) is one for tests. The contract:
///
/// - [`execute`](Self::execute) is called at most `max_in_flight` times before a reply, and takes what it
///   needs of the batch (encodes or copies it) before it returns: the batch stays with dispatch, whose
///   policies may need it again;
/// - the future runs without being polled in a tight loop, wakes its task when it is done, and when it is
///   dropped the work is withdrawn, or its result is discarded;
/// - the reply has as many results as the batch has items. Any other number fails the batch with
///   [`ErrorKind::Contract`](crate::ErrorKind::Contract);
/// - a panic, in the call or in the future, fails the batch with
///   [`ErrorKind::Handler`](crate::ErrorKind::Handler).
///
/// An executor that has results before a batch ends implements [`execute_yielding`](Self::execute_yielding), too.
pub trait Executor<I, O>: Send + Sync {
    /// Begins to run the batch.
    fn execute(&self, batch: &Batch<I>, context: &Context) -> BoxFuture<'static, Reply<O>>;

    /// Begins to run the batch, and may leave results in `yields` before its end; the reply then has one for each of
    /// the items that none was left for. Dispatch calls this one. Unless it is implemented it leaves none.
    fn execute_yielding(
        &self,
        batch: &Batch<I>,
        context: &Context,
        yields: Yields<O>,
    ) -> BoxFuture<'static, Reply<O>> {
        drop(yields);
        self.execute(batch, context)
    }

    /// The name that telemetry shows as the pool.
    fn name(&self) -> &str;

    /// How many batches it can run at the same time, as it stands; 4 unless it knows better. With
    /// [`MaxInFlight::Auto`](super::MaxInFlight::Auto) twice as many are in flight.
    fn slots(&self) -> usize {
        4
    }

    /// Whether a batch may depend on what earlier ones have left where it runs; false unless it knows better.
    /// What is lost with a worker is not there for another attempt, so that `isolate` and `retry` apply only to
    /// failures that the worker survived.
    fn is_stateful(&self) -> bool {
        false
    }
}
