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
mod stream;

pub use batching::{Batching, FixedBatch, WeightedBatch};
pub use collect::{DispatchError, Dispatched, dispatch};
pub use executor::{Batch, BatchId, Executor, Reply};
pub use in_process::InProcess;
pub use limits::{Limits, OnError, Order};
pub use outcome::Outcome;
pub use stream::{DispatchStream, dispatch_stream, try_dispatch_stream};
