//! `hybrid_routing`: work that waits, work that computes and work that crashes, at once; the router sends each kind
//! where it belongs, and the same work in processes alone and in threads alone stands beside it.

mod arrangement;
mod summary;

use std::sync::Arc;
use std::time::Duration;

use include_dir::{Dir, include_dir};
use slither::{ConfigError, Slither};

use crate::Settings;
use crate::comparison::Ground;
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use arrangement::{Arrangement, Outcome};

/// What it is called on the command line.
pub const NAME: &str = "hybrid_routing";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/hybrid_routing/python");

/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the example.
///
/// # Errors
/// If there is an input or chaos, if the environment is not as it must be, or if `stop` was requested before the end.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let because = "some of its items crash as it is";
    let ground = Ground::prepare(NAME, because, &PYTHON, &settings, &*observer).await?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = settings.workers.unwrap_or(cores);

    let mut outcomes: Vec<Outcome> = Vec::new();
    for arrangement in Arrangement::ALL {
        let items = Some(arrangement::items());
        observer.step(&format!("starting {arrangement}"), None);
        let pools = arrangement.pools(workers, ground.free.as_ref(), ground.path());
        let builder = pools.into_iter().fold(Slither::builder(), slither::Builder::pool);
        let provision = Provision::new(observer.clone(), stop.clone());
        let slither = tokio::select! {
            started = builder.progress(provision).start() => started?,
            () = stop.clone().requested() => return Err(ConfigError::new("stopped before the first item")),
        };
        observer.step(&format!("three kinds of work, {arrangement}"), items);
        let played = tokio::select! {
            played = arrangement.play(&slither, &*observer) => played?,
            () = stop.clone().requested() => return Err(ConfigError::new("stopped in the middle of a comparison")),
        };
        outcomes.push(played);
        slither.shutdown(GRACE).await;
    }
    Ok(summary::report(ground.free.as_ref(), workers, &outcomes))
}
