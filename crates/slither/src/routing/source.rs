//! What the source of a function says: [`Source`], and asking an interpreter for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::check_function;
use super::traits::Traits;
use crate::error::ConfigError;
use crate::python::{Environment, Matrix, run_to_end};

const READ: &str = include_str!("read.py");

/// Reading takes milliseconds; a disk may be slow.
const LIMIT: Duration = Duration::from_secs(30);

/// What the source of a function says, without anything of it being imported. What cannot be found out is left open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The file that defines it.
    pub file: Option<PathBuf>,
    /// Whether a `def` of its name stands there; what is made by other means, as by an assignment, is not seen.
    pub is_defined: bool,
    /// A hash of that file.
    pub hash: Option<String>,
    /// Whether it is an `async def`, an async generator included.
    pub is_async: bool,
    /// What `@slither.traits` and `__thread_safe__` say of it.
    pub traits: Traits,
    /// Of the libraries of the matrix those that it imports, by their modules; directly, or through modules of its own.
    pub imports: Vec<String>,
}

impl Source {
    /// What the source of `module:qualified.name` says; of one that is not found or has none, nothing. The module is
    /// looked for in these folders first, and then where the interpreter looks.
    ///
    /// Blocks, for 30 s at most.
    ///
    /// # Errors
    /// If this is not how a function is named, or the interpreter does not answer.
    pub fn read(environment: &Environment, path: &[PathBuf], function: &str) -> Result<Self, ConfigError> {
        check_function(function)?;
        let failed = |why: String| {
            let python = &environment.interpreter;
            ConfigError::new(format!("the source of `{function}` was not read by {python}: {why}"))
        };
        let known = Matrix::builtin().libraries().iter().map(|library| library.import.as_str());
        // As in a worker: what was provided, the user's folders, and what the user has set.
        let own = environment.sys_path().map(Path::to_owned).chain(path.iter().cloned());
        let set = std::env::var_os("PYTHONPATH").unwrap_or_default();
        let set = std::env::split_paths(&set).filter(|folder| !folder.as_os_str().is_empty());
        let path = std::env::join_paths(own.chain(set)).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(&environment.interpreter.executable);
        command.args(["-c", READ, function]).args(known).env("PYTHONPATH", path).stdin(Stdio::null());
        let text = run_to_end(&mut command, LIMIT).map_err(failed)?;
        let answer = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        answer.ok_or_else(|| failed("it did not answer as expected".to_owned()))
    }
}
