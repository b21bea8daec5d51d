//! `uv`: the one on `PATH`, else one of our own, fetched through whichever pip there is.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::cache::Cache;
use super::discover::Candidate;
use super::env::{Env, is_executable};
use super::interpreter::{Interpreter, numbers};
use super::process;
use super::progress::Progress;
use crate::error::ConfigError;

/// The oldest version that takes all the options that are used here.
const OLDEST: &str = "0.5.0";

/// How long it may take to say its version, at most.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Where `uv` was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UvOrigin {
    /// On `PATH`: the user's.
    Path,
    /// In the cache: fetched by an earlier preparation.
    Cache,
}

/// The installer of Python packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Uv {
    /// The executable.
    pub path: PathBuf,
    /// Its version, as `0.5.9`.
    pub version: String,
    /// Whose it is.
    pub origin: UvOrigin,
}

impl Uv {
    /// The `uv` that would be used now, without fetching one.
    pub(super) fn find(env: &Env, cache: &Cache) -> Option<Self> {
        let on_path = env.on_path("uv").map(|path| (path, UvOrigin::Path));
        let cached = cache.get("uv", &key()).map(|dir| (dir.join("bin/uv"), UvOrigin::Cache));
        on_path.chain(cached).find_map(|(path, origin)| {
            let version = version(env, &path)?;
            Some(Self { path, version, origin })
        })
    }

    /// Finds one, or fetches one into the cache.
    pub(super) fn obtain(
        env: &Env,
        cache: &Cache,
        interpreter: &Interpreter,
        progress: &dyn Progress,
    ) -> Result<Self, ConfigError> {
        if let Some(uv) = Self::find(env, cache) {
            return Ok(uv);
        }
        let dir = cache.get_or_make("uv", &key(), "uv", env, progress, |dir| {
            progress.line("fetching uv, the installer of python packages (once)…");
            fetch(env, dir, interpreter, progress)
        })?;
        Self::find(env, cache).ok_or_else(|| {
            ConfigError::new(format!("the uv in {} does not run on this machine", dir.display()))
                .hint("install uv yourself so that it is on PATH, and remove that directory")
        })
    }
}

/// A home directory may be shared by machines of several kinds.
fn key() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn version(env: &Env, path: &Path) -> Option<String> {
    let limit = env.probe_timeout.min(VERSION_TIMEOUT);
    let finished = process::run(env.command(path).arg("--version"), limit, &|| false).ok()?;
    let version = finished.stdout.strip_prefix("uv ")?.split_whitespace().next()?.to_owned();
    (finished.success() && numbers(&version) >= numbers(OLDEST)).then_some(version)
}

/// How many pythons' pips are tried: one may be broken, but where three have failed the network is to blame.
const PIPS: usize = 3;

/// The pip of an interpreter, or the one in its `ensurepip`, run from the wheel.
fn pip(env: &Env, python: &Interpreter) -> Option<Command> {
    let mut command = env.command(&python.executable);
    match &python.pip_wheel {
        _ if python.pip => command.args(["-m", "pip"]),
        Some(wheel) => command.arg(wheel.join("pip")),
        None => return None,
    };
    Some(command)
}

/// The interpreter, the one that it was made from, and all others.
fn pythons<'a>(env: &'a Env, interpreter: &'a Interpreter) -> impl Iterator<Item = Interpreter> + use<'a> {
    let base = interpreter.base_executable.iter().filter_map(|path| Interpreter::ask(env, path).ok());
    // Only looked for when the near ones have failed.
    let others = std::iter::once_with(|| Interpreter::discover_all_in(env, None)).flatten();
    let others = others.filter(Candidate::usable).filter_map(|candidate| candidate.interpreter);
    let mut seen = HashSet::new();
    std::iter::once(interpreter.clone())
        .chain(base)
        .chain(others)
        .filter(move |python| seen.insert(python.identity()))
}

fn fetch(
    env: &Env,
    dir: &Path,
    interpreter: &Interpreter,
    progress: &dyn Progress,
) -> Result<(), ConfigError> {
    let started = Instant::now();
    let mut tried = String::new();
    let pips = pythons(env, interpreter).filter_map(|python| Some((pip(env, &python)?, python)));
    for (mut command, python) in pips.take(PIPS) {
        command
            .args(["install", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:", "--target"])
            .arg(dir)
            .arg(format!("uv>={OLDEST}"))
            // `-m` puts the working directory first on the path, where a user's module might shadow pip's.
            .current_dir(dir)
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            // Settings that make sense for the user's own installations, and contradict --target.
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_USER", "0");
        if env.get("PIP_RETRIES").is_none() {
            // Its own default waits for half a minute where there is no network.
            command.env("PIP_RETRIES", "1");
        }
        let limit = env.install_timeout.saturating_sub(started.elapsed());
        let line = match process::run(&mut command, limit, &|| progress.cancelled()) {
            Ok(finished) if finished.success() && is_executable(&dir.join("bin/uv")) => return Ok(()),
            Ok(finished) => finished.complaint().unwrap_or_else(|| finished.end.to_string()),
            Err(error) => error.to_string(),
        };
        tried.push_str(&format!("\n  pip of {}: {line}", python.executable.display()));
        if progress.cancelled() {
            break;
        }
        clear(dir);
    }
    if tried.is_empty() {
        tried.push_str(" no python with pip or ensurepip was found");
    }
    Err(ConfigError::new(format!("uv is not on PATH and could not be fetched:{tried}")))
}

/// Removes what a failed pip has left, so that the next one starts from nothing.
fn clear(dir: &Path) {
    for entry in dir.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// Settings that the user made for pip, in uv's words; what is set for uv already stays.
pub(super) fn translate_settings(env: &Env, interpreter: &Interpreter, command: &mut Command) {
    if env.get("UV_DEFAULT_INDEX").is_none() && env.get("UV_INDEX_URL").is_none() {
        let index = match env.get("PIP_INDEX_URL") {
            Some(index) => Some(index.to_owned()),
            None => configured_index(env, interpreter).map(Into::into),
        };
        if let Some(index) = index {
            command.env("UV_DEFAULT_INDEX", index);
        }
    }
    if let (None, Some(certificates)) = (env.get("SSL_CERT_FILE"), env.get("PIP_CERT")) {
        command.env("SSL_CERT_FILE", certificates);
    }
}

fn configured_index(env: &Env, interpreter: &Interpreter) -> Option<String> {
    if !interpreter.pip {
        return None;
    }
    let mut command = env.command(&interpreter.executable);
    command.args(["-m", "pip", "config", "get", "global.index-url"]).current_dir("/");
    let finished = process::run(&mut command, env.probe_timeout, &|| false).ok()?;
    let index = finished.stdout.trim();
    (finished.success() && !index.is_empty()).then(|| index.to_owned())
}
