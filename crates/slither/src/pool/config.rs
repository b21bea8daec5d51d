//! What a pool is to be: the builder [`Pool`].

mod environment;
mod validate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::adapter::{AdapterSpec, ThreadSafetyCheck};
use super::chaos::Chaos;
use super::supervisor::{Breaker, Limits, RestartBudget};
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
        let profile = Profile::Thread { threads: cores().min(validate::MOST_THREADS), io_bound: false };
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

    /// How many calls may be in the pool at once, those included that run; beyond it callers wait for room. Default 1024.
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
    /// gigabytes at once, and each thread of a worker maps about 75 MiB. The allocator of a Python without a GIL would map a
    /// gigabyte at once; `MIMALLOC_ARENA_RESERVE` is `16m` then, unless you set it. Where memory is limited from outside, as
    /// in a container, the kernel kills instead, which costs the worker.
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
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
