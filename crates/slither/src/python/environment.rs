//! An environment: an interpreter with the SDK and all the packages that are asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::cache::Cache;
use super::env::Env;
use super::interpreter::Interpreter;
use super::overlay::Overlay;
use super::progress::Progress;
use super::sdk;
use crate::error::ConfigError;

/// What a pool asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The interpreter: a path, or a name to look up on `PATH`. Default: found, see [`Interpreter::find`].
    pub python: Option<PathBuf>,
    /// Packages, as `numpy>=2`. Default: none. If the interpreter has them all, its own are used; otherwise all of
    /// them are installed beside it. What met them then is kept: newer versions are not looked for later.
    pub requirements: Vec<String>,
}

/// An interpreter, and the directories that make it a worker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Environment {
    /// The interpreter to start.
    pub interpreter: Interpreter,
    /// The directory that holds the SDK's package.
    pub sdk: PathBuf,
    /// The directory of the packages that the interpreter lacks; none if it lacks nothing.
    pub overlay: Option<PathBuf>,
}

impl Environment {
    /// Finds the interpreter, and provides what is missing for it.
    ///
    /// Costs one start of the interpreter (tens of milliseconds) when all is there. Otherwise it installs into the
    /// cache, once for all the processes that ask at the same time, for up to [`Env::install_timeout`] a step. It
    /// blocks: from asynchronous code, call it in `spawn_blocking`.
    ///
    /// # Errors
    /// If there is no usable interpreter, the cache cannot be written to, a requirement is malformed or cannot be
    /// installed, something is missing while `SLITHER_OFFLINE` is set, or `progress` says that it is cancelled.
    pub fn prepare(spec: &EnvironmentSpec, progress: &dyn Progress) -> Result<Self, ConfigError> {
        Self::prepare_in(&Env::from_process(), spec, progress)
    }

    /// [`prepare`](Self::prepare) with these variables and limits.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_in(
        env: &Env,
        spec: &EnvironmentSpec,
        progress: &dyn Progress,
    ) -> Result<Self, ConfigError> {
        let interpreter = Interpreter::find_in(env, spec.python.as_deref())?;
        let cache = Cache::locate(env)?;
        let overlay = match Overlay::needed(env, &interpreter, &spec.requirements)? {
            Some(overlay) => Some(overlay.make(env, &cache, progress)?),
            None => None,
        };
        let sdk = sdk::extract(env, &cache, progress)?;
        Ok(Self { interpreter, sdk, overlay })
    }

    /// What goes before the interpreter's own `sys.path`: the SDK, then the overlay.
    ///
    /// In this order, and before all else, so that neither an older msgspec of the interpreter nor a folder of the
    /// user's can take the place of what was provided.
    pub fn sys_path(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.sdk), self.overlay.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The command `python -m slither`, for who writes Python that Slither runs, with [`sys_path`](Self::sys_path), and what
    /// adapters find beside it, in `PYTHONPATH` before what is there.
    pub fn tools(&self) -> Command {
        let compat = sdk::for_adapters(&self.sdk);
        let before = std::env::var_os("PYTHONPATH").unwrap_or_default();
        let path =
            self.sys_path().map(Path::to_path_buf).chain([compat]).chain(std::env::split_paths(&before));
        let mut command = Command::new(&self.interpreter.executable);
        // What cannot be joined has a colon in it, and could not be on the path anyway.
        let joined = std::env::join_paths(path.filter(|folder| !folder.as_os_str().is_empty()));
        command.env("PYTHONPATH", joined.unwrap_or_default()).args(["-m", "slither"]);
        command
    }

    /// The command that calls `main` of a module of the SDK (`slither._nursery`), with
    /// [`sys_path`](Self::sys_path) both on `sys.path` and in `sys.argv[1:]`.
    ///
    /// The variables are inherited and `PYTHONPATH` is left alone: another Python that user code starts must not
    /// find packages that were installed for this one.
    pub fn command(&self, module: &str) -> Command {
        // `-c` puts the working directory first, unless PYTHONSAFEPATH says not to: it is no place for imports.
        let start = format!(
            "import sys; sys.path[:sys.path[:1] == ['']] = sys.argv[1:]; from {module} import main; main()"
        );
        let mut command = Command::new(&self.interpreter.executable);
        command.args(["-c", &start]).args(self.sys_path());
        command
    }
}
