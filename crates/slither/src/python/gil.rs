//! What a worker's interpreter says of its lock: [`Gil`].

use std::fmt;

use serde::Serialize;

/// The global interpreter lock of a worker, as it found it after its imports; kept up to date when an import changes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Gil {
    /// Whether it is on: then threads of the worker take turns.
    pub on: bool,
    /// Whether the interpreter was built to run without it.
    pub free_threaded_build: bool,
    /// The extension module whose import turned it on; none if it is off, was on from the start, or nobody knows.
    pub turned_on_by: Option<String>,
}

impl Gil {
    /// What an interpreter has said.
    pub fn new(on: bool, free_threaded_build: bool, turned_on_by: Option<String>) -> Self {
        Self { on, free_threaded_build, turned_on_by }
    }

    /// As long as nobody has said anything.
    pub(crate) fn unknown() -> Self {
        Self::new(true, false, None)
    }
}

impl fmt::Display for Gil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.on, self.free_threaded_build, &self.turned_on_by) {
            (false, ..) => f.write_str("the GIL is off"),
            (true, _, Some(module)) => write!(f, "importing `{module}` turned the GIL on"),
            (true, true, None) => f.write_str("the GIL is on, though this Python can run without it"),
            (true, false, None) => f.write_str("this Python has a GIL"),
        }
    }
}
