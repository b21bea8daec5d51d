//! The runtime: [`Slither`], which starts pools and stores together and runs pipes and dispatches on them.
//!
//! ```text
//! Builder ── stores load ── environments ── pools start ──▶ Slither ──▶ run_pipe, stream_pipe
//!            (any of them fails: nothing is left running)      ├──────▶ dispatch, dispatch_stream
//!                                                              ├──────▶ execute, call_each
//!                                                              ├──────▶ call, adapter ──▶ call, stream, stats
//!                                                              ├──────▶ open_session ──▶ the same, in one worker
//!                                                              └──────▶ store, stats, shutdown
//! ```
//!
//! It is the only module that knows all the others. What a pipe knows of Python workers is written here: a Python
//! stage is a stage whose executor is looked up when a run starts.
//!
//! # Guarantees
//! - `start` returns when every store is loaded and every worker of every pool is ready, or with an error and
//!   nothing left running.
//! - Before a run pulls its first item its functions are imported in the workers; what cannot be is a
//!   [`ConfigError`](crate::ConfigError).
//! - [`Slither::shutdown`] ends within its grace, and some seconds for processes that have to be killed.
//!
//! # Limits and defaults
//! | | default | when reached |
//! |---|---|---|
//! | [`Pool::size`](crate::Pool::size) | workers: the number of cores | calls wait in the pool's queue |
//! | [`Pool::queue`](crate::Pool::queue) | 1024 calls that no worker has yet | the caller waits for room |
//! | [`Pool::max_sessions`](crate::Pool::max_sessions) | 1024 opened at a time | opening one fails as `session_limit` |
//! | [`Pool::start_timeout`](crate::Pool::start_timeout) | 60 s until ready | the process is killed, which counts as a death |
//! | [`Pool::call_timeout`](crate::Pool::call_timeout) | 30 s from the moment that Python begins a call | the worker is killed and replaced, the call fails with the Python stack |
//! | [`Pool::max_frame`](crate::Pool::max_frame) | 256 MiB each way, at most 1 GiB | the batch or reply fails as `too_large`, the worker survives |
//! | [`Pool::memory_limit`](crate::Pool::memory_limit) | no limit to a worker's address space | Python raises `MemoryError`, which fails as `out_of_memory`; the worker survives |
//! | [`Pool::restart_budget`](crate::Pool::restart_budget) | 5 deaths in 10 s that no call is blamed for | the pool fails, and everything that waits with it |
//!
//! # Events
//! Those of `slither.pool.worker.*`, `slither.pool.session.*`, `slither.pool.failed` and `slither.bridge.view.*`, beside those of what runs.
//!
//! # Pitfalls
//! Dropping the last clone kills the workers, and blocks until they are gone, at most 5 s a pool: on an async task
//! prefer `shutdown`. A [`Session`] holds a clone.

mod adapter;
mod builder;
mod call;
mod caller;
mod python_stage;
mod routed;
mod router;
mod session;
mod slither;

pub use adapter::Adapter;
pub use builder::Builder;
pub use call::Call;
pub use router::{Route, RuntimeStats};
pub use session::{OpenSession, Session};
pub use slither::Slither;
