//! One function on one interpreter: is it a function of its input, what do threads do to it, what do pools make of it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slither::python::{Environment, EnvironmentSpec, Interpreter};
use slither::routing::{Finding, Profile, Source, Verdict, Verdicts, Work};
use slither::{ConfigError, ErrorKind, ItemError, Pool, Slither};
use slither_examples::Observer;

use super::advice::{Facts, at_once};
use super::compare::{Alone, Nature, spoiled};
use super::measure::{Contender, measure};
use super::report::{Failing, Hunted, Imported, Tried};
use crate::progress::{Bars, Lines};

/// A sample that runs for longer is cut: it is run a few times more.
const ALONE: f64 = 10.0;
/// A call of a pool should take so long, that it is worth the way there and back.
const CALL: f64 = 2e-3;
const LARGEST_BATCH: usize = 64;
/// Threads that are put to the test, beyond the processors, so that they also take turns.
const MORE_THREADS: usize = 2;
/// With state the sample is run so often, so that there is time for something to be lost.
const REPEAT: usize = 200;

/// What was asked for.
pub(crate) struct Options {
    /// `module:qualified.name`.
    pub(crate) function: String,
    /// The inputs.
    pub(crate) items: Vec<Value>,
    /// Folders with the user's modules.
    pub(crate) path: Vec<PathBuf>,
    /// Packages that they need.
    pub(crate) requirements: Vec<String>,
    /// How long threads are put to the test, and each pool is measured.
    pub(crate) time: Duration,
    /// How long one call may take.
    pub(crate) timeout: Duration,
    /// The processors that this process may use.
    pub(crate) cores: usize,
}

/// The answer of `slither._probe.serial`.
#[derive(Deserialize)]
struct Serial {
    imported: Imported,
    outputs: Vec<String>,
    failed: Vec<usize>,
    seconds: f64,
    cpu: f64,
}

#[derive(Serialize)]
struct AskSerial<'a> {
    function: &'a str,
    items: &'a [Value],
    order: &'a [usize],
    repeat: usize,
    limit: f64,
    folders: &'a [PathBuf],
}

/// The answer of `slither._probe.together`.
#[derive(Deserialize)]
struct Together {
    threads: usize,
    calls: usize,
    differences: Vec<Difference>,
    differing: usize,
    outputs: Vec<String>,
}

#[derive(Deserialize)]
struct Difference {
    item: usize,
    expected: String,
    got: String,
}

#[derive(Serialize)]
struct AskTogether<'a> {
    function: &'a str,
    items: &'a [Value],
    expected: Option<&'a [String]>,
    threads: usize,
    seconds: f64,
    repeat: usize,
}

/// Tries the function on an interpreter, and keeps the verdict.
///
/// # Errors
/// If workers cannot be started, or the function cannot be imported or fails on every input alone.
pub(crate) async fn tried(
    options: &Options,
    python: &Interpreter,
    bars: &Bars,
) -> Result<Tried, ConfigError> {
    Trial { options, python, bars }.run().await
}

struct Trial<'a> {
    options: &'a Options,
    python: &'a Interpreter,
    bars: &'a Bars,
}

impl Trial<'_> {
    async fn run(&self) -> Result<Tried, ConfigError> {
        let Options { items, cores, .. } = self.options;
        let source = self.source().await?;
        self.step("one call after the other");
        let mut order: Vec<usize> = (0..items.len()).collect();
        let first = self.alone(&order, 1, ALONE).await?;
        let items = &items[..first.outputs.len()];
        order.truncate(items.len());
        let failing = self.failing(&first)?;
        let call_seconds = first.seconds / first.outputs.len() as f64;
        let cpu_share = (first.cpu / first.seconds.max(f64::EPSILON)).min(1.0);
        let work = if cpu_share < 0.5 { Work::Io } else { Work::Cpu };

        let nature = self.nature(&first.outputs, &order).await?;
        let (finding, hunted) = match nature {
            Nature::Unrepeatable(how) => (Finding::Unrepeatable(how), None),
            Nature::Pure => self.hunt(items, &first.outputs).await?,
            Nature::Stateful(how) => self.spread(items, how).await?,
        };
        self.step("what pools make of it");
        let size = ((CALL / call_seconds.max(1e-9)) as usize).clamp(1, LARGEST_BATCH);
        // A batch fails as a whole, and how fast it does is of no interest.
        let good = items.iter().enumerate().filter(|(at, _)| first.failed.binary_search(at).is_err());
        let good: Vec<&Value> = good.map(|(_, item)| item).collect();
        let whole: Vec<Value> = good.iter().copied().cycle().take(good.len().max(size)).cloned().collect();
        let batches: Vec<Vec<Value>> = whole.chunks(size).map(<[Value]>::to_vec).collect();
        let several = match &finding {
            // What is spoilt by calls at once is not given any.
            Finding::Race(_) | Finding::Stateful(_) => None,
            Finding::Same | Finding::Unrepeatable(_) => Some(at_once(work, cpu_share, *cores)),
        };
        let contenders = self.contenders(&first.imported, several);
        let measured = measure(&self.options.function, &batches, contenders, self.options.time).await?;
        let import = first.imported;
        let facts =
            Facts { import: &import, finding: &finding, work, cpu_share, measured: &measured, cores: *cores };
        let advice = facts.advice();
        let mut found = Tried {
            python: self.python.clone(),
            import,
            items: items.len(),
            failing,
            call_seconds,
            cpu_share,
            work,
            finding,
            hunted,
            measured,
            advice,
            kept: None,
        };
        found.kept = self.keep(&found, &source)?;
        Ok(found)
    }

    /// What fails without any thread beside it; if that is everything, nothing can be learnt from it.
    fn failing(&self, alone: &Serial) -> Result<Option<Failing>, ConfigError> {
        let Some(&item) = alone.failed.first() else { return Ok(None) };
        let error = alone.outputs.get(item).cloned().unwrap_or_default();
        let (failed, items) = (alone.failed.len(), alone.outputs.len());
        if failed < items {
            return Ok(Some(Failing { items: failed, item, error }));
        }
        let function = &self.options.function;
        Err(ConfigError::new(format!("`{function}` fails on all {items} inputs; on item {item}: {error}"))
            .hint("it is called with a list of inputs, and returns a list of as many results"))
    }

    fn step(&self, what: &str) {
        let gil = if self.python.gil_enabled { "" } else { " without a GIL" };
        self.bars.step(&format!("python {}{gil}: {what}", self.python.version), None);
    }

    async fn source(&self) -> Result<Source, ConfigError> {
        let spec = EnvironmentSpec {
            python: Some(self.python.executable.clone()),
            requirements: self.options.requirements.clone(),
        };
        let (path, function) = (self.options.path.clone(), self.options.function.clone());
        let read = tokio::task::spawn_blocking(move || {
            let environment = Environment::prepare(&spec, &Lines)?;
            Source::read(&environment, &path, &function)
        });
        read.await.map_err(|error| ConfigError::new(format!("the source was not read: {error}")))?
    }

    fn pool(&self, pool: Pool) -> Pool {
        let Options { path, requirements, timeout, .. } = self.options;
        let pool = pool.python(&self.python.executable).requirements(requirements).call_timeout(*timeout);
        path.iter().fold(pool, Pool::python_path)
    }

    /// A worker that has run nothing of the function yet.
    async fn fresh(&self) -> Result<Worker<'_>, ConfigError> {
        let pool = self.pool(Pool::processes("alone").size(1));
        let slither = Slither::builder().pool(pool).progress(Lines).start().await?;
        Ok(Worker { slither, options: self.options })
    }

    /// The sample in a fresh worker, one call after the other.
    async fn alone(&self, order: &[usize], repeat: usize, limit: f64) -> Result<Serial, ConfigError> {
        let worker = self.fresh().await?;
        let told = worker.serial(order, repeat, limit).await;
        worker.end().await;
        told
    }

    async fn nature(&self, first: &[String], order: &[usize]) -> Result<Nature, ConfigError> {
        let worker = self.fresh().await?;
        let second = worker.serial(order, 1, f64::MAX).await?.outputs;
        let backward: Vec<usize> = order.iter().rev().copied().collect();
        let mut shuffled = worker.serial(&backward, 1, f64::MAX).await?.outputs;
        shuffled.reverse();
        worker.end().await;
        Ok(Alone { first, second: &second, shuffled: &shuffled }.nature())
    }

    /// Threads run a function of its input: each result has to be what it is alone.
    async fn hunt(
        &self,
        items: &[Value],
        expected: &[String],
    ) -> Result<(Finding, Option<Hunted>), ConfigError> {
        let told = match self.threads(items, Some(expected)).await? {
            Ok(told) => told,
            Err(race) => return Ok((race, None)),
        };
        let finding = match told.differences.first() {
            None => Finding::Same,
            Some(Difference { item, expected, got }) => Finding::Race(format!(
                "{} of {} calls in {} threads had another result than alone, as item {item}: {got}, and not {expected}",
                told.differing, told.calls, told.threads
            )),
        };
        Ok((finding, Some(told.hunted())))
    }

    /// Threads run a function with state: all results together have to be what they are alone.
    async fn spread(&self, items: &[Value], how: String) -> Result<(Finding, Option<Hunted>), ConfigError> {
        let told = match self.threads(items, None).await? {
            Ok(told) => told,
            Err(race) => return Ok((race, None)),
        };
        let order: Vec<usize> = (0..items.len()).cycle().take(told.calls).collect();
        let forward = self.alone(&order, 1, f64::MAX).await?.outputs;
        let backward: Vec<usize> = order.iter().rev().copied().collect();
        let backward = self.alone(&backward, 1, f64::MAX).await?.outputs;
        Ok((spoiled(how, &forward, &backward, &told.outputs), Some(told.hunted())))
    }

    /// What came of threads; that the process did not survive them, or did not end, is a race, too.
    async fn threads(
        &self,
        items: &[Value],
        expected: Option<&[String]>,
    ) -> Result<Result<Together, Finding>, ConfigError> {
        self.step("in threads at once");
        let worker = self.fresh().await?;
        let threads = self.options.cores + MORE_THREADS;
        let asked = AskTogether {
            function: &self.options.function,
            items,
            expected,
            threads,
            seconds: self.options.time.as_secs_f64(),
            repeat: REPEAT,
        };
        let told = worker.slither.execute::<_, Together>("alone", "slither._probe:together", &asked).await;
        worker.end().await;
        match told {
            Ok(told) => Ok(Ok(told)),
            Err(error) if matches!(error.kind(), ErrorKind::Crash | ErrorKind::Timeout) => {
                let what = error.message().lines().next().unwrap_or_default();
                Ok(Err(Finding::Race(format!("{threads} threads at once: {what}"))))
            }
            Err(error) => Err(worker_error(&self.options.function, &error)),
        }
    }

    /// The pools that are measured; `several` is how many calls at once a worker is given.
    fn contenders(&self, import: &Imported, several: Option<usize>) -> Vec<Contender> {
        let cores = self.options.cores;
        let processes = |name: &'static str, workers| Contender {
            pool: self.pool(Pool::processes(name).size(workers)),
            name,
            profile: Profile::Processes,
            workers,
            at_once: 1,
            processors: workers.min(cores),
        };
        let mut contenders = vec![processes("alone", 1), processes("processes", cores)];
        if let Some(at_once) = several {
            let (pool, profile) = match import.kind.as_str() {
                "coroutine" => (Pool::coroutines("several").concurrency(at_once), Profile::Async),
                // Behind a GIL they are told to wait, whether they do or not: what that is worth is to be measured.
                _ => (
                    Pool::threads("several").threads_per_worker(at_once).io_bound(import.gil_after),
                    Profile::Threads,
                ),
            };
            contenders.push(Contender {
                pool: self.pool(pool.size(1)),
                name: "several",
                profile,
                workers: 1,
                at_once,
                processors: match profile {
                    Profile::Threads if !import.gil_after => at_once.min(cores),
                    _ => 1,
                },
            });
        }
        contenders
    }

    fn keep(&self, found: &Tried, source: &Source) -> Result<Option<PathBuf>, ConfigError> {
        let (Some(file), Some(hash)) = (&source.file, &source.hash) else { return Ok(None) };
        let verdict = Verdict {
            function: self.options.function.clone(),
            source: hash.clone(),
            python: self.python.executable.clone(),
            version: self.python.version.clone(),
            without_gil: !found.import.gil_after,
            finding: found.finding.clone(),
            work: found.work,
            profile: found.advice.profile,
            workers: found.advice.workers,
            at_once: found.advice.at_once,
            because: found.advice.because.clone(),
            at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        };
        Verdicts::locate().keep(verdict, file).map(Some)
    }
}

/// A pool of one worker, which is asked what the SDK can tell of the function.
struct Worker<'a> {
    slither: Slither,
    options: &'a Options,
}

impl Worker<'_> {
    async fn serial(&self, order: &[usize], repeat: usize, limit: f64) -> Result<Serial, ConfigError> {
        let Options { function, items, path: folders, .. } = self.options;
        let asked = AskSerial { function, items, order, repeat, limit, folders };
        let told = self.slither.execute("alone", "slither._probe:serial", &asked).await;
        told.map_err(|error| worker_error(function, &error))
    }

    async fn end(self) {
        self.slither.shutdown(Duration::from_secs(5)).await;
    }
}

impl Together {
    fn hunted(&self) -> Hunted {
        Hunted { threads: self.threads, calls: self.calls, differing: self.differing }
    }
}

fn worker_error(function: &str, error: &ItemError) -> ConfigError {
    ConfigError::new(format!("`{function}` cannot be probed: {}", error.report()))
}
