//! `failure_domains`: the same crash, the same recycling and the same sessions in processes and in threads of one
//! process, and the memory that a large model takes in each; what is lost is counted, and what comes back is timed.

mod acts;
mod evidence;
mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use include_dir::{Dir, include_dir};
use slither::{ConfigError, Pool, Slither};

use crate::Settings;
use crate::comparison::Ground;
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use evidence::{Domain, Evidence};

/// What it is called on the command line.
pub const NAME: &str = "failure_domains";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/failure_domains/python");

/// The one pool that each act has.
const POOL: &str = "pool";
/// Calls at once in both kinds of pool, unless `--workers` says otherwise.
const AT_ONCE: usize = 4;
/// The same where memory is compared.
const HOLDERS: usize = 8;
/// How long workers may take to finish when an act ends.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the example.
///
/// # Errors
/// If there is an input or chaos, if the environment is not as it must be, or if `stop` was requested before the end.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let because = "its items crash as it is";
    let ground = Ground::prepare(NAME, because, &PYTHON, &settings, &*observer).await?;
    let at_once = settings.workers.unwrap_or(AT_ONCE);
    let play = Play { at_once, ground, observer, stop };
    let (mut evidence, begun) = (Vec::new(), Instant::now());
    for domain in [Domain::Processes, Domain::Threads] {
        let acts = play.acts(domain);
        evidence.push(tokio::select! {
            acts = acts => acts?,
            () = play.stop.clone().requested() => return Err(ConfigError::new("stopped in the middle of a comparison")),
        });
    }
    Ok(summary::report(play.ground.free.as_ref(), play.at_once, &evidence, begun.elapsed()))
}

/// What every act needs.
struct Play {
    at_once: usize,
    ground: Ground,
    observer: Arc<dyn Observer>,
    stop: Stop,
}

impl Play {
    async fn acts(&self, domain: Domain) -> Result<Evidence, ConfigError> {
        let step = |what: &str| self.observer.step(&format!("{domain}: {what}"), None);
        step("a crash among calls");
        let slither = self.start(self.pool(domain, self.at_once)).await?;
        let crash = acts::crash(&slither, domain, self.at_once).await?;
        slither.shutdown(GRACE).await;
        step("recycling");
        let slither = self.start(self.pool(domain, self.at_once).max_requests(acts::REQUESTS)).await?;
        let recycling = acts::recycling(&slither).await?;
        slither.shutdown(GRACE).await;
        step("sessions");
        let slither = self.start(self.pool(domain, self.at_once)).await?;
        let sessions = acts::sessions(&slither).await?;
        slither.shutdown(GRACE).await;
        step("a large model");
        let slither = self.start(self.pool(domain, HOLDERS)).await?;
        let memory = acts::memory(&slither).await?;
        slither.shutdown(GRACE).await;
        Ok(Evidence { domain, crash, recycling, sessions, memory })
    }

    fn pool(&self, domain: Domain, at_once: usize) -> Pool {
        let pool = match domain {
            Domain::Processes => Pool::processes(POOL).size(at_once),
            // Its work waits, so that a Python with a GIL runs it at once as well.
            Domain::Threads => Pool::threads(POOL).threads_per_worker(at_once).io_bound(true),
        };
        let pool = self.ground.free.iter().fold(pool, |pool, free| pool.python(&free.executable));
        pool.python_path(self.ground.path())
    }

    async fn start(&self, pool: Pool) -> Result<Slither, ConfigError> {
        let provision = Provision::new(self.observer.clone(), self.stop.clone());
        Slither::builder().pool(pool).progress(provision).start().await
    }
}
