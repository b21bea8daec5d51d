//! An interpreter: what it says of itself, and whether it will do.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::env::Env;
use super::process::{self, End};
use super::requirement::Requirement;
use crate::error::ConfigError;

/// The oldest Python that the SDK runs on.
pub(super) const OLDEST: (u32, u32) = (3, 10);

/// The oldest msgspec that the SDK works with.
pub(super) const MSGSPEC_MINIMUM: &str = "0.18.6";

/// The command that gets a Python, for hints.
pub(super) const INSTALL_PYTHON: &str = "uv python install 3.12";

const PROBE: &str = include_str!("probe.py");
const INSTALLED: &str = include_str!("installed.py");

/// A Python interpreter, as it described itself when asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Interpreter {
    /// The absolute path to start it by, as it says itself: a virtual environment's own, not what that links to,
    /// and never the shim or the script through which it was found.
    pub executable: PathBuf,
    /// The version, as `3.11.7`.
    pub version: String,
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// `sys.prefix`: the virtual environment, if it is one.
    pub prefix: PathBuf,
    /// `sys.base_prefix`: the installation that a virtual environment was made from, otherwise the same.
    pub base_prefix: PathBuf,
    /// The executable that a virtual environment was made from, where that is known.
    pub base_executable: Option<PathBuf>,
    /// Whether it was built with `Py_GIL_DISABLED`.
    pub free_threaded: bool,
    /// Whether the GIL was on in a fresh process, before any extension module was imported; an import can still
    /// switch it on.
    pub gil_enabled: bool,
    /// `sysconfig.get_platform()`, as `linux-x86_64`.
    pub platform: String,
    /// The tag of the extension modules that it loads, as `cpython-311-x86_64-linux-gnu`.
    pub soabi: Option<String>,
    /// The version of the msgspec that it imports by itself, if it does.
    pub msgspec: Option<String>,
    /// Whether it can import pip.
    pub pip: bool,
    /// The wheel of pip that came with it in `ensurepip`, if it did.
    pub pip_wheel: Option<PathBuf>,
}

impl Interpreter {
    /// Asks the interpreter at `path` what it is.
    ///
    /// The variables are this process's, and it has 30 s to answer; see [`probe_in`](Self::probe_in).
    ///
    /// # Errors
    /// If the file is not there or cannot be run, does not answer in time, is not Python, is older than 3.10, or is
    /// not CPython.
    pub fn probe(path: &Path) -> Result<Self, ConfigError> {
        Self::probe_in(&Env::from_process(), path)
    }

    /// [`probe`](Self::probe) with these variables and limits.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub fn probe_in(env: &Env, path: &Path) -> Result<Self, ConfigError> {
        let interpreter = Self::ask(env, path).map_err(|reason| {
            ConfigError::new(format!("{} is not a python that works: {reason}", path.display()))
                .hint(format!("give the path of a python 3.10 or newer, or install one: `{INSTALL_PYTHON}`"))
        })?;
        match interpreter.unsuitable() {
            None => Ok(interpreter),
            Some(message) => {
                Err(ConfigError::new(message).hint(format!("install a newer one: `{INSTALL_PYTHON}`")))
            }
        }
    }

    /// Asks, and takes any answer that an interpreter gives; otherwise says why there is none.
    pub(super) fn ask(env: &Env, path: &Path) -> Result<Self, String> {
        let absolute = std::path::absolute(path).map_err(|error| format!("it is no path: {error}"))?;
        if absolute.is_dir() {
            let inside = absolute.join("bin/python");
            return Err(match inside.exists() {
                true => format!("it is a directory; did you mean {}?", inside.display()),
                false => "it is a directory".to_owned(),
            });
        }
        let finished = process::run(env.command(&absolute).args(["-c", PROBE]), env.probe_timeout, &|| false)
            .map_err(|error| unstartable(&error))?;
        // Something on the path (sitecustomize, a shim) may have printed as well: the answer is the last object.
        let answer = finished.stdout.lines().rev().find_map(|line| serde_json::from_str::<Self>(line).ok());
        match (answer, finished.end) {
            (Some(mut interpreter), End::Exited(status)) if status.success() => {
                if !interpreter.executable.is_absolute() {
                    interpreter.executable = absolute;
                }
                Ok(interpreter)
            }
            (None, End::Exited(status)) if status.success() => {
                Err("it ran, but did not answer as python does".to_owned())
            }
            (_, end) => Err(match finished.complaint() {
                Some(line) => format!("{end}: {line}"),
                None => end.to_string(),
            }),
        }
    }

    /// Why Slither cannot use it, if it cannot.
    pub(super) fn unsuitable(&self) -> Option<String> {
        let name = self.to_string();
        if self.implementation != "cpython" {
            let found = &self.implementation;
            return Some(format!("{name} is not CPython but {found}: slither needs CPython 3.10 or newer"));
        }
        if numbers(&self.version).as_slice() < [OLDEST.0, OLDEST.1].as_slice() {
            return Some(format!("{name} is too old: slither needs 3.10 or newer"));
        }
        None
    }

    /// Whether it imports a msgspec by itself that is new enough.
    pub fn has_msgspec(&self) -> bool {
        self.msgspec.as_deref().is_some_and(|version| numbers(version) >= numbers(MSGSPEC_MINIMUM))
    }

    /// Whether it has a package for each requirement by itself. Any doubt is a no.
    pub(super) fn has(&self, env: &Env, requirements: &[Requirement]) -> bool {
        if requirements.is_empty() {
            return true;
        }
        let mut command = env.command(&self.executable);
        command.args(["-c", INSTALLED]).args(requirements.iter().map(Requirement::name));
        let Ok(finished) = process::run(&mut command, env.probe_timeout, &|| false) else { return false };
        let found = finished.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        let found: BTreeMap<String, String> = found.unwrap_or_default();
        requirements
            .iter()
            .all(|asked| found.get(asked.name()).is_some_and(|version| asked.is_met_by(version)))
    }

    /// What makes two paths the same interpreter: a virtual environment shares its executable with its base, but
    /// not its packages.
    pub(super) fn identity(&self) -> (PathBuf, PathBuf) {
        (self.prefix.clone(), self.real_executable())
    }

    /// The executable with all links followed.
    pub(super) fn real_executable(&self) -> PathBuf {
        self.executable.canonicalize().unwrap_or_else(|_| self.executable.clone())
    }
}

/// `python 3.11.7 at /usr/bin/python3.11`.
impl std::fmt::Display for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "python {} at {}", self.version, self.executable.display())
    }
}

/// The leading numbers of a version: `[0, 18, 6]` for `0.18.6.dev1`.
pub(super) fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

fn unstartable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "it is not executable".to_owned(),
        _ => format!("it cannot be run: {error}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An interpreter that nobody asked.
    pub(in crate::python) fn interpreter(version: &str) -> Interpreter {
        Interpreter {
            executable: "/opt/python/bin/python3".into(),
            version: version.to_owned(),
            implementation: "cpython".to_owned(),
            prefix: "/opt/python".into(),
            base_prefix: "/opt/python".into(),
            base_executable: None,
            free_threaded: false,
            gil_enabled: true,
            platform: "linux-x86_64".to_owned(),
            soabi: None,
            msgspec: None,
            pip: false,
            pip_wheel: None,
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(interpreter("3.10.0").unsuitable().is_none());
        assert!(interpreter("3.9.18").unsuitable().is_some());
        assert!(interpreter("2.7.18").unsuitable().is_some());
        assert!(interpreter("4.0.0").unsuitable().is_none());
    }

    #[test]
    fn only_a_new_enough_msgspec_counts() {
        for (version, enough) in
            [("0.18.6", true), ("0.18.5", false), ("0.19.0", true), ("1.0", true), ("0.9.1", false)]
        {
            let mut interpreter = interpreter("3.12.1");
            interpreter.msgspec = Some(version.to_owned());
            assert_eq!(interpreter.has_msgspec(), enough, "{version}");
        }
    }

    #[test]
    fn another_implementation_is_named() {
        let mut other = interpreter("3.10.14");
        other.implementation = "pypy".to_owned();
        assert_eq!(
            other.unsuitable().unwrap(),
            "python 3.10.14 at /opt/python/bin/python3 is not CPython but pypy: slither needs CPython 3.10 or newer"
        );
    }
}
