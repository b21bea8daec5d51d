//! `batch_stats`: good datasets among bad ones, one of which kills its worker, in four kinds of batches and under
//! two policies; what the bad ones cost is counted.

mod baseline;
mod checks;
mod datasets;
mod evidence;
mod flow;
mod input;
mod journal;
mod straight;
mod summary;
#[cfg(test)]
mod trial;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use include_dir::{Dir, include_dir};
use slither::{ConfigError, Each, Item, Outcome, Pool, Slither};

use crate::Settings;
use crate::observe::{Observer, Provision, Stop};
use crate::report::{Failures, Report};

use evidence::{Evidence, Expected, Fell, Played};
use flow::{Act, Described, MODULE, POOL, WorkerStats, acts};
use input::Input;
use journal::Journal;

pub(crate) use baseline::work as baseline_work;

/// What it is called on the command line.
pub const NAME: &str = "batch_stats";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/batch_stats/python");

/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the example.
///
/// # Errors
/// If the input or the environment is not as it must be, or `stop` was requested before anything was pulled.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    let folder = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    PYTHON.extract(folder.path()).map_err(|error| unwritten(&error))?;
    let prepared = prepare(settings.input, workers, folder.path(), &observer, &stop);
    let (input, mut evidence, stage) = tokio::select! {
        prepared = prepared => prepared?,
        () = stop.clone().requested() => return Err(ConfigError::new("stopped before the first dataset")),
    };
    for act in acts() {
        if stop.is_requested() {
            break;
        }
        stage.play(act, &input, &*observer, &stop, &mut evidence).await?;
    }
    stage.slither.shutdown(GRACE).await;
    Ok(summary::report(workers, evidence))
}

/// What every act needs.
struct Stage {
    slither: Slither,
    journal: Journal,
    workers: usize,
}

/// Reads through the input, and only then starts workers: a mistyped path should not cost a start.
async fn prepare(
    path: Option<PathBuf>,
    workers: usize,
    python: &Path,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<(Input, Evidence, Stage), ConfigError> {
    observer.step("describing the input in one process", None);
    let described = tokio::task::spawn_blocking(move || {
        let input = path.as_deref().map_or(Ok(Input::BuiltIn), Input::open)?;
        let expected = input.iter().map(|dataset| dataset.map(|dataset| Expected::of(&dataset)));
        let expected = expected.collect::<Result<Vec<_>, ConfigError>>()?;
        Ok::<_, ConfigError>((input, expected))
    });
    let described = described.await;
    let (input, expected) =
        described.map_err(|error| ConfigError::new(format!("the input cannot be checked: {error}")))??;
    let evidence = Evidence {
        expected,
        users: input.is_users(),
        acts: Vec::new(),
        slots: HashMap::new(),
        failures: Failures::default(),
        silent: Vec::new(),
        end: None,
    };
    observer.step("starting workers", None);
    let journal = Journal::default();
    let slither = Slither::builder()
        .pool(Pool::processes(POOL).size(workers).python_path(python))
        .store(journal.clone())
        .progress(Provision::new(observer.clone(), stop.clone()))
        .start()
        .await?;
    Ok((input, evidence, Stage { slither, journal, workers }))
}

impl Stage {
    /// One run over all the datasets, and then what the workers have accumulated in it.
    async fn play(
        &self,
        act: Act,
        input: &Input,
        observer: &dyn Observer,
        stop: &Stop,
        evidence: &mut Evidence,
    ) -> Result<(), ConfigError> {
        let mut played = Played::new(act);
        let _: Each<()> = self.ask("reset").await?;
        let deaths = self.slither.stats(POOL)?.deaths;
        observer
            .step(&format!("{}, {}", act.description(), act.policy()), Some(evidence.expected.len() as u64));

        let begun = Instant::now();
        let (pulled, broken) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(None)));
        let source = source(input, pulled.clone(), broken.clone()).take_until(stop.clone().requested());
        let mut outcomes =
            self.slither.dispatch_stream::<_, Described>(source, act.call(self.workers)).await?;
        while let Some(outcome) = outcomes.next().await {
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(error) => {
                    evidence.end = Some(format!("{}: {error}", act.name()));
                    continue;
                }
            };
            if played.pulled_at_first.is_none() {
                played.pulled_at_first = Some(pulled.load(Relaxed));
                played.first_after = begun.elapsed();
            }
            evidence.take(&mut played, outcome);
            observer.advance(1);
        }
        played.elapsed = begun.elapsed();
        played.ledger = outcomes.ledger();
        played.whole = !stop.is_requested();
        let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(error) = broken {
            evidence.end = Some(error);
            played.whole = false;
        }
        played.begun = self.journal.take();

        let stats: Each<WorkerStats> = self.ask("worker_stats").await?;
        let named = stats.replies.iter().map(|reply| (reply.pid, &reply.worker));
        for (pid, name) in named.chain(stats.lost.iter().map(|lost| (lost.pid, &lost.worker))) {
            let slot = name.split_once('#').map_or(name.as_str(), |(slot, _)| slot);
            evidence.slots.insert(pid, slot.to_owned());
        }
        for reply in stats.replies {
            match reply.result {
                Ok(account) => played.accounts.push(account),
                Err(error) => {
                    evidence.silent.push(format!("{} (pid {}): {error}", reply.worker, reply.pid));
                }
            }
        }
        played.deaths = (self.slither.stats(POOL)?.deaths - deaths) as u64;
        evidence.acts.push(played);
        Ok(())
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, function: &str) -> Result<Each<T>, ConfigError> {
        let each = self.slither.call_each(POOL, &format!("{MODULE}:{function}"), &()).await;
        each.map_err(|error| ConfigError::new(format!("the workers cannot be asked: {error}")))
    }
}

impl Evidence {
    /// Takes in how a dataset ended.
    fn take(&mut self, played: &mut Played, outcome: Outcome<Described>) {
        let first_to_isolate = played.act.isolate && self.isolated().is_none();
        let before = match outcome {
            Outcome::Done(item) => played.described.insert(item.id.0, item.payload).is_some(),
            Outcome::Failed(failure) => {
                let number = failure.item.0;
                if self.users && first_to_isolate {
                    self.failures.add(&failure);
                    let name = self.at(number).map(|expected| expected.name.clone());
                    if let Some(named) = self.failures.named.last_mut().filter(|it| it.item == number) {
                        named.name = name;
                    }
                }
                played.fell.insert(number, Fell::new(&failure)).is_some()
            }
        };
        played.twice += u64::from(before);
    }
}

/// The datasets, counted as they are pulled. A file that has become unreadable since it was checked ends them.
fn source(
    input: &Input,
    pulled: Arc<AtomicU64>,
    broken: Arc<Mutex<Option<String>>>,
) -> impl futures_util::Stream<Item = Item<datasets::Dataset>> + Send + use<> {
    let datasets = input.iter().map_while(move |dataset| match dataset {
        Ok(dataset) => {
            pulled.fetch_add(1, Relaxed);
            Some(Item::new(dataset.number, dataset))
        }
        Err(error) => {
            *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            None
        }
    });
    stream::iter(datasets)
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's Python cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
