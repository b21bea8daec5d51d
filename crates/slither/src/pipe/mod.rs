//! Pipes: typed stages, executors and routers composed into one streaming, accounted flow.
//!
//! ```text
//! source ══▶ [Rust stage] ══▶ [dispatch] ══▶ [router] ══▶ reader: outputs and failures
//!        bounded channels, a task each          ╚═▶ [stages of a branch] ══▶ (there, or joining)
//!                                             (every stage ──▶ failures)
//! ```
//!
//! ```
//! use slither::Context;
//! use slither::pipe::{Pipe, Router, RunOptions, run_pipe};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let pipe = Pipe::builder("lengths")
//!     .map("measure", |text: String, _: &Context| text.len())
//!     .route("route", Router::new().when("long", |length: &usize| *length > 5))
//!     .build()
//!     .unwrap();
//! let outputs = run_pipe(&pipe, ["short", "rather long"], RunOptions::new()).await.unwrap();
//! assert_eq!(outputs.payloads("long"), [&11]);
//! assert_eq!(outputs.payloads("default"), [&5]);
//! # }
//! ```
//!
//! # Guarantees
//! - Every item ends in exactly one place, and is counted there:
//!   `in + expanded = emitted + dropped + failed + cancelled`.
//! - Stages overlap; nothing is collected between them, and an endless input runs in constant memory.
//! - An item is pulled only when there is a place for it. A reader that stops stops the pulling.
//! - All stages are bound before the first item is pulled.
//! - Dropping the stream cancels the run.
//! - Stages keep the order of their items, where they are not told otherwise; between branches that join there
//!   is none.
//!
//! # Limits and defaults
//! Channels hold a batch of the pipe's default, 64 items, and at most 1024; see [`Defaults`]. The channels for
//! outputs and failures are as large.
//!
//! # Failure
//! In a Rust stage and in a router an item fails alone, by an error or a panic; in a dispatch stage, and by a panic
//! in a Rust stage that takes batches, a batch fails. Either meets the policy of its stage: under `Halt` the run ends, with everything finished so far.
//! An item that an executor fails alone ends in the failures, or where the policy routes, and the run goes on.
//!
//! # Events
//! `slither.pipe.run.*` and `slither.pipe.stage.*`: start, stop, exception.
//!
//! # Pitfalls
//! Inputs and predicates run on the runtime's own threads: those that block, block one of them. Failures are not
//! ordered among the outputs.

mod batches;
mod branch;
mod builder;
mod check;
mod children;
mod defaults;
mod definition;
mod discard;
mod draft;
mod executor;
mod fork;
mod function;
mod launch;
mod outlet;
mod outputs;
mod pace;
mod plan;
mod report;
mod router;
mod run;
mod source;
mod stage;
mod step;
mod stream;
mod telemetry;
mod ticket;
mod whole;

pub use branch::{BranchBuilder, BranchEnd, Branches, InBranch, Leaving};
pub use builder::{PipeBuilder, Whole};
pub use defaults::Defaults;
pub use definition::Pipe;
pub use discard::{Discard, Kept};
pub use outputs::{Outputs, PipeError};
pub use plan::{Plan, StageKind, StagePlan, Way, WayEnd};
pub use report::{Report, StageReport};
pub use router::{DEFAULT_OUTPUT, Router};
pub use run::{RunOptions, replay, run_pipe, stream_pipe, try_stream_pipe};
pub use stream::{Event, PipeStream};
