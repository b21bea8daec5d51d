//! Pipes: typed stages, executors and a router composed into one streaming, accounted flow.

mod builder;
mod defaults;
mod definition;
mod discard;
mod draft;
mod executor;
mod inline;
mod launch;
mod outlet;
mod outputs;
mod parallel;
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

pub use builder::PipeBuilder;
pub use defaults::Defaults;
pub use definition::Pipe;
pub use discard::{Discard, Kept};
pub use outputs::{Outputs, PipeError};
pub use plan::{Plan, StageKind, StagePlan};
pub use report::{Report, StageReport};
pub use router::{DEFAULT_OUTPUT, Router};
pub use run::{RunOptions, run_pipe, stream_pipe, try_stream_pipe};
pub use stream::{Event, PipeStream};
