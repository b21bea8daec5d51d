//! Routing: which pool a call goes to that leaves the choice to Slither, and why.
//!
//! ```text
//! traits of the call ────────┐
//! its source: declarations,  │
//!   libraries it imports ────┤         ┌─ pool, and the reason
//! matrix of these libraries ─┼─ decide ┤
//! verdicts of `slither probe`┤         └─ the other pools, and why not
//! pools as they stand ───────┘
//! ```
//!
//! The decision is a pure function, [`decide()`]: what it is given decides, and nothing else. Who gathers that is the
//! runtime, for calls of the pool [`AUTO`].
//!
//! # Guarantees
//! - A call that is stateful, that runs unsafe native code, or of which nothing says that it is safe in threads never
//!   goes to a pool where several calls run at once in one process.
//! - A CPU-bound call never goes to threads that share a GIL. Where nothing says what a call does it counts as
//!   CPU-bound.
//! - The same input gives the same decision.
//! - Deciding imports nothing of the user's: the source is read.

mod candidate;
mod decide;
mod decision;
mod name;
mod source;
mod subject;
mod traits;
mod verdict;

pub use candidate::{Candidate, Profile};
pub use decide::decide;
pub use decision::{Decision, PassedOver};
pub(crate) use name::check_function;
pub use source::Source;
pub use subject::Subject;
pub use traits::{Traits, Work};
pub use verdict::{Finding, Verdict, Verdicts};

/// The name that stands for whichever pool the router chooses; no pool may have it.
pub const AUTO: &str = "auto";
