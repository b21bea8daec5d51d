//! What is installed with an interpreter, and what importing it does to the GIL: asked, not believed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Library;
use crate::python::env::Env;
use crate::python::interpreter::Interpreter;
use crate::python::process::{self, End};

const LOOK: &str = include_str!("look.py");

/// What imports of the largest libraries take on a cold disk, and some more.
const LIMIT: Duration = Duration::from_secs(120);

/// What importing a library did to a fresh process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Import {
    /// The version that is installed, or `standard library`.
    pub version: String,
    /// Why it could not be imported, if so.
    #[serde(default)]
    pub error: Option<String>,
    /// Whether the GIL was on before it.
    #[serde(default)]
    pub gil_before: bool,
    /// Whether the GIL was on after it.
    #[serde(default)]
    pub gil_after: bool,
    /// The extension module that turned the GIL on, which may be of another library that this one imports.
    #[serde(default)]
    pub turned_on_by: Option<String>,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: f64,
    /// By how many bytes the process grew.
    #[serde(default)]
    pub memory: u64,
    /// How many threads it left running.
    #[serde(default)]
    pub threads: u32,
}

impl Library {
    /// Imports it in a process of its own, with this interpreter; none if it is not installed there. Nothing is
    /// installed, and no file is written but what an import itself may write.
    ///
    /// Blocks, for 120 s at most. An import that fails, hangs or dies is an answer.
    pub fn look(&self, interpreter: &Interpreter) -> Option<Import> {
        import(&Env::from_process(), interpreter, self)
    }
}

fn import(env: &Env, interpreter: &Interpreter, library: &Library) -> Option<Import> {
    let failed = |error: String| {
        Some(Import {
            version: "?".to_owned(),
            error: Some(error),
            gil_before: interpreter.gil_enabled,
            gil_after: interpreter.gil_enabled,
            turned_on_by: None,
            seconds: 0.0,
            memory: 0,
            threads: 0,
        })
    };
    let mut command = env.command(&interpreter.executable);
    command.args(["-c", LOOK, &library.name, &library.import]);
    let finished = match process::run(&mut command, LIMIT, &|| false) {
        Ok(finished) => finished,
        Err(error) => return failed(format!("it could not be started: {error}")),
    };
    let lines = || finished.stdout.lines().rev();
    if let Some(found) = lines().find_map(|line| serde_json::from_str::<Import>(line).ok()) {
        return Some(found);
    }
    // An answer without a version: it is not there.
    match finished.end {
        End::Exited(status) if status.success() => None,
        end => failed(match finished.complaint() {
            Some(line) => format!("{end}: {line}"),
            None => end.to_string(),
        }),
    }
}
