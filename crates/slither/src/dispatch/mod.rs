//! Dispatch: batched fan-out to an [`Executor`], with a bound on everything that is on its way.
//!
//! ```text
//! source ──▶ batcher ──▶ permits ──▶ executor ──▶ reorder ──▶ reader
//!  (pulled    (at most     (max_in_    │           (window)
//!  on demand)  two closed)  flight,     └──▶ again, in parts or later
//!                           rate)
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use slither::Context;
//! use slither::dispatch::{InProcess, Limits, dispatch};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let double = InProcess::new("local", |numbers: Vec<u64>| {
//!     Ok::<_, String>(numbers.into_iter().map(|n| n * 2).collect())
//! });
//! let done = dispatch(Arc::new(double), [1, 2, 3], &Limits::new(), Context::run()).await.unwrap();
//! assert_eq!(done.into_payloads(), [2, 4, 6]);
//! # }
//! ```
//!
//! # Guarantees
//! - Every item pulled ends in exactly one place, and is counted there: `in = emitted + failed + cancelled`.
//! - At most [`max_in_flight`](Limits::max_in_flight) batches are at the executor; at most
//!   [`window`](Limits::window) × batch size items are pulled and not yet read, however many keys they have.
//! - A batch holds no more items or weight than its [`Batching`] says, and no two keys; nor does a part of it that
//!   is run again.
//! - Under [`Order::Preserve`] outcomes, failures too, come in the order of the input.
//! - Nothing is spawned: dropping the stream or the future withdraws everything.
//!
//! # Limits and defaults
//! Batches of 64, 8 in flight, a window of 4 × that, order preserved, halt, no rate; see [`Limits`].
//!
//! # Failure
//! A batch that fails as a whole meets the policy [`OnError`]: it halts the dispatch, is skipped, is split until
//! only the culprits fail, or is run again later. What it had yielded stays. An item that fails alone halts nothing. A source that fails ends the run after everything up to there was delivered.
//!
//! # Events
//! `slither.dispatch.batch.start`, `.stop` and `.exception`, for each time that a batch or a part of one is run, and
//! `.partial` for what it yields meanwhile.
//!
//! # Pitfalls
//! It works while it is polled: a reader that stops reading stops it. A partial batch waits for more input,
//! or for its end, unless its batching has a `max_wait`. That, retries and [`Limits::rate_limit`] need a tokio
//! runtime with its timer on.
//!
//! # Inside
//! `core` holds the decisions and knows neither clocks nor wakers; `driver` polls source, executor and timer for
//! it. `recovery` is the way of a batch of which something failed.

mod batcher;
mod batching;
mod call_batch;
mod collect;
mod core;
mod driver;
mod executor;
mod in_process;
mod keys;
mod limits;
mod on_error;
mod outcome;
mod permits;
mod probes;
mod rate;
mod recovery;
mod reorder;
mod retry;
#[cfg(test)]
mod schedules;
mod sticky;
mod stream;
#[cfg(test)]
mod trials;
mod turns;
mod window;
mod yields;

pub use batching::{AutoBatch, Batching, FixedBatch, WeightedBatch};
pub use call_batch::call_batch;
pub use collect::{DispatchError, Dispatched, dispatch};
pub(crate) use driver::Driver;
pub use executor::{Batch, BatchId, Executor, Reply};
pub use in_process::InProcess;
pub use keys::KeyPartition;
pub(crate) use limits::{Bounds, DEFAULT_BATCH_SIZE};
pub use limits::{Limits, MaxInFlight, Order};
pub use on_error::OnError;
pub use outcome::Outcome;
pub(crate) use outcome::{Ended, Routed};
pub(crate) use probes::ids;
#[cfg(test)]
pub(crate) use retry::Chance;
pub use retry::Retry;
pub use stream::{DispatchStream, dispatch_stream, try_dispatch_stream};
pub use yields::Yields;
