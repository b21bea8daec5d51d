//! What is to be routed: [`Subject`], a function with all that is known of it.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::traits::Traits;
use super::verdict::Verdict;
use crate::python::Library;

/// What the source of a function says, without anything of it being imported. What cannot be found out is left open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The file that defines it.
    pub file: Option<PathBuf>,
    /// A hash of that file.
    pub hash: Option<String>,
    /// Whether it is an `async def`, an async generator included.
    pub is_async: bool,
    /// What `@slither.traits` and `__thread_safe__` say of it.
    pub traits: Traits,
    /// Of the libraries of the matrix those that it imports, by their modules; directly, or through modules of its own.
    pub imports: Vec<String>,
}

/// A function, and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `module:qualified.name`.
    pub function: Arc<str>,
    /// What the call and the source say.
    pub traits: Traits,
    /// Whether it is an `async def`.
    pub is_async: bool,
    /// What the matrix says of the libraries that it imports.
    pub libraries: Vec<Library>,
    /// What `slither probe` has found; only what still holds.
    pub verdicts: Vec<Verdict>,
}

impl Subject {
    /// A function of which nothing is known.
    pub fn named(function: &str) -> Self {
        Self {
            function: function.into(),
            traits: Traits::new(),
            is_async: false,
            libraries: Vec::new(),
            verdicts: Vec::new(),
        }
    }
}
