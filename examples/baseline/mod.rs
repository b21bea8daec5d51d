//! Baselines: the work of an example in plain Python threads that share what they change, once without and once
//! with a lock, on a free-threaded interpreter and on one with a GIL. What breaks is found by running it.

mod beside;
mod findings;
mod process;
mod scoring;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde::Serialize;
use slither::ConfigError;
use slither::python::{Env, Environment, EnvironmentSpec, Interpreter};

use crate::Listed;
use crate::observe::{Observer, Provision, Stop};

use process::{LIMIT, Program};

pub use beside::headline;
pub use findings::{Invariant, Run};
pub(crate) use work::{MOST_ITEMS, Work};

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/baseline/python");

/// How the work is done, once each.
pub const MODES: [&str; 2] = ["naive", "locked"];

/// What plain Python came to.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    /// The example's name.
    pub example: &'static str,
    /// The runs, in order.
    pub runs: Vec<Run>,
    /// What was not run, and why.
    pub skipped: Vec<Skipped>,
    #[serde(skip)]
    beside: &'static [(&'static str, &'static str)],
}

/// An interpreter on which nothing was run.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    /// Which one, or which kind.
    pub interpreter: String,
    /// Why.
    pub reason: String,
    /// What would mend it, if something would.
    pub hint: Option<String>,
}

impl Skipped {
    fn because(interpreter: String, error: &ConfigError) -> Self {
        Self { interpreter, reason: error.message().to_owned(), hint: None }
    }
}

impl Baseline {
    /// One that was not run at all, for this reason.
    pub fn not_run(example: &Listed, error: &ConfigError) -> Self {
        let skipped = vec![Skipped::because("plain Python".to_owned(), error)];
        Self { example: example.name, runs: Vec::new(), skipped, beside: &[] }
    }
}

/// The interpreters that a baseline runs on, found once for any number of them.
#[derive(Debug, Clone)]
pub struct Interpreters {
    found: Vec<Interpreter>,
    missing: Vec<Skipped>,
}

impl Interpreters {
    /// Only the one that was named; else a free-threaded one, and one with a GIL. Blocks.
    ///
    /// # Errors
    /// If the one that was named does not work, or there is none at all.
    pub fn find(named: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(named) = named {
            return Ok(Self { found: vec![Interpreter::named(named)?], missing: Vec::new() });
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let mut take = |interpreter: Option<Interpreter>, kind: &str, hint: &str| match interpreter {
            Some(interpreter) => found.push(interpreter),
            None => missing.push(Skipped {
                interpreter: kind.to_owned(),
                reason: "none was found".to_owned(),
                hint: Some(hint.to_owned()),
            }),
        };
        let install = Interpreter::INSTALL_FREE_THREADED;
        take(Interpreter::find_free_threaded()?, "a free-threaded Python", install);
        take(Interpreter::find_with_gil(), "a Python with a GIL", "uv python install 3.12");
        match found.is_empty() {
            // It says where was looked, and what to do.
            true => {
                Err(Interpreter::find(None).err().unwrap_or_else(|| ConfigError::new("no python was found")))
            }
            false => Ok(Self { found, missing }),
        }
    }
}

/// Runs the baseline of an example, on the user's data if there is an `input`.
///
/// What a run does, a segfault and a time limit included, is part of the outcome.
///
/// # Errors
/// If the input is not as it must be, or there is no room for temporary files.
pub async fn run(
    example: &Listed,
    interpreters: &Interpreters,
    input: Option<PathBuf>,
    observer: Arc<dyn Observer>,
    stop: Stop,
) -> Result<Baseline, ConfigError> {
    let folder = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    let (place, name) = (folder.path().to_owned(), example.name);
    let made = tokio::task::spawn_blocking(move || made(name, input.as_deref(), &place)).await;
    let (work, program) =
        made.map_err(|error| ConfigError::new(format!("the baseline cannot be prepared: {error}")))??;
    let mut baseline = Baseline {
        example: work.example,
        runs: Vec::new(),
        skipped: interpreters.missing.clone(),
        beside: work.beside,
    };
    let mut prepared = !work.prepares;
    for interpreter in &interpreters.found {
        let played = play(example, interpreter, &program, &mut prepared, &observer, &stop);
        let runs = tokio::select! {
            runs = played => runs,
            () = stop.clone().requested() => break,
        };
        match runs {
            Ok(runs) => baseline.runs.extend(runs),
            Err(error) => baseline.skipped.push(Skipped::because(interpreter.to_string(), &error)),
        }
    }
    Ok(baseline)
}

/// The data and the modules, written where a run finds them.
fn made(example: &'static str, input: Option<&Path>, folder: &Path) -> Result<(Work, Program), ConfigError> {
    let work = work::of(example, input, folder)?;
    let (harness, modules, given) =
        (folder.join("harness"), folder.join("example"), folder.join("work.json"));
    let written = || -> std::io::Result<()> {
        for (dir, files) in [(&harness, Some(&PYTHON)), (&modules, work.python)] {
            std::fs::create_dir_all(dir)?;
            files.map_or(Ok(()), |files| files.extract(dir))?;
        }
        std::fs::write(&given, work.given.to_string())
    };
    written().map_err(|error| unwritten(&error))?;
    let program = Program { module: work.module, work: given, path: vec![harness, modules] };
    Ok((work, program))
}

/// Both modes on one interpreter, with the packages that the example needs.
async fn play(
    example: &Listed,
    interpreter: &Interpreter,
    program: &Program,
    prepared: &mut bool,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Vec<Run>, ConfigError> {
    let program = match example.requirements {
        [] => program.clone(),
        requirements => {
            observer.step(&format!("packages for python {}", interpreter.version), None);
            let spec = EnvironmentSpec {
                python: Some(interpreter.executable.clone()),
                requirements: requirements.iter().map(|&it| it.to_owned()).collect(),
            };
            // The variable would decide for another interpreter than this.
            let env = Env::from_process().without("SLITHER_PYTHON");
            let progress = Provision::new(observer.clone(), stop.clone());
            let provided =
                tokio::task::spawn_blocking(move || Environment::prepare_in(&env, &spec, &progress)).await;
            let provided = provided.map_err(|error| ConfigError::new(error.to_string()))??;
            program.clone().with(provided.sys_path().map(Path::to_owned))
        }
    };
    if !*prepared {
        observer.step("preparing the baseline", None);
        let run = program.run(interpreter, "prepare", LIMIT).await?;
        if run.exit != "code 0" {
            let last = run.stderr.last().map_or_else(String::new, |line| format!(": {line}"));
            return Err(ConfigError::new(format!("the work could not be prepared ({}){last}", run.exit)));
        }
        *prepared = true;
    }
    let mut runs = Vec::new();
    for mode in MODES {
        observer.step(&format!("plain Python {}, {mode}", interpreter.version), None);
        runs.push(program.run(interpreter, mode, LIMIT).await?);
    }
    Ok(runs)
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the baseline's files cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Observer for Silent {
        fn step(&self, _: &str, _: Option<u64>) {}

        fn advance(&self, _: u64) {}

        fn note(&self, _: &str) {}
    }

    /// The baseline of models and sessions is run by itself, with the package that it needs.
    #[tokio::test(flavor = "multi_thread")]
    async fn models_behind_a_lock_stay_with_their_sessions() {
        let listed =
            Listed { name: "ml_scoring", summary: "", requirements: &["scikit-learn>=1.3"], alone: false };
        let interpreters =
            Interpreters { found: vec![Interpreter::find(None).unwrap()], missing: Vec::new() };
        let (_sender, stop) = Stop::new();
        let baseline = run(&listed, &interpreters, None, Arc::new(Silent), stop).await.unwrap();
        assert!(baseline.skipped.is_empty(), "{:?}", baseline.skipped);
        let locked = baseline.runs.iter().find(|run| run.mode == "locked").unwrap();
        assert_eq!(locked.broken().count(), 0, "{locked:?}");
        assert!(locked.invariant("predictions_by_own_model").is_some());
    }
}
