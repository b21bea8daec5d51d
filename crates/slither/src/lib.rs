//! Slither (scaffold).

mod codec;
mod context;
mod error;
mod item;
mod value;

pub use context::{Context, RunId, SessionId};
pub use error::{ConfigError, Death, ErrorKind, ItemError, RunError, WorkerReport, nearest};
pub use item::{Failure, Item, ItemId, Ledger, Metadata};
pub use value::{Dtype, Tensor, Timestamp, Value};

pub mod telemetry;

pub mod dispatch;
pub mod pipe;
