//! The outside world as this module sees it: the variables, and how long it waits.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The environment variables that decide, and the time limits; children are started with exactly these variables.
///
/// Handing one in, instead of reading the process's own variables everywhere, lets a pool with variables of its
/// own (and a test) prepare an environment without changing the process's.
#[derive(Debug, Clone)]
pub struct Env {
    variables: BTreeMap<OsString, OsString>,
    /// How long an interpreter may take to say what it is. Default 30 s; then it is killed and counts as broken.
    pub probe_timeout: Duration,
    /// How long one run of `uv` or `pip` may take. Default 10 minutes; then it is killed, which is an error.
    pub install_timeout: Duration,
}

impl Env {
    /// The variables of this process, and the default limits.
    pub fn from_process() -> Self {
        Self::from_variables(std::env::vars_os())
    }

    /// Exactly these variables, and the default limits.
    pub fn from_variables<K: Into<OsString>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            probe_timeout: Duration::from_secs(30),
            install_timeout: Duration::from_secs(600),
        }
    }

    /// With this variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// With this variable not set.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// The value of a variable; an empty one counts as not set, as it does in a shell's `${NAME:-…}`.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Whether `SLITHER_OFFLINE` is set to anything but `0`, `false` or `no`: then the network is never tried.
    pub fn offline(&self) -> bool {
        self.get("SLITHER_OFFLINE").is_some_and(|value| value != "0" && value != "false" && value != "no")
    }

    /// The absolute directories of `PATH`, in order. Relative ones are passed over: what they mean changes with
    /// the working directory, and what is found here is used later. A second name of a directory (`/bin`, where
    /// that is `/usr/bin`) is passed over too.
    pub(super) fn path_dirs(&self) -> Vec<PathBuf> {
        let mut seen = HashSet::new();
        std::env::split_paths(self.get("PATH").unwrap_or_default())
            .filter(|dir| dir.is_absolute() && dir.canonicalize().is_ok_and(|real| seen.insert(real)))
            .collect()
    }

    /// Every executable file of this name on `PATH`, in order.
    pub(super) fn on_path<'a>(&self, name: &'a str) -> impl Iterator<Item = PathBuf> + use<'a> {
        self.path_dirs().into_iter().map(move |dir| dir.join(name)).filter(|path| is_executable(path))
    }

    /// A command that sees these variables, with nothing on its standard input.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables).stdin(std::process::Stdio::null());
        // Asking must not leave a trace: what a probe imports would be compiled into the user's directories.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let env = Env::from_variables([("SLITHER_PYTHON", ""), ("HOME", "/home/me")]);
        assert_eq!(env.get("SLITHER_PYTHON"), None);
        assert_eq!(env.get("HOME"), Some(OsStr::new("/home/me")));
    }

    #[test]
    fn offline_is_what_it_says() {
        for (value, offline) in [("1", true), ("true", true), ("0", false), ("false", false), ("", false)] {
            assert_eq!(Env::from_variables([("SLITHER_OFFLINE", value)]).offline(), offline, "{value:?}");
        }
    }
}
