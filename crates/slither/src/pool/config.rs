//! What a pool is to be: the builder [`Pool`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::chaos::Chaos;
use super::supervisor::{Breaker, Limits, RestartBudget};
use crate::error::ConfigError;
use crate::routing::AUTO;

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
}

/// No frame is longer than this, whatever a pool asks for.
const LARGEST_FRAME: usize = 1 << 30;
/// A worker needs this much address space to start.
const SMALLEST_MEMORY: u64 = 128 << 20;

impl Pool {
    /// A pool of worker processes. One process runs one call at a time, and a crash costs only that call.
    pub fn processes(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            size: std::thread::available_parallelism().map_or(2, usize::from),
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
        }
    }

    /// How many workers. Default: the number of cores.
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let forks = self.start == Start::Fork && !self.preload.is_empty();
        let threads = if forks { 1 } else { (cores / self.size).max(1) }.to_string();
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            if !vars.iter().any(|(other, _)| other == name) {
                vars.push((name.into(), (&threads).into()));
            }
        }
        vars
    }
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
