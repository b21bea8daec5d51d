//! What a pool is to be: the builder [`Pool`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::adapter::{AdapterSpec, ThreadSafetyCheck};
use super::chaos::Chaos;
use super::supervisor::{Breaker, Limits, RestartBudget};
use crate::error::ConfigError;
use crate::routing::AUTO;
use crate::wire::Profile;

/// How workers come into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Forked from the nursery, which has preloaded: about a millisecond. Falls back to [`Start::Spawn`], with
    /// the reason in the log, when a preloaded module leaves threads behind.
    #[default]
    Fork,
    /// A fresh interpreter each: slower, for libraries that do not survive a fork.
    Spawn,
}

/// Which variables of the host's environment workers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherit {
    /// Those a program needs to find its way (`PATH`, `HOME`, `LANG`, `TZ`, `PYTHON…`, `…_NUM_THREADS` and the
    /// like), and none that may hold a secret.
    #[default]
    Listed,
    /// All of them.
    All,
}

/// A pool of supervised Python workers, to be started with the runtime.
///
/// ```
/// use slither::Pool;
/// use std::time::Duration;
///
/// let pool = Pool::processes("default")
///     .size(4)
///     .python_path("python")
///     .call_timeout(Duration::from_secs(10));
/// # let _ = pool;
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) profile: Profile,
    pub(crate) python: Option<PathBuf>,
    pub(crate) python_path: Vec<PathBuf>,
    pub(crate) requirements: Vec<String>,
    pub(crate) preload: Vec<String>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) inherit: Inherit,
    pub(crate) start: Start,
    pub(crate) start_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) max_frame: usize,
    pub(crate) queue: usize,
    pub(crate) max_sessions: usize,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) restart: RestartBudget,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) limits: Limits,
    pub(crate) chaos: Option<Chaos>,
    pub(crate) adapter: Option<AdapterSpec>,
    pub(crate) thread_safety: ThreadSafetyCheck,
    /// A setting that was made and that a pool of this kind does not have.
    misplaced: Option<&'static str>,
}

/// No frame is longer than this, whatever a pool asks for.
const LARGEST_FRAME: usize = 1 << 30;
/// No worker has more threads.
const MOST_THREADS: usize = 256;
/// No worker runs more coroutines at once.
const MOST_COROUTINES: usize = 1024;
/// A worker needs this much address space to start.
const SMALLEST_MEMORY: u64 = 128 << 20;

impl Pool {
    /// A pool of worker processes. One process runs one call at a time, and a crash costs only that call.
    pub fn processes(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            size: cores(),
            profile: Profile::Process,
            python: None,
            python_path: Vec::new(),
            requirements: Vec::new(),
            preload: Vec::new(),
            env: Vec::new(),
            inherit: Inherit::default(),
            start: Start::default(),
            start_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(30),
            max_frame: 256 << 20,
            queue: 1024,
            max_sessions: 1024,
            memory_limit: None,
            restart: RestartBudget::default(),
            breaker: Some(Breaker::default()),
            limits: Limits::default(),
            chaos: None,
            adapter: None,
            thread_safety: ThreadSafetyCheck::default(),
            misplaced: None,
        }
    }

    /// A pool of worker processes that each run several calls at once, in threads. Default: one worker with as many
    /// threads as there are cores; see [`size`](Self::size) and [`threads_per_worker`](Self::threads_per_worker).
    ///
    /// Made for free-threaded Python (from 3.14t on): there a worker has as many slots as threads. Where the GIL is on, from the start
    /// or because an import turned it on, threads would only take turns, and a worker has one slot, which the log says
    /// once; unless the pool is [`io_bound`](Self::io_bound).
    ///
    /// Calls of one worker share its fate: a crash costs all that it runs, and so does a deadline, because no thread can be
    /// ended alone. The call to blame fails as in a pool of processes, the others as
    /// [`Collateral`](crate::ErrorKind::Collateral). The functions have to be safe to be called from several threads.
    ///
    /// ```
    /// use slither::Pool;
    ///
    /// // 4 processes of 16 threads: 64 calls at once.
    /// let pool = Pool::threads("compute").size(4).threads_per_worker(16);
    /// # let _ = pool;
    /// ```
    pub fn threads(name: impl Into<String>) -> Self {
        let profile = Profile::Thread { threads: cores().min(MOST_THREADS), io_bound: false };
        Self { size: 1, profile, ..Self::processes(name) }
    }

    /// A pool of worker processes that each run several calls of `async def` functions at once, in one event loop: for
    /// calls that mostly wait for others, on any Python. Default: one worker of 32; see [`size`](Self::size) and
    /// [`concurrency`](Self::concurrency).
    ///
    /// Each call has its own deadline. At it the coroutine is cancelled as asyncio does it, and has 1 s to end; the call
    /// fails with `timeout` and where it was awaiting, and the others go on. One that holds up the loop, or does not end,
    /// costs the worker, and the other calls in it fail as [`Collateral`](crate::ErrorKind::Collateral). A call that
    /// nobody waits for any more is cancelled, too. Functions that are no coroutines run in one thread beside the loop, one
    /// at a time.
    pub fn coroutines(name: impl Into<String>) -> Self {
        Self { size: 1, profile: Profile::Async { concurrency: 32 }, ..Self::processes(name) }
    }

    /// How many threads each worker of a pool of [`threads`](Self::threads) has, 1 to 256. Default: the number of cores.
    #[must_use]
    pub fn threads_per_worker(mut self, count: usize) -> Self {
        match &mut self.profile {
            Profile::Thread { threads, .. } => *threads = count,
            Profile::Process | Profile::Async { .. } => self.misplaced = Some("threads_per_worker"),
        }
        self
    }

    /// Says that the calls of a pool of [`threads`](Self::threads) mostly wait, for the network or a disk, without the
    /// GIL: each worker has as many slots as threads also where the GIL is on. Default: false.
    #[must_use]
    pub fn io_bound(mut self, waits: bool) -> Self {
        match &mut self.profile {
            Profile::Thread { io_bound, .. } => *io_bound = waits,
            Profile::Process | Profile::Async { .. } => self.misplaced = Some("io_bound"),
        }
        self
    }

    /// How many calls each worker of a pool of [`coroutines`](Self::coroutines) runs at once, 1 to 1024. Default: 32.
    #[must_use]
    pub fn concurrency(mut self, calls: usize) -> Self {
        match &mut self.profile {
            Profile::Async { concurrency } => *concurrency = calls,
            Profile::Process | Profile::Thread { .. } => self.misplaced = Some("concurrency"),
        }
        self
    }

    /// How many workers. Default: the number of cores; one in a pool of threads or coroutines.
    #[must_use]
    pub fn size(mut self, workers: usize) -> Self {
        self.size = workers;
        self
    }

    /// The interpreter. `SLITHER_PYTHON` overrides it; without either, an active venv or `python3` is taken.
    #[must_use]
    pub fn python(mut self, interpreter: impl Into<PathBuf>) -> Self {
        self.python = Some(interpreter.into());
        self
    }

    /// Adds a folder in which Python looks for modules, before its own. A relative one is taken from the
    /// current folder when the pool starts.
    #[must_use]
    pub fn python_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.python_path.push(folder.into());
        self
    }

    /// Packages, as pip writes requirements, that the workers need. They are installed once through `uv` into
    /// a cache of Slither's own; the interpreter's environment is never modified.
    #[must_use]
    pub fn requirements<S: Into<String>>(mut self, packages: impl IntoIterator<Item = S>) -> Self {
        self.requirements.extend(packages.into_iter().map(Into::into));
        self
    }

    /// A module that is imported once, before workers are forked, and shared by them, so that a replacement has it at
    /// once.
    ///
    /// `OMP_NUM_THREADS`, `OPENBLAS_NUM_THREADS` and `MKL_NUM_THREADS` are then 1 unless they are set, because threads do
    /// not survive a fork: with more, numpy and what builds on it start some when they are imported, and the workers are
    /// spawned.
    #[must_use]
    pub fn preload(mut self, module: impl Into<String>) -> Self {
        self.preload.push(module.into());
        self
    }

    /// Sets an environment variable of the workers.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Which variables of the host's environment workers see. Default: [`Inherit::Listed`].
    #[must_use]
    pub fn inherit_env(mut self, inherit: Inherit) -> Self {
        self.inherit = inherit;
        self
    }

    /// How workers come into being. Default: [`Start::Fork`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// How long a worker, or the nursery with its preloads, may take to become ready; imports of the pool's
    /// functions included. Beyond it the process is killed, which counts as a death. Default 60 s.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// How long a call or a batch may run once Python has begun it. Beyond it the worker is killed and
    /// replaced, and the call fails with the Python stack. Default 30 s; a `Call` may set its own.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// The longest frame in either direction, in bytes. A larger batch or reply fails with `too_large`, and the
    /// worker survives. Default 256 MiB, at most 1 GiB.
    #[must_use]
    pub fn max_frame(mut self, bytes: usize) -> Self {
        self.max_frame = bytes;
        self
    }

    /// How many calls may wait for a worker; beyond it callers wait for room. Default 1024.
    #[must_use]
    pub fn queue(mut self, calls: usize) -> Self {
        self.queue = calls;
        self
    }

    /// How many opened sessions there may be at a time, lost ones included; beyond it opening one fails with
    /// `session_limit`. Default 1024.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// How many bytes of address space each worker may have (`RLIMIT_AS`). Beyond it Python raises `MemoryError`, which
    /// fails the batch as `out_of_memory`, and the worker survives; native code that does not expect it may crash.
    /// Default: no limit; at least 128 MiB.
    ///
    /// It counts what is mapped, shared libraries and files included, and not what is occupied: numpy or torch map some
    /// gigabytes at once. Where memory is limited from outside, as in a container, the kernel kills instead, which costs
    /// the worker.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// How many deaths without a batch to blame are borne. Default: 5 in 10 s.
    #[must_use]
    pub fn restart_budget(mut self, budget: RestartBudget) -> Self {
        self.restart = budget;
        self
    }

    /// When the pool stops trying and fails calls at once, and when it tries again. Default: after 20 calls in a row
    /// that killed their workers, or when the restart budget is spent; for 5 s, doubling to 60 s. `None` turns it off:
    /// nothing limits how many calls may kill their workers, and with its restart budget spent the pool fails for good.
    #[must_use]
    pub fn breaker(mut self, breaker: impl Into<Option<Breaker>>) -> Self {
        self.breaker = breaker.into();
        self
    }

    /// Replaces a worker when it has completed so many calls, a batch being one call; at least 1. Default: never.
    ///
    /// Its replacement is started first, and it goes on until that is ready: with short calls it completes some more
    /// than `calls`. It waits for the sessions that live in it, and for [`PyRef`](crate::PyRef)s to its objects. One
    /// worker of a pool is replaced at a time. Costs no restart budget, unless the replacement cannot start.
    #[must_use]
    pub fn max_requests(mut self, calls: u64) -> Self {
        self.limits.max_requests = Some(calls);
        self
    }

    /// Replaces a worker when it has been ready for so long, or up to a tenth less, so that workers that began together
    /// do not end together; more than 0. Default: never. Otherwise as [`max_requests`](Self::max_requests).
    #[must_use]
    pub fn ttl(mut self, age: Duration) -> Self {
        self.limits.ttl = Some(age);
        self
    }

    /// Replaces a worker when its resident memory has grown by more than so many bytes since it was ready; at least 1.
    /// Default: never.
    ///
    /// Its memory is sampled every 250 ms, and compared with its own at the beginning, so that preloaded modules do not
    /// count, and neither do other workers. Files that it maps do. Its replacement is started first; then its running
    /// call is finished within the call's deadline, and it goes. It does **not** wait for sessions and
    /// [`PyRef`](crate::PyRef)s that live in it: those are lost, with this reason in the error.
    #[must_use]
    pub fn max_rss(mut self, bytes: u64) -> Self {
        self.limits.max_rss = Some(bytes);
        self
    }

    /// Injects faults into the pool's batches, for real: workers die, hang and answer with garbage. Default: none.
    #[must_use]
    pub fn chaos(mut self, chaos: Chaos) -> Self {
        self.chaos = Some(chaos);
        self
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let zero = |what: &str, hint: &str| {
            let message = format!("pool `{}`: {what} is 0, expected at least 1", self.name);
            Err(ConfigError::new(message).hint(hint))
        };
        if self.name.is_empty() || self.name.contains(['/', '\0', '\n']) {
            let message = format!("{:?} is no name for a pool", self.name);
            return Err(ConfigError::new(message).hint("use a short word, such as `default`"));
        }
        if self.name == AUTO {
            let message = format!("no pool may be named `{AUTO}`");
            return Err(ConfigError::new(message).hint("it stands for the pool that the router chooses"));
        }
        if self.size == 0 {
            return zero("the number of workers", "leave it out to use one worker a core");
        }
        if let Some(setting) = self.misplaced {
            let message = format!(
                "pool `{}`: {setting} is set, which a pool of {} does not have",
                self.name,
                self.kind()
            );
            let hint = match setting {
                "concurrency" => "it belongs to `Pool::coroutines`",
                _ => "it belongs to `Pool::threads`",
            };
            return Err(ConfigError::new(message).hint(hint));
        }
        let (what, count, most) = match self.profile {
            Profile::Process => ("", 1, 1),
            Profile::Thread { threads, .. } => ("threads_per_worker", threads, MOST_THREADS),
            Profile::Async { concurrency } => ("concurrency", concurrency, MOST_COROUTINES),
        };
        if !(1..=most).contains(&count) {
            let message = format!("pool `{}`: {what} is {count}, expected 1 to {most}", self.name);
            return Err(ConfigError::new(message).hint("more workers take more calls, too: `Pool::size`"));
        }
        if self.chaos.is_some() && self.profile != Profile::Process {
            let message = format!(
                "pool `{}`: chaos is for pools of processes, this one is of {}",
                self.name,
                self.kind()
            );
            return Err(
                ConfigError::new(message).hint("a fault of one call would befall the others of its worker")
            );
        }
        self.validate_adapter()?;
        if self.queue == 0 {
            return zero("the queue", "leave it out for room for 1024 calls");
        }
        let limits = &self.limits;
        if limits.max_requests == Some(0) {
            return zero("max_requests", "leave it out to keep workers however many calls they have had");
        }
        if limits.ttl == Some(Duration::ZERO) {
            return zero("the ttl of workers", "leave it out to keep workers however old they are");
        }
        if limits.max_rss == Some(0) {
            return zero("max_rss", "leave it out to keep workers however large they are");
        }
        if let Some(breaker) = &self.breaker {
            breaker.validate(&self.name)?;
        }
        if !(1..=LARGEST_FRAME).contains(&self.max_frame) {
            let message = format!(
                "pool `{}`: max_frame is {}, expected 1 to {LARGEST_FRAME}",
                self.name, self.max_frame
            );
            return Err(ConfigError::new(message));
        }
        if let Some(chaos) = &self.chaos {
            chaos.validate()?;
        }
        if let Some(limit) = self.memory_limit.filter(|bytes| *bytes < SMALLEST_MEMORY) {
            let message = format!(
                "pool `{}`: memory_limit is {limit} bytes, expected at least {SMALLEST_MEMORY}",
                self.name
            );
            return Err(ConfigError::new(message).hint("it counts what is mapped, Python itself included"));
        }
        for folder in &self.python_path {
            if !folder.is_dir() {
                let message =
                    format!("pool `{}`: the python_path {} is not a folder", self.name, folder.display());
                return Err(ConfigError::new(message).hint("a relative path starts at the current folder"));
            }
        }
        Ok(())
    }

    /// What its workers run calls in.
    fn kind(&self) -> &'static str {
        match self.profile {
            Profile::Process => "processes",
            Profile::Thread { .. } => "threads",
            Profile::Async { .. } => "coroutines",
        }
    }

    /// The whole environment of the workers.
    pub(crate) fn environment(
        &self,
        host: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let mut vars: Vec<_> = host
            .filter(|(name, _)| self.inherit == Inherit::All || listed(&name.to_string_lossy()))
            .collect();
        vars.extend(self.env.iter().cloned());
        // Workers times native threads should fit the cores, unless the user has decided otherwise. Where modules are
        // preloaded there is one: a library that starts more when it is imported could not be forked.
        let forks = self.start == Start::Fork && !self.preload.is_empty();
        // Threads that only wait for the GIL would leave native ones idle, but nobody knows yet whether they will.
        let calls = match self.profile {
            Profile::Thread { threads, .. } => self.size.saturating_mul(threads),
            Profile::Process | Profile::Async { .. } => self.size,
        };
        let threads = if forks { 1 } else { (cores() / calls).max(1) }.to_string();
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            if !vars.iter().any(|(other, _)| other == name) {
                vars.push((name.into(), (&threads).into()));
            }
        }
        vars
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

fn listed(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "RUST_BACKTRACE",
        "NO_COLOR",
    ];
    NAMES.contains(&name)
        || name.starts_with("PYTHON")
        || name.starts_with("LC_")
        || name.starts_with("XDG_")
        || name.ends_with("_NUM_THREADS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_inherited_only_by_choice() {
        let host = || {
            [("PATH", "/bin"), ("API_TOKEN", "secret"), ("OMP_NUM_THREADS", "3")]
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .into_iter()
        };
        let names = |pool: Pool| -> Vec<String> {
            pool.environment(host()).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
        };
        assert_eq!(
            names(Pool::processes("p")),
            ["PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
        );
        assert!(names(Pool::processes("p").inherit_env(Inherit::All)).contains(&"API_TOKEN".to_owned()));
        let set = Pool::processes("p").env("API_TOKEN", "x");
        assert!(names(set).contains(&"API_TOKEN".to_owned()));
    }

    #[test]
    fn limits_of_nothing_are_refused() {
        let pool = || Pool::processes("p");
        let breaker = |breaker: Breaker| pool().breaker(breaker);
        let none = Breaker { deaths: 0, ..Breaker::default() };
        let never = Breaker { cooldown: Duration::ZERO, ..Breaker::default() };
        let upside_down = Breaker { max_cooldown: Duration::from_secs(1), ..Breaker::default() };
        for (pool, message) in [
            (pool().max_requests(0), "pool `p`: max_requests is 0, expected at least 1"),
            (pool().ttl(Duration::ZERO), "pool `p`: the ttl of workers is 0, expected at least 1"),
            (pool().max_rss(0), "pool `p`: max_rss is 0, expected at least 1"),
            (breaker(none), "pool `p`: the breaker's deaths are 0, expected at least 1"),
            (breaker(never), "pool `p`: the breaker's cooldown is 0, expected some time"),
            (breaker(upside_down), "pool `p`: the breaker's max_cooldown is less than its cooldown"),
        ] {
            let error = pool.validate().unwrap_err().to_string();
            assert_eq!(error.lines().next(), Some(message));
            assert!(error.contains("\n  hint: "), "{error}");
        }
        pool().max_requests(1).ttl(Duration::from_nanos(1)).max_rss(1).breaker(None).validate().unwrap();
    }

    #[test]
    fn a_preload_leaves_native_libraries_one_thread_unless_it_is_set() {
        let threads = |pool: Pool| {
            let vars = pool.environment(std::iter::empty());
            vars.into_iter()
                .find(|(name, _)| name == "OPENBLAS_NUM_THREADS")
                .unwrap()
                .1
                .into_string()
                .unwrap()
        };
        let cores = std::thread::available_parallelism().unwrap().to_string();
        let one = || Pool::processes("p").size(1);
        assert_eq!(threads(one()), cores);
        assert_eq!(threads(one().preload("numpy")), "1");
        assert_eq!(threads(one().preload("numpy").start(Start::Spawn)), cores);
        assert_eq!(threads(one().preload("numpy").env("OPENBLAS_NUM_THREADS", "7")), "7");
    }

    #[test]
    fn zero_workers_are_refused_with_a_way_out() {
        let error = Pool::processes("p").size(0).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "pool `p`: the number of workers is 0, expected at least 1\n  hint: leave it out to use one worker a core"
        );
    }
}
