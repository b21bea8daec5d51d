//! `text_analysis`: documents through a Rust stage, a Python stage and a router; every worker counts for
//! itself, and the counts are merged in one place.

mod baseline;
mod checks;
mod flow;
mod merge;
mod stopwords;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use include_dir::{Dir, include_dir};
use slither::pipe::Event;
use slither::{Call, Chaos, ConfigError, Each, Item, OnError, Outcome, Pool, RunOptions, Slither};

use crate::Settings;
use crate::documents::{Document, Documents};
use crate::faults::{self, ChaosReport};
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use flow::{BATCH, MODULE, Prepared, WorkerStats};
use merge::{Evidence, Recount, WordCounts};
use stopwords::StopwordStore;

pub(crate) use baseline::work as baseline_work;

/// What it is called on the command line.
pub const NAME: &str = "text_analysis";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/text_analysis/python");
static CORPUS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/text_analysis/corpus");

/// How long a batch may take under chaos.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// The documents that ship with the example.
pub fn corpus() -> Documents {
    let mut files: Vec<_> = CORPUS.files().collect();
    files.sort_by_key(|file| file.path());
    Documents::built_in(files.into_iter().filter_map(|file| {
        let name = file.path().file_name()?.to_string_lossy().into_owned();
        Some(Document { name, text: file.contents_utf8()?.to_owned() })
    }))
}

/// Runs the example.
///
/// # Errors
/// If the input or the environment is not as it must be, or `stop` was requested before anything was pulled.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    let python = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    PYTHON.extract(python.path()).map_err(|error| unwritten(&error))?;
    let chaos = settings.chaos;
    let prepared = prepare(settings.input, workers, python.path(), chaos.as_ref(), &observer, &stop);
    let (documents, slither) = tokio::select! {
        prepared = prepared => prepared?,
        () = stop.clone().requested() => return Err(ConfigError::new("stopped before the first document")),
    };
    let evidence = analyse(&slither, workers, &documents, chaos.as_ref(), &*observer, stop).await?;
    slither.shutdown(GRACE).await;
    Ok(summary::report(workers, evidence))
}

/// Reads through the input, and only then starts workers: a mistyped path should not cost a start.
async fn prepare(
    input: Option<PathBuf>,
    workers: usize,
    python: &Path,
    chaos: Option<&Chaos>,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<(Documents, Slither), ConfigError> {
    let documents = match input {
        Some(path) => {
            observer.step("checking the input", None);
            let opened = tokio::task::spawn_blocking(move || Documents::open(&path)).await;
            opened.map_err(|error| ConfigError::new(format!("the input cannot be checked: {error}")))??
        }
        None => corpus(),
    };
    observer.step("starting workers", None);
    let analysis = Pool::processes("analysis").size(workers).python_path(python);
    let slither = Slither::builder()
        .pool(faults::inject(analysis, chaos, DEADLINE))
        .pool(Pool::processes("serial").size(1).python_path(python))
        .store(StopwordStore)
        .progress(Provision::new(observer.clone(), stop.clone()))
        .start()
        .await?;
    Ok((documents, slither))
}

/// The run itself, then the workers' statistics, then the same count made straight.
async fn analyse(
    slither: &Slither,
    workers: usize,
    documents: &Documents,
    chaos: Option<&Chaos>,
    observer: &dyn Observer,
    stop: Stop,
) -> Result<Evidence, ConfigError> {
    let stopwords = slither.store::<StopwordStore>()?;
    let pipe = flow::pipe(stopwords, 2 * workers, faults::policy(chaos.is_some()))?;
    let mut evidence = Evidence::new(documents.count());

    observer.step("analysing", Some(documents.count()));
    let begun = Instant::now();
    let source = stream::iter(documents.iter()).take_until(stop.clone().requested());
    let mut events = slither.stream_pipe(&pipe, source, RunOptions::new()).await?;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Emitted { output, item }) => evidence.add(&output, item),
            Ok(Event::Failed(failure)) => evidence.failures.add(&failure),
            Err(error) => {
                evidence.end = Some(error.to_string());
                continue;
            }
        }
        observer.advance(1);
    }
    evidence.elapsed = begun.elapsed();
    evidence.finish(events.report());
    evidence.name_failures(documents);
    if let Some(chaos) = chaos {
        evidence.chaos = Some(ChaosReport::gather(chaos, slither, &[("analysis", workers)]).await?);
    }

    observer.step("asking each worker what it counted", None);
    let stats: Each<WorkerStats> = slither
        .call_each("analysis", &format!("{MODULE}:worker_stats"), &())
        .await
        .map_err(|error| ConfigError::new(format!("the workers cannot be asked: {error}")))?;
    evidence.merge(stats);
    evidence.recount = recount(slither, documents, &evidence, observer, stop).await?;
    Ok(evidence)
}

/// Counts the words of the documents that the living workers have counted, in one process and by another route.
async fn recount(
    slither: &Slither,
    documents: &Documents,
    evidence: &Evidence,
    observer: &dyn Observer,
    stop: Stop,
) -> Result<Recount, ConfigError> {
    let version = slither.store::<StopwordStore>()?.version();
    let wanted = evidence.accounted_for();
    observer
        .step("counting again in one process", Some(wanted.iter().filter(|wanted| **wanted).count() as u64));
    let again = (0u64..).zip(documents.iter()).zip(wanted).filter(|(_, wanted)| *wanted).filter_map(
        move |((number, document), _)| {
            let Document { name, text } = document.ok()?;
            Some(Item::new(number, Prepared { name, text, stopwords: version }))
        },
    );
    let again = stream::iter(again).take_until(stop.clone().requested());
    let call = Call::new(format!("{MODULE}:straight_count"))
        .pool("serial")
        .batch_size(BATCH)
        .max_in_flight(2)
        .on_error(OnError::Skip);
    let mut counts = slither.dispatch_stream::<Prepared, WordCounts>(again, call).await?;
    let mut total = WordCounts::new();
    while let Some(outcome) = counts.next().await {
        match outcome {
            Ok(Outcome::Done(item)) => merge::add(&mut total, item.payload),
            Ok(Outcome::Failed(failure)) => return Ok(Recount::Failed(failure.to_string())),
            Err(error) => return Ok(Recount::Failed(error.to_string())),
        }
        observer.advance(1);
    }
    Ok(if stop.is_requested() { Recount::Stopped } else { Recount::Done(total) })
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's Python cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
