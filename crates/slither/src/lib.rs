//! Slither lets Python do the compute while Rust owns concurrency, state and coordination: bounded, observable
//! pipelines of Rust and Python stages, over supervised worker processes and shared state.
//!
//! ```text
//! input ──▶ [rust stage] ══▶ [python stage] ══▶ [router] ──▶ outputs: accept │ review │ default
//!  (pulled       bounded        │ batches          └───────▶ failures (never silent)
//!  on demand)    channels       ▼
//!                 pool ── queue ── keeper ══ socket ══ Python worker
//!                                    ▲  views: Python asks, a store answers  │
//!                                    └───────────────────────────────────────┘
//! ```
//!
//! ```
//! use slither::{Call, Context, Pipe, Pool, Router, Slither};
//!
//! # fn folder() -> Result<std::path::PathBuf, std::io::Error> {
//! #     let folder = std::env::temp_dir().join(format!("slither-doc-{}", std::process::id()));
//! #     std::fs::create_dir_all(&folder)?;
//! #     std::fs::write(folder.join("my_model.py"), "def lengths(texts):\n    return [len(text) for text in texts]\n")?;
//! #     Ok(folder)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let python = folder()?;
//! // `python` is a folder with my_model.py: def lengths(texts): return [len(text) for text in texts]
//! let pool = Pool::processes("default").size(2).python_path(&python);
//! let slither = Slither::builder().pool(pool).start().await?;
//! let pipe = Pipe::builder("lengths")
//!     .map("prepare", |text: String, _: &Context| text.trim().to_owned())
//!     .python::<u64>("measure", Call::new("my_model:lengths").batch_size(32).max_in_flight(4))
//!     .route("route", Router::new().when("long", |length: &u64| *length > 5))
//!     .build()?;
//!
//! let outputs = slither.run_pipe(&pipe, ["short", " rather long "]).await?;
//! assert_eq!(outputs.payloads("long"), [&11]);
//! assert_eq!(outputs.payloads("default"), [&5]);
//! assert!(outputs.ledger().balanced());
//! # slither.shutdown(std::time::Duration::from_secs(5)).await;
//! # std::fs::remove_dir_all(python)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`Slither`] | the running whole: pools and stores, started together |
//! | [`pipe`] | stages and a router as one streaming flow; [`Pipe::builder`] begins one |
//! | [`dispatch`] | batches to an executor, without a pipe; [`InProcess`](dispatch::InProcess) tests without Python |
//! | [`store`] | shared state: tables, snapshots, transactions, and views for Python |
//! | [`letters`] | failures written to a file, and read back as input |
//! | [`Pool`], [`Call`] | Python workers, and what is called there within which bounds |
//! | [`Session`] | work that keeps to one worker, and the state that Python keeps there for it |
//! | [`PyRef`] | a handle to an object that stays in a Python worker |
//! | [`routing`], [`Traits`] | which pool a call goes to that leaves the choice to Slither, and why |
//! | [`python`] | interpreters, and the packages that are provided beside them |
//! | [`telemetry`] | the list of events |
//! | [`Value`], [`Tensor`], [`Timestamp`] | payloads whose shape is not known beforehand, arrays, points in time |
//! | [`ConfigError`], [`ItemError`], [`RunError`] | mend the program; this item failed; this run ended early |
//!
//! A payload is any type that serde can write and read; it is encoded straight to the wire, with nothing between.
//! In Python it arrives as the table of [`Value`] says.
//!
//! # Guarantees
//! - **Each item ends in one place**, an output, a drop, a failure or a cancellation, and is counted there; a run
//!   whose counts do not balance is an error. See [`Ledger`].
//! - **Everything is bounded**: batches in flight, channels, queues, frames, what is kept of a worker's output. A
//!   source is pulled on demand.
//! - **A worker's death costs the batch that it was running**, and the error says which signal or exit code it was.
//! - **Every call ends**: with its answer, at its deadline (30 s unless set), or with its pool.
//! - **A pipe is checked when it is built, and bound before its first item is pulled.**
//! - **No worker outlives its host** by more than moments, however the host ends.
//!
//! # Not guaranteed
//! - That a batch runs once. One whose worker died may have run in part, or whole.
//! - That anything survives the host: runs, stores and what workers keep are memory.
//! - Safety from hostile Python: a process contains crashes, it is no sandbox.
//! - That processes which a worker has started are gone, if the host *and* the pool's nursery are killed at once.
//!
//! Unix sockets, pidfds and memfds are used throughout, so it runs on Linux only. Slither needs a tokio runtime,
//! which the caller provides.

mod codec;
mod context;
mod error;
mod item;
mod metadata;
mod pool;
mod runtime;
mod value;
mod waits;
mod wire;

pub mod dispatch;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod letters;
pub mod pipe;
pub mod python;
pub mod routing;
pub mod store;
pub mod telemetry;

pub use context::{Context, RunId, SessionId};
pub use dispatch::{
    AutoBatch, Batching, DispatchError, Dispatched, FixedBatch, KeyPartition, Limits, MaxInFlight, OnError,
    Order, Outcome, Retry, WeightedBatch,
};
pub use error::{ConfigError, Death, ErrorKind, ItemError, Phase, Recycled, RunError, WorkerReport, nearest};
pub use item::{Failure, Item, ItemId, Ledger, Payload};
pub use metadata::Metadata;
pub use pipe::{Defaults, Outputs, Pipe, PipeError, Router, RunOptions};
pub use pool::{
    AdapterStats, Affinity, Breaker, BreakerState, Chaos, ChaosStats, Each, Inherit, LostWorker, Pool,
    PoolStats, Progress, ProgressFeed, PyRef, RestartBudget, SessionEnd, SourcePlace, Start,
    ThreadSafetyCheck, ThreadSafetyReport, ThreadUse, Tool, ToolParameter, ToolStream, UnsafeWrite,
    WorkerReply, WorkerUsage,
};
pub use python::Gil;
pub use routing::{Traits, Work};
pub use runtime::{Adapter, Builder, Call, OpenSession, Route, RuntimeStats, Session, Slither};
pub use store::{Store, StoreHandle, Table, View};
pub use value::{Dtype, Tensor, Timestamp, Value};

/// The pages that users read: their programs are doc tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../guides/getting-started.md")]
    mod getting_started {}
    #[doc = include_str!("../../../guides/store.md")]
    mod store {}
    #[doc = include_str!("../../../guides/dispatch.md")]
    mod dispatch {}
    #[doc = include_str!("../../../guides/pipe.md")]
    mod pipe {}
    #[doc = include_str!("../../../guides/sessions.md")]
    mod sessions {}
    #[doc = include_str!("../../../guides/dead-letters.md")]
    mod dead_letters {}
    #[doc = include_str!("../../../guides/operations.md")]
    mod operations {}
    #[doc = include_str!("../../../guides/threaded-workers.md")]
    mod threaded_workers {}
    #[doc = include_str!("../../../guides/examples.md")]
    mod examples {}
}
