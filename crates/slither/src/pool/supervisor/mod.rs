//! The pool's supervisor: when workers are started, replaced and given up ([`machine`], without I/O), the thread
//! that acts on it ([`driver`]), and the process that forks workers ([`nursery`]).

mod breaker;
mod budget;
mod driver;
mod family;
mod hatchery;
pub(super) mod machine;
mod notes;
mod nursery;
mod outputs;
pub(super) mod recycling;
mod slots;

pub use breaker::{Breaker, BreakerState};
pub use budget::RestartBudget;
pub(super) use driver::{Driver, Life};
#[cfg(test)]
pub(super) use driver::{NURSERY_GRACE, refusal, unavailable};
#[cfg(test)]
pub(super) use hatchery::ending;
pub(super) use machine::{Cause, Epoch, Plan};
pub(super) use notes::{Note, Notes};
pub(super) use nursery::Launch;
pub(super) use recycling::Limits;
