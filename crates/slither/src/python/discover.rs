//! Finding an interpreter: what was named decides, what was merely found may be passed over.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::env::{Env, is_executable};
use super::free_threaded;
use super::interpreter::{INSTALL_PYTHON, Interpreter, numbers};
use crate::error::ConfigError;

/// Where a candidate for the interpreter comes from, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The variable `SLITHER_PYTHON`. It decides: if it is bad, that is an error.
    SlitherPython,
    /// The pool's setting. It decides as well.
    Setting,
    /// An active virtual environment; passed over with a warning if it is broken.
    VirtualEnv,
    /// `python3`, then `python`, on `PATH`.
    Path,
    /// The variable `SLITHER_FREE_THREADED_PYTHON`: for work that asks for an interpreter without a GIL.
    FreeThreadedPython,
    /// A free-threaded interpreter in the folder of `uv python install`; for the same.
    Uv,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::SlitherPython => "SLITHER_PYTHON",
            Self::Setting => "the pool's setting",
            Self::VirtualEnv => "VIRTUAL_ENV",
            Self::Path => "PATH",
            Self::FreeThreadedPython => "SLITHER_FREE_THREADED_PYTHON",
            Self::Uv => "uv",
        }
    }
}

/// A place where an interpreter might be, and what was there.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Why it was looked at.
    pub origin: Origin,
    /// Where it is.
    pub path: PathBuf,
    /// What it said, if it answered; also when it is too old to be used.
    pub interpreter: Option<Interpreter>,
    /// Why it cannot be used, if it cannot.
    pub error: Option<String>,
}

impl Candidate {
    fn ask(env: &Env, origin: Origin, path: PathBuf) -> Self {
        match Interpreter::ask(env, &path) {
            Ok(interpreter) => {
                let error = interpreter.unsuitable();
                Self { origin, path, interpreter: Some(interpreter), error }
            }
            Err(reason) => Self { origin, path, interpreter: None, error: Some(reason) },
        }
    }

    /// Whether Slither can use it.
    pub fn usable(&self) -> bool {
        self.error.is_none()
    }
}

impl Interpreter {
    /// The interpreter to use; `setting` is the pool's.
    ///
    /// Asked in turn: `SLITHER_PYTHON`, the setting, `VIRTUAL_ENV`, `python3` on `PATH`, `python` on `PATH`. The
    /// first two are paths, or names to look up on `PATH` (`python3.12`), and decide where they are set. The others
    /// are passed over, with a warning, if they do not work at all; the first that answers decides.
    ///
    /// # Errors
    /// If the deciding interpreter does not work, is older than 3.10 or not CPython; or if there is none, naming
    /// each place that was looked at.
    pub fn find(setting: Option<&Path>) -> Result<Self, ConfigError> {
        Self::find_in(&Env::from_process(), setting)
    }

    /// [`find`](Self::find) with these variables and limits.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_in(env: &Env, setting: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some((origin, value)) = named(env, setting) {
            let Some(path) = resolve(env, value) else {
                return Err(bad_name(origin, value, "there is no such program on PATH"));
            };
            let candidate = Candidate::ask(env, origin, path);
            return match (candidate.interpreter, candidate.error) {
                (Some(interpreter), None) => Ok(interpreter),
                (Some(interpreter), Some(error)) => {
                    let error = format!("{error} ({} names it)", origin.name());
                    Err(unsuitable(env, &interpreter, error))
                }
                (None, error) => Err(bad_name(origin, value, &error.unwrap_or_default())),
            };
        }
        let mut passed = Vec::new();
        for (origin, path) in found(env) {
            let candidate = Candidate::ask(env, origin, path);
            match (candidate.interpreter, candidate.error) {
                (Some(interpreter), None) => return Ok(interpreter),
                (Some(interpreter), Some(error)) => return Err(unsuitable(env, &interpreter, error)),
                (None, error) => {
                    let line = format!(
                        "{}: {}: {}",
                        origin.name(),
                        candidate.path.display(),
                        error.unwrap_or_default()
                    );
                    tracing::warn!(target: "slither", "passing over a python that does not work: {line}");
                    passed.push(line);
                }
            }
        }
        Err(nothing(env, passed))
    }

    /// Every candidate, every `python3.N` on `PATH` and the free-threaded ones elsewhere, asked: for a report, so what is wrong with one is data.
    ///
    /// The same interpreter under several paths is listed once, under the first.
    pub fn discover_all() -> Vec<Candidate> {
        Self::discover_all_in(&Env::from_process(), None)
    }

    /// [`discover_all`](Self::discover_all) with these variables and limits, and a pool's setting.
    pub fn discover_all_in(env: &Env, setting: Option<&Path>) -> Vec<Candidate> {
        let named = named(env, setting).map(|(origin, value)| {
            let path = resolve(env, value).unwrap_or_else(|| PathBuf::from(value));
            (origin, path)
        });
        let places: Vec<_> = named
            .into_iter()
            .chain(found(env))
            .chain(versioned(env))
            .chain(free_threaded::candidates(env))
            .collect();
        // All at once: a shim takes its time, and one that hangs takes the whole limit.
        let mut candidates: Vec<Candidate> = std::thread::scope(|scope| {
            let asked: Vec<_> = places
                .into_iter()
                .map(|(origin, path)| scope.spawn(move || Candidate::ask(env, origin, path)))
                .collect();
            asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
        });
        let mut seen = HashSet::new();
        candidates.retain(|candidate| {
            seen.insert(match &candidate.interpreter {
                Some(interpreter) => interpreter.identity(),
                None => {
                    let path = &candidate.path;
                    (PathBuf::new(), path.canonicalize().unwrap_or_else(|_| path.clone()))
                }
            })
        });
        candidates
    }
}

/// What someone named, if someone did.
fn named<'a>(env: &'a Env, setting: Option<&'a Path>) -> Option<(Origin, &'a OsStr)> {
    let variable = env.get("SLITHER_PYTHON").map(|value| (Origin::SlitherPython, value));
    variable.or_else(|| setting.map(|path| (Origin::Setting, path.as_os_str())))
}

/// A name without a slash is looked up on `PATH`, as a shell does.
pub(super) fn resolve(env: &Env, value: &OsStr) -> Option<PathBuf> {
    let path = Path::new(value);
    match path.components().count() == 1 && path.is_relative() && !value.as_encoded_bytes().contains(&b'/') {
        true => path.to_str().and_then(|name| env.on_path(name).next()),
        false => Some(path.to_owned()),
    }
}

/// What is found without having been named, in order.
fn found(env: &Env) -> Vec<(Origin, PathBuf)> {
    let mut places: Vec<(Origin, PathBuf)> = Vec::new();
    if let Some(venv) = env.get("VIRTUAL_ENV") {
        places.push((Origin::VirtualEnv, Path::new(venv).join("bin/python")));
    }
    for name in ["python3", "python"] {
        places.extend(env.on_path(name).map(|path| (Origin::Path, path)));
    }
    places
}

/// Every `python3.N` and `python3.Nt` on `PATH`.
pub(super) fn versioned(env: &Env) -> Vec<(Origin, PathBuf)> {
    let mut places = Vec::new();
    for dir in env.path_dirs() {
        let Ok(entries) = dir.read_dir() else { continue };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().and_then(OsStr::to_str).is_some_and(is_versioned))
            .filter(|path| is_executable(path))
            .collect();
        paths.sort();
        places.extend(paths.into_iter().map(|path| (Origin::Path, path)));
    }
    places
}

fn is_versioned(name: &str) -> bool {
    let minor = name.strip_prefix("python3.").map(|rest| rest.strip_suffix('t').unwrap_or(rest));
    minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn bad_name(origin: Origin, value: &OsStr, reason: &str) -> ConfigError {
    let name = origin.name();
    let value = Path::new(value).display();
    let error = ConfigError::new(format!("{name} names {value} as the python to use, but: {reason}"));
    error.hint(match origin {
        Origin::FreeThreadedPython => {
            format!("unset it, or install one: `{}`", free_threaded::INSTALL)
        }
        _ => format!(
            "give the path of a python 3.10 or newer, or unset it; while {name} is set, no other python is tried"
        ),
    })
}

fn unsuitable(env: &Env, unusable: &Interpreter, message: String) -> ConfigError {
    // Only someone who is already stuck waits for this search.
    let better = versioned(env)
        .into_iter()
        .filter_map(|(_, path)| Interpreter::ask(env, &path).ok())
        .filter(|other| other.unsuitable().is_none() && other.identity() != unusable.identity())
        .max_by_key(|other| numbers(&other.version));
    ConfigError::new(message).hint(match better {
        Some(other) => format!("set SLITHER_PYTHON={}", other.executable.display()),
        None => format!("{}, or set SLITHER_PYTHON to one that you have", install()),
    })
}

fn install() -> String {
    format!("run `{INSTALL_PYTHON}` and set SLITHER_PYTHON=$(uv python find 3.12)")
}

fn nothing(env: &Env, passed: Vec<String>) -> ConfigError {
    let mut message = "no python was found: slither needs CPython 3.10 or newer".to_owned();
    let mut looked = vec!["SLITHER_PYTHON: not set".to_owned(), "the pool's setting: not set".to_owned()];
    if env.get("VIRTUAL_ENV").is_none() {
        looked.push("VIRTUAL_ENV: not set".to_owned());
    }
    looked.extend(passed);
    for name in ["python3", "python"] {
        if env.on_path(name).next().is_none() {
            looked.push(format!("PATH: no {name}"));
        }
    }
    for line in looked {
        message.push_str("\n  ");
        message.push_str(&line);
    }
    ConfigError::new(message).hint(install())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_names() {
        for name in ["python3.10", "python3.13t"] {
            assert!(is_versioned(name), "{name}");
        }
        for name in ["python3", "python3.", "python3.11-config", "python3.t", "python2.7"] {
            assert!(!is_versioned(name), "{name}");
        }
    }

    #[test]
    fn only_a_bare_name_is_looked_up() {
        let env = Env::from_variables([("PATH", "/bin:/usr/bin")]);
        assert_eq!(resolve(&env, OsStr::new("./python")), Some("./python".into()));
        assert_eq!(resolve(&env, OsStr::new("no-such-program")), None);
        assert!(resolve(&env, OsStr::new("sh")).is_some_and(|path| path.is_absolute()));
    }
}
