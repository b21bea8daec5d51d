//! `ml_scoring`: two sessions train and score, each with its own model in its own worker; one of the workers is
//! killed.

mod backing;
mod checks;
mod evidence;
mod features;
mod flow;
mod play;
mod records;
mod rounds;
mod summary;
#[cfg(test)]
mod trial;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use include_dir::{Dir, include_dir};
use slither::{Chaos, ConfigError, Pool, Slither};

use crate::Settings;
use crate::faults;
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use features::FeatureStore;
use flow::{MODULE, POOL, SCIKIT_LEARN};
use play::Stage;
use rounds::Rounds;

/// What it is called on the command line.
pub const NAME: &str = "ml_scoring";
/// Packages it needs.
pub const REQUIREMENTS: &[&str] = &[SCIKIT_LEARN];

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/ml_scoring/python");

/// One for each session: where both share a worker, its death costs both.
const LEAST_WORKERS: usize = 2;
/// How long a batch may take under chaos.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the example.
///
/// # Errors
/// If there are fewer than two workers or an input, if the environment is not as it must be, or if `stop` was requested
/// before the end: the acts build on each other, so half of them prove nothing.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let workers = workers(&settings)?;
    spared(settings.chaos.as_ref())?;
    let folder = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    let python = folder.path().join("python");
    std::fs::create_dir_all(&python).map_err(|error| unwritten(&error))?;
    PYTHON.extract(&python).map_err(|error| unwritten(&error))?;
    let store = FeatureStore::open(&folder.path().join("features.jsonl"));
    let store = store.map_err(|error| unwritten(&error))?;
    let all = async {
        let stage = start(workers, &python, store, settings.chaos, &observer, &stop).await?;
        let played = stage.play(&*observer).await;
        stage.slither.shutdown(GRACE).await;
        Ok::<_, ConfigError>(played)
    };
    let played = tokio::select! {
        played = all => played?,
        () = stop.clone().requested() => return Err(ConfigError::new("stopped before the end")),
    };
    Ok(match played {
        Ok(evidence) => summary::report(evidence),
        Err(broken) => summary::broken(&broken),
    })
}

/// How many workers there are to be.
fn workers(settings: &Settings) -> Result<usize, ConfigError> {
    if settings.input.is_some() {
        return Err(ConfigError::new(format!("the example `{NAME}` takes no input"))
            .hint("leave --input out: it learns from data sets that come with scikit-learn"));
    }
    match settings.workers {
        Some(workers) if workers < LEAST_WORKERS => Err(ConfigError::new(format!(
            "the example `{NAME}` needs at least {LEAST_WORKERS} workers, one for each of its two sessions; got {workers}"
        ))
        .hint("leave --workers out, or give 2 or more")),
        Some(workers) => Ok(workers),
        None => Ok(std::thread::available_parallelism().map_or(LEAST_WORKERS, usize::from).max(LEAST_WORKERS)),
    }
}

/// Its acts build on what two workers keep, and one of them is the death of one.
fn spared(chaos: Option<&Chaos>) -> Result<(), ConfigError> {
    match chaos.is_some_and(Chaos::is_deadly) {
        true => Err(ConfigError::new(format!("the example `{NAME}` takes no faults that cost a worker"))
            .hint("of the faults give `slow` and `raise`: it kills a worker itself, and shows what a session loses by that")),
        false => Ok(()),
    }
}

async fn start(
    workers: usize,
    python: &Path,
    features: FeatureStore,
    chaos: Option<Chaos>,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Stage, ConfigError> {
    observer.step("starting workers", None);
    let rounds = Rounds::default();
    // Imported once, where workers are forked from: a worker in the place of a dead one is there at once.
    let pool = Pool::processes(POOL).size(workers).python_path(python).preload(MODULE);
    let slither = Slither::builder()
        .pool(faults::inject(pool.requirements(REQUIREMENTS.to_vec()), chaos.as_ref(), DEADLINE))
        .store(features)
        .store(rounds.clone())
        .progress(Provision::new(observer.clone(), stop.clone()))
        .start()
        .await?;
    let store = slither.store()?;
    Ok(Stage { slither, store, rounds, workers, chaos })
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's files cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
