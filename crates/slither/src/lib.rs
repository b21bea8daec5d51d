//! Slither (scaffold).

mod codec;
mod context;
mod error;
mod item;
mod pool;
mod runtime;
mod value;
mod wire;

pub mod dispatch;
pub mod pipe;
pub mod python;
pub mod store;
pub mod telemetry;

pub use context::{Context, RunId, SessionId};
pub use dispatch::{
    Batching, DispatchError, Dispatched, FixedBatch, KeyPartition, Limits, MaxInFlight, OnError, Order,
    Outcome, Retry, WeightedBatch,
};
pub use error::{ConfigError, Death, ErrorKind, ItemError, RunError, WorkerReport, nearest};
pub use item::{Failure, Item, ItemId, Ledger, Metadata};
pub use pipe::{Defaults, Outputs, Pipe, PipeError, Router, RunOptions};
pub use pool::{Each, Inherit, LostWorker, Pool, PoolStats, RestartBudget, Start, WorkerReply};
pub use runtime::{Builder, Call, Slither};
pub use store::{Store, StoreHandle, Table, View};
pub use value::{Dtype, Tensor, Timestamp, Value};
