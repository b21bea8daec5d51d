//! Dispatch: batched fan-out to an [`Executor`], with a bound on everything that is on its way.

mod batcher;
mod batching;
mod collect;
mod core;
mod driver;
mod executor;
mod in_process;
mod limits;
mod outcome;
mod permits;
mod probes;
mod reorder;
#[cfg(test)]
mod schedules;
mod stream;

pub use batching::{Batching, FixedBatch, WeightedBatch};
pub use collect::{DispatchError, Dispatched, dispatch};
pub(crate) use driver::Driver;
pub use executor::{Batch, BatchId, Executor, Reply};
pub use in_process::InProcess;
pub(crate) use limits::{Bounds, DEFAULT_BATCH_SIZE, DEFAULT_MAX_IN_FLIGHT};
pub use limits::{Limits, OnError, Order};
pub use outcome::Outcome;
pub(crate) use probes::ids;
pub use stream::{DispatchStream, dispatch_stream, try_dispatch_stream};
