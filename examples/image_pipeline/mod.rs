//! `image_pipeline`: pictures of very different sizes are made into thumbnails, in memory that is bounded by
//! their pixels and measured.

mod baseline;
mod checks;
mod evidence;
mod flow;
mod output;
mod pictures;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use include_dir::{Dir, include_dir};
use serde::Serialize;
use slither::pipe::Event;
use slither::{Call, Chaos, ConfigError, Each, ItemError, OnError, Pool, RunOptions, Slither};

use crate::Settings;
use crate::faults::{self, ChaosReport};
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use evidence::{AtOnce, Evidence, Later};
use flow::{BOUNDED, MODULE, PILLOW, Picture, STUDIO, Sheet, Thumbnail, UNBOUNDED, Wanted, WorkerStats};
use output::SHEET;

pub(crate) use baseline::work as baseline_work;

/// What it is called on the command line.
pub const NAME: &str = "image_pipeline";
/// Packages it needs.
pub const REQUIREMENTS: &[&str] = &[PILLOW];

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/image_pipeline/python");

/// So many pixels are decoded at once for the comparison and no more, about 400 MB: it must not itself do the
/// harm that it shows.
const AT_ONCE: u64 = 100_000_000;
/// How long that may take.
const AT_ONCE_TIMEOUT: Duration = Duration::from_secs(120);
/// Thumbnails on the contact sheet at most.
const TILES: usize = 240;
/// Thumbnails beside each other on it.
const COLUMNS: usize = 6;
/// How long a batch may take under chaos: ten pictures are painted in one.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the example.
///
/// # Errors
/// If the input, the output or the environment is not as it must be, or `stop` was requested before anything
/// was pulled.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let workers =
        settings.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from));
    let folder = tempfile::tempdir().map_err(|error| unwritten(&error))?;
    let python = folder.path().join("python");
    let painted = folder.path().join("pictures");
    std::fs::create_dir_all(&painted).map_err(|error| unwritten(&error))?;
    std::fs::create_dir_all(&python).map_err(|error| unwritten(&error))?;
    PYTHON.extract(&python).map_err(|error| unwritten(&error))?;

    let (input, kept) = (settings.input.as_deref(), settings.output.as_deref());
    let thumbnails = output::folder(kept.unwrap_or(&folder.path().join("thumbnails")), input)?;
    let wanted = match input {
        Some(path) => pictures::found(path, &thumbnails)?,
        None => pictures::painted(&painted, &thumbnails)?,
    };
    let slither = tokio::select! {
        started = start(workers, &python, settings.chaos.as_ref(), &observer, &stop) => started?,
        () = stop.clone().requested() => return Err(ConfigError::new("stopped before the first picture")),
    };
    let faults = settings.chaos.as_ref().map(|chaos| (chaos, workers));
    let mut evidence = make(&slither, wanted, &thumbnails, faults, &*observer, stop).await?;
    evidence.kept = kept.map(|_| thumbnails);
    slither.shutdown(GRACE).await;
    Ok(summary::report(workers, evidence))
}

/// A pool for each act, so that the memory of its workers is that act's.
async fn start(
    workers: usize,
    python: &Path,
    chaos: Option<&Chaos>,
    observer: &Arc<dyn Observer>,
    stop: &Stop,
) -> Result<Slither, ConfigError> {
    observer.step("starting workers", None);
    let pool = |name, size| {
        let pool = Pool::processes(name).size(size).python_path(python).requirements(REQUIREMENTS.to_vec());
        // Else glibc raises it with each picture that is freed, and keeps memory in pieces that none of the next fits.
        pool.env("MALLOC_MMAP_THRESHOLD_", "131072")
    };
    let builder = Slither::builder()
        .pool(faults::inject(pool(STUDIO, workers), chaos, DEADLINE))
        .pool(faults::inject(pool(BOUNDED, workers), chaos, DEADLINE))
        .pool(pool(UNBOUNDED, 1).call_timeout(AT_ONCE_TIMEOUT));
    builder.progress(Provision::new(observer.clone(), stop.clone())).start().await
}

/// The thumbnails, then the workers' figures, the contact sheet, and the same work all at once.
async fn make(
    slither: &Slither,
    wanted: Vec<Wanted>,
    thumbnails: &Path,
    chaos: Option<(&Chaos, usize)>,
    observer: &dyn Observer,
    stop: Stop,
) -> Result<Evidence, ConfigError> {
    let mut evidence = Evidence::new(wanted.len() as u64);
    let names: Vec<String> = wanted.iter().map(|picture| picture.name.clone()).collect();
    observer.step("making thumbnails", Some(evidence.pictures));
    let source = stream::iter(wanted.into_iter().map(Ok::<_, ConfigError>));
    let source = source.take_until(stop.clone().requested());
    let pipe = flow::pipe(faults::policy(chaos.is_some()))?;
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
    evidence.finish(&events.report());
    for failure in &mut evidence.failures.named {
        let number = usize::try_from(failure.item).ok();
        failure.name = number.and_then(|number| names.get(number)).cloned();
    }

    if let Some((chaos, workers)) = chaos {
        let pools = [(STUDIO, workers), (BOUNDED, workers)];
        evidence.chaos = Some(ChaosReport::gather(chaos, slither, &pools).await?);
    }

    observer.step("asking each worker what it took", None);
    evidence.account(ask(slither, BOUNDED).await?);
    evidence.stopped = stop.is_requested();
    if evidence.stopped || evidence.thumbnails().next().is_none() {
        return Ok(evidence);
    }
    observer.step("making the contact sheet", None);
    evidence.sheet = contact_sheet(slither, &evidence, thumbnails).await;
    observer.step("decoding all at once, to compare", None);
    evidence.at_once = tokio::select! {
        at_once = all_at_once(slither, &evidence) => at_once.map_or_else(Later::Failed, Later::Done),
        () = stop.requested() => Later::Left,
    };
    Ok(evidence)
}

async fn ask(slither: &Slither, pool: &str) -> Result<Each<WorkerStats>, ConfigError> {
    let stats = slither.call_each(pool, &format!("{MODULE}:worker_stats"), &()).await;
    stats.map_err(|error| ConfigError::new(format!("the workers cannot be asked: {error}")))
}

async fn contact_sheet(
    slither: &Slither,
    evidence: &Evidence,
    folder: &Path,
) -> Later<(Sheet, Option<(u32, u32)>)> {
    #[derive(Serialize)]
    struct Tile {
        path: String,
        caption: String,
    }
    #[derive(Serialize)]
    struct Page {
        tiles: Vec<Tile>,
        path: PathBuf,
        columns: usize,
    }
    let tiles = evidence.thumbnails().take(TILES).map(|thumbnail| Tile {
        path: thumbnail.picture.thumbnail.clone(),
        caption: thumbnail.picture.name.clone(),
    });
    let path = folder.join(SHEET);
    let page = Page { tiles: tiles.collect(), path: path.clone(), columns: COLUMNS };
    let made: Result<Sheet, ItemError> =
        slither.execute(STUDIO, &format!("{MODULE}:contact_sheet"), &page).await;
    match made {
        Ok(sheet) => Later::Done((sheet, output::png_size(&path))),
        Err(error) => Later::Failed(error.to_string()),
    }
}

/// The same function over the same pictures, without the bound: one batch, held open in one process.
async fn all_at_once(slither: &Slither, evidence: &Evidence) -> Result<AtOnce, String> {
    let mut pixels = 0;
    let pictures: Vec<Picture> = evidence
        .thumbnails()
        .map(|thumbnail| Picture { thumbnail: String::new(), ..thumbnail.picture.clone() })
        .take_while(|picture| {
            pixels += picture.pixels();
            pixels <= AT_ONCE
        })
        .collect();
    let expected: BTreeMap<&str, &str> = evidence
        .thumbnails()
        .map(|thumbnail| (thumbnail.picture.path.as_str(), thumbnail.sha256.as_str()))
        .collect();
    let count = pictures.len();
    if count == 0 {
        return Err("the first picture alone is too large for the comparison".to_owned());
    }
    let pixels = pictures.iter().map(Picture::pixels).sum();
    let call = Call::new(format!("{MODULE}:thumbnail_batch"))
        .pool(UNBOUNDED)
        .batch_size(count)
        .timeout(AT_ONCE_TIMEOUT)
        .on_error(OnError::Skip);
    let done = slither.dispatch::<Picture, Thumbnail>(pictures, call).await;
    let done = done.map_err(|error| error.to_string())?;
    if let Some(failure) = done.failures.first() {
        return Err(format!("{} of {count} failed, the first with: {}", done.failures.len(), failure.error));
    }
    let same = done.results.iter().filter(|item| {
        expected.get(item.payload.picture.path.as_str()) == Some(&item.payload.sha256.as_str())
    });
    let different = (count - same.count()) as u64;
    let each = ask(slither, UNBOUNDED).await.map_err(|error| error.to_string())?;
    let stats = each.replies.into_iter().find_map(|reply| reply.result.ok());
    let stats = stats.ok_or("its worker did not tell what it took")?;
    Ok(AtOnce { pictures: count as u64, pixels, stats, different })
}

fn unwritten(error: &std::io::Error) -> ConfigError {
    ConfigError::new(format!("the example's files cannot be written to a temporary folder: {error}"))
        .hint("set TMPDIR to a folder with room")
}
