//! `data_etl`: rows of a CSV file are checked by Python with a schema that changes all the while, and no row
//! ever meets half a change.

mod baseline;
mod checks;
mod contention;
mod evidence;
mod flow;
mod infer;
mod records;
mod rows;
mod schema;
mod store;
mod summary;
pub(crate) mod table;
mod transform;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use include_dir::{Dir, include_dir};
use slither::pipe::Event;
use slither::{Chaos, ConfigError, Each, Pool, RunOptions, Slither};
use tokio::task::JoinSet;

use crate::Settings;
use crate::faults::{self, ChaosReport};
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use contention::{Pace, Publisher, Reader};
use evidence::Evidence;
use flow::{Gathered, MODULE, POOL, WorkerStats};
use rows::{CHUNK, Input};
use store::SchemaStore;

pub(crate) use baseline::work as baseline_work;

/// What it is called on the command line.
pub const NAME: &str = "data_etl";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/data_etl/python");

/// How often the store is reloaded during the second act; as often a schema is put in between.
const RELOADS: u64 = 100;
/// How long a chunk may take under chaos.
const DEADLINE: Duration = Duration::from_secs(2);
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
    let prepared = prepare(settings, workers, folder.path(), &observer, &stop);
    let (input, stage) = tokio::select! {
        prepared = prepared => prepared?,
        () = stop.clone().requested() => return Err(ConfigError::new("stopped before the first row")),
    };
    let evidence = play(&input, &stage, &*observer, stop).await?;
    stage.slither.shutdown(GRACE).await;
    Ok(summary::report(workers, input.is_users(), evidence))
}

/// What both acts need.
struct Stage {
    slither: Slither,
    publisher: Publisher,
    workers: usize,
    chaos: Option<Chaos>,
}

/// Reads through the input, and only then starts workers: a mistyped path should not cost a start.
async fn prepare(
    settings: Settings,
    workers: usize,
    folder: &Path,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<(Input, Stage), ConfigError> {
    let Settings { input, chaos, .. } = settings;
    let input = match input {
        Some(path) => {
            observer.step("checking the input", None);
            let opened = tokio::task::spawn_blocking(move || Input::open(&path)).await;
            opened.map_err(|error| ConfigError::new(format!("the input cannot be checked: {error}")))??
        }
        None => Input::built_in()?,
    };
    let file = folder.join("schema.json");
    store::save(&file, &input.edition.at(1)).map_err(|error| unwritten(&error))?;
    observer.step("starting workers", None);
    let pool = Pool::processes(POOL).size(workers).python_path(folder);
    let slither = Slither::builder()
        .pool(faults::inject(pool, chaos.as_ref(), DEADLINE))
        .store(SchemaStore::new(file.clone()))
        .progress(Provision::new(observer.clone(), stop.clone()))
        .start()
        .await?;
    let publisher = Publisher { store: slither.store()?, file, edition: input.edition.clone() };
    Ok((input, Stage { slither, publisher, workers, chaos }))
}

/// Both acts, and then the workers' own accounts.
async fn play(
    input: &Input,
    stage: &Stage,
    observer: &dyn Observer,
    stop: Stop,
) -> Result<Evidence, ConfigError> {
    let mut evidence = Evidence::new(input.edition.clone());
    let reader = Reader::start(stage.publisher.store.clone());

    observer.step("two batches with a reload between them", Some(input.count(1) + input.count(2)));
    act(input, 1, 0, stage, observer, &stop, &mut evidence).await?;
    let publisher = stage.publisher.clone();
    let put = tokio::task::spawn_blocking(move || publisher.publish(2).map_err(|error| error.to_string()));
    evidence.published.push(put.await.unwrap_or_else(|error| Err(error.to_string())));
    evidence.to_publish = 1;
    act(input, 2, 0, stage, observer, &stop, &mut evidence).await?;

    let reloads = RELOADS.min(chunks(input.count(3)));
    observer.step(&format!("many rows, with {reloads} reloads on the way"), Some(input.count(3)));
    evidence.to_publish += 2 * reloads;
    act(input, 3, 2 * reloads, stage, observer, &stop, &mut evidence).await?;
    evidence.sightings = reader.stop().await;
    evidence.stopped = stop.is_requested();
    if let Some(chaos) = &stage.chaos {
        evidence.chaos = Some(ChaosReport::gather(chaos, &stage.slither, &[(POOL, stage.workers)]).await?);
    }

    observer.step("asking each worker for its audit log", None);
    let stats: Each<WorkerStats> = stage
        .slither
        .call_each(POOL, &format!("{MODULE}:worker_stats"), &())
        .await
        .map_err(|error| ConfigError::new(format!("the workers cannot be asked: {error}")))?;
    evidence.audit(stats);
    Ok(evidence)
}

/// One run of the pipe, while so many further versions are brought into force by another task.
async fn act(
    input: &Input,
    run: u32,
    publications: u64,
    stage: &Stage,
    observer: &dyn Observer,
    stop: &Stop,
    evidence: &mut Evidence,
) -> Result<(), ConfigError> {
    let pace = Arc::new(Pace::new(chunks(input.count(run)), publications));
    let on_error = faults::policy(stage.chaos.is_some());
    let pipe = flow::pipe(stage.publisher.store.clone(), pace.clone(), 2 * stage.workers, on_error)?;
    let pulled = Arc::new(AtomicU64::new(0));
    evidence.run(run).rows = input.count(run);
    let source = source(input, run, pace.clone(), pulled.clone());
    let source = source.take_until(stop.clone().requested());
    let mut events = stage.slither.stream_pipe(&pipe, source, RunOptions::new()).await?;

    // Whatever happens here, the publisher ends with it.
    let mut beside = JoinSet::new();
    let published = Arc::new(Mutex::new(Vec::new()));
    let versions = 3..=2 + publications;
    beside.spawn(stage.publisher.clone().publish_all(versions, pace.clone(), published.clone()));

    while let Some(event) = events.next().await {
        evidence.run(run).pulled = pulled.load(Relaxed);
        match event {
            Ok(Event::Emitted { output, item }) => {
                evidence.add(run, &output, item.payload);
                observer.advance(1);
            }
            Ok(Event::Failed(failure)) => {
                evidence.fail(run, &failure);
                observer.advance(CHUNK as u64);
            }
            Err(error) => evidence.end = Some(error.to_string()),
        }
    }
    beside.shutdown().await;
    evidence.run(run).pulled = pulled.load(Relaxed);
    evidence.finish(run, &events.report());
    evidence.torn_chunks += pace.torn();
    evidence.published.append(&mut published.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// A run's rows in chunks, none of which is pulled before the publisher has kept up.
fn source(
    input: &Input,
    run: u32,
    pace: Arc<Pace>,
    pulled: Arc<AtomicU64>,
) -> impl Stream<Item = Result<Gathered, ConfigError>> + Send + use<> {
    let mut rows = input.rows(run);
    let gather = move |number| {
        let rows: Result<Vec<_>, _> = rows.by_ref().take(CHUNK).collect();
        match rows {
            Ok(rows) if rows.is_empty() => None,
            rows => Some(rows.map(|rows| Gathered { number, rows })),
        }
    };
    stream::iter((0..).map_while(gather)).enumerate().then(move |(number, chunk)| {
        let (pace, pulled) = (pace.clone(), pulled.clone());
        async move {
            pace.pull(number as u64).await;
            let rows = chunk.as_ref().map_or(0, |chunk| chunk.rows.len());
            pulled.fetch_add(rows as u64, Relaxed);
            chunk
        }
    })
}

fn chunks(rows: u64) -> u64 {
    rows.div_ceil(CHUNK as u64)
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's files cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
