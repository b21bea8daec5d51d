//! `text_analysis`: documents through a Rust stage, a Python stage and a router; every worker counts for
//! itself, and the counts are merged in one place.

mod flow;
mod merge;
mod stopwords;
mod summary;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use include_dir::{Dir, include_dir};
use slither::pipe::Event;
use slither::{Call, ConfigError, Each, Item, OnError, Outcome, Pool, RunOptions, Slither};

use crate::Settings;
use crate::documents::{Document, Documents};
use crate::observe::{Observer, Stop};
use crate::report::Report;

use flow::{BATCH, MODULE, Prepared, WorkerStats};
use merge::{Evidence, WordCounts};
use stopwords::StopwordStore;

/// What it is called on the command line.
pub const NAME: &str = "text_analysis";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/text_analysis/python");
static CORPUS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/text_analysis/corpus");

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
/// If the input or the environment is not as it must be.
pub async fn run(settings: &Settings, observer: &dyn Observer, stop: Stop) -> Result<Report, ConfigError> {
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    let pool = Pool::processes("analysis").size(workers);
    let serial = Pool::processes("serial").size(1);
    // Before anything is started: a typing error should not cost a start.
    let documents = match &settings.input {
        Some(path) => {
            observer.step("checking the input", None);
            Documents::open(path)?
        }
        None => corpus(),
    };
    let python = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    PYTHON.extract(python.path()).map_err(|error| unwritten(&error))?;

    observer.step("starting workers", None);
    let slither = start(pool, serial, python.path()).await?;
    let evidence = analyse(&slither, workers, &documents, observer, stop).await?;
    slither.shutdown(GRACE).await;
    Ok(summary::report(workers, evidence))
}

async fn start(pool: Pool, serial: Pool, python: &Path) -> Result<Slither, ConfigError> {
    let pools = [pool, serial].map(|pool| pool.python_path(python));
    let builder = pools.into_iter().fold(Slither::builder(), slither::Builder::pool);
    builder.store(StopwordStore).start().await
}

/// The run itself, then the workers' statistics, then the same count made straight.
async fn analyse(
    slither: &Slither,
    workers: usize,
    documents: &Documents,
    observer: &dyn Observer,
    stop: Stop,
) -> Result<Evidence, ConfigError> {
    let stopwords = slither.store::<StopwordStore>()?;
    let pipe = flow::pipe(stopwords, 2 * workers)?;
    let mut evidence = Evidence::new(documents.count());

    observer.step("analysing", Some(documents.count()));
    let begun = Instant::now();
    let source = stream::iter(documents.iter()).take_until(stop.clone().requested());
    let mut events = slither.stream_pipe(&pipe, source, RunOptions::new()).await?;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Emitted { output, item }) => evidence.add(&output, item),
            Ok(Event::Failed(failure)) => {
                let name =
                    || documents.iter().nth(usize::try_from(failure.item.0).ok()?)?.ok().map(|it| it.name);
                evidence.failures.add(&failure, name);
            }
            Err(error) => evidence.end = Some(error.to_string()),
        }
        observer.advance(1);
    }
    evidence.elapsed = begun.elapsed();
    evidence.finish(events.report());

    observer.step("asking each worker what it counted", None);
    let stats: Each<WorkerStats> = slither
        .call_each("analysis", &format!("{MODULE}:worker_stats"), &())
        .await
        .map_err(|error| ConfigError::new(format!("the workers cannot be asked: {error}")))?;
    evidence.merge(stats);

    if !stop.is_requested() {
        observer.step("counting again in one process", Some(evidence.documents_to_recount()));
        evidence.serial = recount(slither, documents, &evidence, observer).await?;
    }
    Ok(evidence)
}

/// Counts the words of the documents that the living workers have counted, in one process and by another route.
async fn recount(
    slither: &Slither,
    documents: &Documents,
    evidence: &Evidence,
    observer: &dyn Observer,
) -> Result<Option<WordCounts>, ConfigError> {
    let version = slither.store::<StopwordStore>()?.version();
    let wanted: HashSet<u64> = evidence.counted_by_the_living().collect();
    let again = documents.iter().zip(0u64..).filter(move |(_, number)| wanted.contains(number)).filter_map(
        move |(document, number)| {
            let Document { name, text } = document.ok()?;
            Some(Item::new(number, Prepared { name, text, stopwords: version }))
        },
    );
    let call = Call::new(format!("{MODULE}:straight_count"))
        .pool("serial")
        .batch_size(BATCH)
        .max_in_flight(2)
        .on_error(OnError::Skip);
    let mut counts = slither.dispatch_stream::<Prepared, WordCounts>(stream::iter(again), call).await?;
    let mut total = WordCounts::new();
    while let Some(outcome) = counts.next().await {
        match outcome {
            Ok(Outcome::Done(item)) => merge::add(&mut total, item.payload),
            // Then there is nothing to compare with, and the check says so.
            _ => return Ok(None),
        }
        observer.advance(1);
    }
    Ok(Some(total))
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's Python cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
