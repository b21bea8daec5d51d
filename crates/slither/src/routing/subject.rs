//! What is to be routed: [`Subject`], a function with all that is known of it.

use std::sync::Arc;

use super::source::Source;
use super::traits::Traits;
use super::verdict::{Verdict, Verdicts};
use crate::python::{Library, Matrix};

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

    /// A function with this source, and what matrix and verdicts have on it. Reads a file.
    pub fn of(function: &str, source: &Source, matrix: &Matrix, verdicts: &Verdicts) -> Self {
        let mut libraries: Vec<Library> = Vec::new();
        for library in source.imports.iter().filter_map(|module| matrix.get(module)) {
            if !libraries.contains(library) {
                libraries.push(library.clone());
            }
        }
        Self {
            function: function.into(),
            traits: source.traits,
            is_async: source.is_async,
            libraries,
            verdicts: verdicts.of(function, source),
        }
    }

    /// The same, of which this is said as well.
    #[must_use]
    pub fn with(mut self, traits: Traits) -> Self {
        self.traits = traits.or(self.traits);
        self
    }
}
