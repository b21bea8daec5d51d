//! What `slither doctor` reports: what is there, what is wrong, and the command that mends it.

use std::path::PathBuf;

use serde::Serialize;

use super::cache::Cache;
use super::discover::{Candidate, Origin};
use super::env::Env;
use super::free_threaded;
use super::interpreter::{INSTALL_PYTHON, Interpreter};
use super::overlay::Overlay;
use super::uv::Uv;

/// The state of everything that this module depends on; nothing is changed and the network is not used to find out.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The version of Slither.
    pub version: &'static str,
    /// The processors that this process may use.
    pub cores: usize,
    /// The interpreter that a pool without a setting gets.
    pub interpreter: Option<Interpreter>,
    /// The interpreter without a GIL that baselines run on; nothing needs it otherwise.
    pub free_threaded: Option<Interpreter>,
    /// All the interpreters found, with what is wrong with each.
    pub candidates: Vec<Candidate>,
    /// The packages that the interpreter lacks are provided from here; none if it lacks nothing or it is not made yet.
    pub overlay: Option<PathBuf>,
    /// The `uv` that would be used; none means that it is fetched when it is first needed.
    pub uv: Option<Uv>,
    /// The cache; none if there is no place for it.
    pub cache: Option<CacheReport>,
    /// Whether `SLITHER_OFFLINE` is set.
    pub offline: bool,
    /// What stands in the way of a start, or was passed over on the way to it; empty when all is well.
    pub problems: Vec<Problem>,
}

/// The state of the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheReport {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes; 0 if it does not exist yet.
    pub bytes: u64,
    /// Whether it can be added to.
    pub writable: bool,
}

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub problem: String,
    /// A shell command that mends it.
    pub mend: String,
}

/// Looks at the environment of this process. Costs one start of every Python on `PATH`; blocks.
pub fn diagnose() -> Diagnosis {
    diagnose_in(&Env::from_process())
}

/// [`diagnose`] with these variables and limits.
pub fn diagnose_in(env: &Env) -> Diagnosis {
    let candidates = Interpreter::discover_all_in(env, None);
    let mut problems = Vec::new();
    let mut report = |problem: String, mend: String| problems.push(Problem { problem, mend });

    for candidate in candidates.iter().filter(|candidate| candidate.origin == Origin::VirtualEnv) {
        if let (None, Some(error)) = (&candidate.interpreter, &candidate.error) {
            let path = candidate.path.display();
            report(format!("VIRTUAL_ENV is passed over: {path}: {error}"), "unset VIRTUAL_ENV".to_owned());
        }
    }
    if env.get(free_threaded::VARIABLE).is_some() && free_threaded::among(env, &candidates).is_none() {
        report(
            format!("{} names no python that runs without a GIL", free_threaded::VARIABLE),
            format!("unset {}", free_threaded::VARIABLE),
        );
    }
    let interpreter = match Interpreter::find_in(env, None) {
        Ok(interpreter) => Some(interpreter),
        Err(error) => {
            report(error.message().to_owned(), mend_interpreter(env, &candidates));
            None
        }
    };
    let cache = match Cache::locate(env) {
        Ok(cache) => Some(cache),
        Err(error) => {
            report(error.message().to_owned(), "export SLITHER_CACHE_DIR=/var/tmp/slither".to_owned());
            None
        }
    };
    let uv = cache.as_ref().and_then(|cache| Uv::find(env, cache));
    let mut overlay = None;
    if let (Some(interpreter), Some(cache)) = (&interpreter, &cache)
        && let Ok(Some(needed)) = Overlay::needed(env, interpreter, &[])
    {
        overlay = needed.made(cache);
        if overlay.is_none() {
            let command = needed.setup_command();
            report(
                needed.lack(),
                if env.offline() { format!("env -u SLITHER_OFFLINE {command}") } else { command },
            );
            let pip = candidates.iter().filter_map(|candidate| candidate.interpreter.as_ref());
            let pip = pip.chain([interpreter]).any(|python| python.pip || python.pip_wheel.is_some());
            if uv.is_none() && !pip {
                report(
                    "uv is not on PATH, and no python has a pip or ensurepip to fetch it with".to_owned(),
                    "sudo apt-get install python3-pip".to_owned(),
                );
            }
        }
    }
    let cache = cache.map(|cache| {
        let writable = cache.writable();
        if let Err(error) = &writable {
            report(error.message().to_owned(), "export SLITHER_CACHE_DIR=/var/tmp/slither".to_owned());
        }
        CacheReport { path: cache.root().to_owned(), bytes: cache.bytes(), writable: writable.is_ok() }
    });
    Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        interpreter,
        free_threaded: free_threaded::among(env, &candidates).cloned(),
        candidates,
        overlay,
        uv,
        cache,
        offline: env.offline(),
        problems,
    }
}

/// The nearest way to an interpreter: one that is there, or else a new one.
fn mend_interpreter(env: &Env, candidates: &[Candidate]) -> String {
    let usable = candidates.iter().find(|candidate| candidate.usable());
    match usable.and_then(|candidate| candidate.interpreter.as_ref()) {
        Some(_) if env.get("SLITHER_PYTHON").is_some() => "unset SLITHER_PYTHON".to_owned(),
        Some(other) => format!("export SLITHER_PYTHON={}", other.executable.display()),
        None => format!("{INSTALL_PYTHON} && export SLITHER_PYTHON=$(uv python find 3.12)"),
    }
}
