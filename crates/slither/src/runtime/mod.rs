//! The runtime: what ties pools, stores, dispatch and pipes together.

mod builder;
mod call;
mod python_stage;
mod slither;

pub use builder::Builder;
pub use call::Call;
pub use slither::Slither;
