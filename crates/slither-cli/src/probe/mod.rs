//! `slither probe`: a function is run on a sample, alone, in processes and in threads, and the best place for it is told.
//!
//! ```text
//! sample ─▶ alone, in fresh workers ─▶ is it a function of its input?
//!         ├▶ in threads at once ─────▶ what do threads do to its results?        } for each interpreter
//!         └▶ through pools ──────────▶ calls/s, latency, memory ─▶ advice ─▶ verdict, kept for the router
//! ```

mod advice;
mod compare;
mod measure;
mod report;
mod sample;
mod trial;

pub(crate) use advice::Advice;
pub(crate) use measure::Measured;
pub(crate) use report::{Failing, Probed, Tried};
pub(crate) use sample::Sample;
pub(crate) use trial::{Options, tried};
