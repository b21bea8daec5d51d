//! Environments: the interpreter that workers run on, and the packages that they find there.
//!
//! ```text
//! SLITHER_PYTHON │ the pool's setting │ VIRTUAL_ENV │ python3, python on PATH
//!        └──────────────── Interpreter ────────────────┘
//!                               │ probe: version, GIL, msgspec …
//!          sdk (embedded, extracted) + overlay (what is missing, through uv)
//!                               └──▶ Environment ──▶ command for a worker
//! ```
//!
//! What this module guarantees:
//!
//! - **Nothing of the user's is modified.** The SDK and the packages it needs go into directories of the cache
//!   (`SLITHER_CACHE_DIR`, else `$XDG_CACHE_HOME/slither`, else `~/.cache/slither`); an interpreter and a
//!   virtual environment are only asked and read.
//! - **What is there is complete.** A directory of the cache is made aside under a lock, marked last and renamed
//!   into place: a crash leaves nothing half-made, and processes that start at once make it once.
//! - **Time is bounded.** An interpreter has 30 s to answer, an installation 10 minutes; what runs longer is
//!   killed, with everything that it started in its process group.
//! - **Offline is believed.** With `SLITHER_OFFLINE=1` the network is never tried.
//!
//! A user who named an interpreter gets that one or an error, never another. Everything here blocks: from
//! asynchronous code, call it in `spawn_blocking`.

mod cache;
mod discover;
mod doctor;
mod env;
mod environment;
mod free_threaded;
mod gil;
mod interpreter;
mod matrix;
mod overlay;
mod process;
mod progress;
mod requirement;
mod sdk;
mod uv;

pub(crate) use cache::{cache_folder, fingerprint};
pub use discover::{Candidate, Origin};
pub use doctor::{CacheReport, Diagnosis, Problem, diagnose, diagnose_in};
pub use env::Env;
pub use environment::{Environment, EnvironmentSpec};
pub use gil::Gil;
pub use interpreter::Interpreter;
pub use matrix::{Import, Library, Matrix, Recommendation, ThreadSafety, WithoutGil};
pub(crate) use process::run_to_end;
pub use progress::{Progress, Traced};
pub use uv::{Uv, UvOrigin};
