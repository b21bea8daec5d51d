//! Pools: supervised Python workers.
//!
//! ```text
//! Pool (config) ─▶ RunningPool ── queue ──▶ keeper ══ socket ══ worker      one keeper thread a worker
//!                        │                    │                  ▲
//!                        └── notes ──▶ supervisor's driver ══ nursery (forks and reaps workers)
//! ```
//!
//! Decisions are made by two state machines without I/O, `worker::machine` and `supervisor::machine`; the
//! keeper and the driver are the threads that own sockets, pids and clocks and carry the decisions out.
//!
//! # Guarantees
//! - A worker's death costs the call it was running. Calls that were only waiting in its socket go to another.
//! - A call ends: with its answer, at its deadline, or with the pool.
//! - The queue is bounded ([`Pool::queue`]); so is what is kept of a worker's output.
//! - No process outlives the host by more than moments, however the host ends.
//!
//! # Failure
//! See [`crate::ErrorKind`]: `crash`, `out_of_memory`, `timeout`, `protocol` and `pool` come from here.

mod adapter;
mod admission;
mod answer;
mod blackbox;
mod chaos;
mod clock;
mod config;
mod executor;
mod gauges;
mod graveyard;
mod held;
mod job;
mod lanes;
mod memory;
mod oom;
mod output;
mod progress;
mod queue;
mod refs;
mod running;
mod service;
mod session;
mod sessions;
#[cfg(test)]
mod simulation;
mod standing;
mod station;
mod stats;
mod stream;
mod supervisor;
mod worker;

pub use crate::wire::{Tool, ToolParameter};
pub use adapter::{AdapterStats, SourcePlace, ThreadSafetyCheck, ThreadSafetyReport, ThreadUse, UnsafeWrite};
pub(crate) use answer::open_single;
pub use answer::{Each, WorkerReply};
pub use chaos::{Chaos, ChaosStats};
pub use config::{Inherit, Pool, Start};
pub(crate) use executor::PoolExecutor;
pub use graveyard::LostWorker;
pub use progress::{Progress, ProgressFeed};
pub use refs::PyRef;
pub(crate) use refs::writing;
pub(crate) use running::{RunningPool, Via};
pub use session::{Affinity, SessionEnd};
pub(crate) use session::{EndHook, PoolSession};
pub use stats::{PoolStats, WorkerUsage};
pub use stream::ToolStream;
pub use supervisor::{Breaker, BreakerState, RestartBudget};
