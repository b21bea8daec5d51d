//! Finding an interpreter without a GIL, which is seldom the one that `python3` names; and one with it.

use std::path::{Path, PathBuf};

use super::discover::{Candidate, Origin, bad_name, resolve, versioned};
use super::env::{Env, is_executable};
use super::interpreter::{Interpreter, numbers};
use crate::error::ConfigError;

/// The variable that names one.
pub(super) const VARIABLE: &str = "SLITHER_FREE_THREADED_PYTHON";

/// The command that gets one, for hints.
pub(super) const INSTALL: &str = "uv python install 3.14t";

impl Interpreter {
    /// The command that installs a free-threaded interpreter where this module finds it.
    pub const INSTALL_FREE_THREADED: &str = INSTALL;

    /// The interpreter that a person named by a path, or by a name to look up on `PATH`; whatever else is set.
    ///
    /// # Errors
    /// As [`probe`](Self::probe), and if there is no such program on `PATH`.
    pub fn named(name: &Path) -> Result<Self, ConfigError> {
        let env = Env::from_process();
        match resolve(&env, name.as_os_str()) {
            Some(path) => Self::probe_in(&env, &path),
            None => {
                let hint = match name.as_os_str().as_encoded_bytes().ends_with(b"t") {
                    true => format!("give its path, or install one without a GIL: {INSTALL}"),
                    false => "give the path of a python 3.10 or newer".to_owned(),
                };
                Err(ConfigError::new(format!("there is no program {} on PATH", name.display())).hint(hint))
            }
        }
    }

    /// A free-threaded interpreter, if there is one: built with `Py_GIL_DISABLED`, and started without the GIL.
    ///
    /// `SLITHER_FREE_THREADED_PYTHON`, a path or a name on `PATH`, decides if it is set. Otherwise the newest of
    /// these: `python3.Nt` on `PATH`, those that uv installed, and what [`find`](Self::find) gives.
    ///
    /// # Errors
    /// If the variable is set and names none.
    pub fn find_free_threaded() -> Result<Option<Self>, ConfigError> {
        Self::find_free_threaded_in(&Env::from_process())
    }

    /// [`find_free_threaded`](Self::find_free_threaded) with these variables and limits.
    ///
    /// # Errors
    /// As [`find_free_threaded`](Self::find_free_threaded).
    pub fn find_free_threaded_in(env: &Env) -> Result<Option<Self>, ConfigError> {
        if let Some(value) = env.get(VARIABLE) {
            let refuse = |reason: &str| bad_name(Origin::FreeThreadedPython, value, reason);
            let path = resolve(env, value).ok_or_else(|| refuse("there is no such program on PATH"))?;
            let found = Self::ask(env, &path).map_err(|reason| refuse(&reason))?;
            return match found.unsuitable() {
                None if found.is_free_threaded() => Ok(Some(found)),
                None => Err(refuse("it has a GIL")),
                Some(reason) => Err(refuse(&reason)),
            };
        }
        let asked = places(env).into_iter().filter_map(|path| Self::ask(env, &path).ok());
        let usual = Self::find_in(env, None).ok();
        let usable = asked.chain(usual).filter(|it| it.is_free_threaded() && it.unsuitable().is_none());
        Ok(usable.max_by_key(|it| numbers(&it.version)))
    }

    /// An interpreter with a GIL, if there is one: what [`find`](Self::find) gives, or else the newest on `PATH`.
    pub fn find_with_gil() -> Option<Self> {
        Self::find_with_gil_in(&Env::from_process())
    }

    /// [`find_with_gil`](Self::find_with_gil) with these variables and limits.
    pub fn find_with_gil_in(env: &Env) -> Option<Self> {
        let usable = |it: &Self| !it.is_free_threaded() && it.unsuitable().is_none();
        let others = || {
            let asked = versioned(env).into_iter().filter_map(|(_, path)| Self::ask(env, &path).ok());
            asked.filter(usable).max_by_key(|it| numbers(&it.version))
        };
        Self::find_in(env, None).ok().filter(usable).or_else(others)
    }

    /// Whether it runs without a GIL, at least until an extension module switches it on.
    pub fn is_free_threaded(&self) -> bool {
        self.free_threaded && !self.gil_enabled
    }
}

/// Where a free-threaded interpreter may be: on `PATH`, and in uv's folder.
fn places(env: &Env) -> Vec<PathBuf> {
    let threaded = |path: &Path| path.to_str().is_some_and(|name| name.ends_with('t'));
    let on_path = versioned(env).into_iter().map(|(_, path)| path).filter(|path| threaded(path));
    on_path.chain(installed_by_uv(env)).collect()
}

/// The free-threaded interpreters in the folder of `uv python install`, which need not be on `PATH`.
pub(super) fn installed_by_uv(env: &Env) -> Vec<PathBuf> {
    let home = |below: &str| env.get("HOME").map(|home| Path::new(home).join(below));
    let data = || env.get("XDG_DATA_HOME").map(PathBuf::from).or_else(|| home(".local/share"));
    let folder = env.get("UV_PYTHON_INSTALL_DIR").map(PathBuf::from);
    let Some(folder) = folder.or_else(|| data().map(|data| data.join("uv/python"))) else {
        return Vec::new();
    };
    let entries = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
    let threaded = entries.filter(|entry| entry.file_name().to_string_lossy().contains("+freethreaded"));
    let mut paths: Vec<_> =
        threaded.map(|entry| entry.path().join("bin/python3")).filter(|path| is_executable(path)).collect();
    paths.sort();
    paths
}

/// The candidates of a report that nobody else looks at.
pub(super) fn candidates(env: &Env) -> Vec<(Origin, PathBuf)> {
    let named = env.get(VARIABLE).map(|value| {
        let path = resolve(env, value).unwrap_or_else(|| PathBuf::from(value));
        (Origin::FreeThreadedPython, path)
    });
    named.into_iter().chain(installed_by_uv(env).into_iter().map(|path| (Origin::Uv, path))).collect()
}

/// Of the candidates of a report, the one that [`Interpreter::find_free_threaded`] finds; nothing is asked again.
pub(super) fn among<'a>(env: &Env, candidates: &'a [Candidate]) -> Option<&'a Interpreter> {
    let named = env.get(VARIABLE).is_some();
    candidates
        .iter()
        .filter(|candidate| !named || candidate.origin == Origin::FreeThreadedPython)
        .filter(|candidate| candidate.usable())
        .filter_map(|candidate| candidate.interpreter.as_ref())
        .filter(|interpreter| interpreter.is_free_threaded())
        .max_by_key(|interpreter| numbers(&interpreter.version))
}
