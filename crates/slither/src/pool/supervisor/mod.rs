//! The pool's supervisor: when workers are started and given up ([`machine`], without I/O), the thread that
//! acts on it ([`driver`]), and the process that forks workers ([`nursery`]).

mod driver;
mod hatchery;
pub(super) mod machine;
mod notes;
mod nursery;
mod outputs;

pub(super) use driver::{Driver, Life};
#[cfg(test)]
pub(super) use driver::{NURSERY_GRACE, refusal};
#[cfg(test)]
pub(super) use hatchery::ending;
pub(super) use machine::Epoch;
pub use machine::RestartBudget;
pub(super) use notes::{Note, Notes};
pub(super) use nursery::Launch;
