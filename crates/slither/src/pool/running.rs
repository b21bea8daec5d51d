//! A started pool: where calls come in, and how it ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::watch;

use super::answer::{Each, WorkerReply, open_single};
use super::chaos::Striker;
use super::clock::later;
use super::config::{Pool, Start};
use super::graveyard::Graveyard;
use super::job::{Job, Portions, Reply, Route, Waiting};
use super::progress::ProgressFeed;
use super::queue::Queue;
use super::service::{Service, wanted_level};
use super::session::PoolSession;
use super::station::{Station, lock};
use super::supervisor::{Driver, Epoch, Launch, Life, Note, Notes, Plan};
use super::worker::CallId;
use crate::context::Context;
use crate::error::{ConfigError, ErrorKind, ItemError};
use crate::python::{Environment, Gil};
use crate::store::Views;
use crate::waits::Waits;
use crate::wire::{self, Bound, Kind, Profile, Setup};

/// Ids below this are imports that a keeper sends on its own.
const FIRST_CALL: CallId = 1 << 32;
/// How long dropping a pool waits for its processes to be gone.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// A pool whose workers run. Dropping it kills them.
#[derive(Debug)]
pub(crate) struct RunningPool {
    /// For what its answers hold that is to call it again.
    me: Weak<Self>,
    pub(crate) name: Arc<str>,
    pub(crate) max_frame: usize,
    pub(crate) call_timeout: Duration,
    pub(super) chaos: Option<Striker>,
    pub(super) size: usize,
    pub(super) profile: Profile,
    /// The GIL of its workers, as it was last seen.
    pub(super) last_gil: Mutex<Gil>,
    start_timeout: Duration,
    pub(super) queue: Arc<Queue>,
    notes: Arc<Notes>,
    pub(super) service: Arc<Service>,
    life: watch::Receiver<Life>,
    bound: Arc<Mutex<Vec<String>>>,
    pub(super) graveyard: Arc<Mutex<Graveyard>>,
    ids: AtomicU64,
    /// Closed when the supervisor's thread ends.
    ended: Mutex<mpsc::Receiver<()>>,
    runtime: tokio::runtime::Handle,
}

/// Which worker a call is for.
#[derive(Debug, Clone)]
pub(crate) enum Via {
    /// Any that is free.
    Any,
    /// The session's.
    Session(Arc<PoolSession>),
    /// The one in the slot that the hash of a key chooses.
    Key(u64),
    /// This one, which holds a Python object.
    Worker { slot: usize, epoch: Epoch },
}

impl RunningPool {
    /// Starts a pool and waits until every worker is ready.
    pub(crate) async fn start(
        config: &Pool,
        python: Environment,
        views: Views,
    ) -> Result<Arc<Self>, ConfigError> {
        config.validate()?;
        let broken = |error: std::io::Error| {
            ConfigError::new(format!("pool `{}` cannot be started: {error}", config.name))
        };
        let name: Arc<str> = config.name.as_str().into();
        let queue = Arc::new(Queue::new(config.queue, config.size, config.max_sessions));
        let notes = Arc::new(Notes::new().map_err(|errno| broken(errno.into()))?);
        let service = Arc::new(Service::new(name.clone(), views, tokio::runtime::Handle::current()));
        let (life_sender, life) = watch::channel(Life::Starting);
        let bound = Arc::new(Mutex::new(Vec::new()));
        let graveyard = Arc::new(Mutex::new(Graveyard::default()));
        let mut path = Vec::new();
        for folder in &config.python_path {
            path.push(std::path::absolute(folder).map_err(broken)?);
        }
        let launch = Launch {
            env: config.environment(std::env::vars_os()),
            setup: Setup {
                name: config.name.clone(),
                path,
                overlay: python.overlay.clone(),
                preload: config.preload.clone(),
                max_frame: config.max_frame,
                start: match config.start {
                    Start::Fork => "fork",
                    Start::Spawn => "spawn",
                },
                host: std::process::id(),
                log_level: wanted_level(),
                memory_limit: config.memory_limit,
                profile: config.profile,
                adapter: config.adapter.as_ref().map(|adapter| adapter.setup(config.thread_safety)),
            },
            python,
        };
        let plan = Plan {
            size: config.size,
            budget: config.restart,
            breaker: config.breaker,
            limits: config.limits,
            start_timeout: config.start_timeout,
        };
        let driver = Driver::new(
            name.clone(),
            launch,
            plan,
            queue.clone(),
            notes.clone(),
            service.clone(),
            bound.clone(),
            graveyard.clone(),
            life_sender,
        );
        let (alive, ended) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name(format!("slither-{name}"))
            .spawn(move || {
                driver.run();
                drop(alive);
            })
            .map_err(broken)?;
        let pool = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name,
            max_frame: config.max_frame,
            call_timeout: config.call_timeout,
            chaos: config.chaos.clone().map(Striker::new),
            size: config.size,
            profile: config.profile,
            last_gil: Mutex::new(Gil::unknown()),
            start_timeout: config.start_timeout,
            queue,
            notes,
            service,
            life,
            bound,
            graveyard,
            ids: AtomicU64::new(FIRST_CALL),
            ended: Mutex::new(ended),
            runtime: tokio::runtime::Handle::current(),
        });
        pool.ready().await?;
        Ok(pool)
    }

    /// A pool whose workers and supervisor are somebody else's matter.
    #[cfg(test)]
    #[allow(clippy::too_many_arguments, reason = "called once, by the simulation that makes all of these")]
    pub(super) fn around(
        size: usize,
        queue: Arc<Queue>,
        notes: Arc<Notes>,
        service: Arc<Service>,
        bound: Arc<Mutex<Vec<String>>>,
        graveyard: Arc<Mutex<Graveyard>>,
        life: watch::Receiver<Life>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            name: "p".into(),
            max_frame: 1 << 20,
            call_timeout: Duration::from_millis(100),
            size,
            profile: Profile::Process,
            last_gil: Mutex::new(Gil::unknown()),
            start_timeout: Duration::from_millis(300),
            queue,
            notes,
            service,
            life,
            bound,
            graveyard,
            ids: AtomicU64::new(FIRST_CALL),
            ended: Mutex::new(mpsc::sync_channel(1).1),
            chaos: None,
            runtime: tokio::runtime::Handle::current(),
        })
    }

    async fn ready(&self) -> Result<(), ConfigError> {
        let mut life = self.life.clone();
        let state = life.wait_for(|life| *life != Life::Starting).await;
        let cause = match state.as_deref() {
            Ok(Life::Running | Life::Starting) => return Ok(()),
            Ok(Life::Failed(cause) | Life::Ended(Some(cause))) => cause.clone(),
            Ok(Life::Ended(None)) => "it was shut down".to_owned(),
            Err(_) => "its supervisor ended".to_owned(),
        };
        Err(ConfigError::new(format!("pool `{}` cannot be started: {cause}", self.name)))
    }

    pub(crate) fn next_id(&self) -> CallId {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn refusal(&self) -> ItemError {
        self.queue.closed().unwrap_or_else(|| {
            ItemError::new(ErrorKind::Pool, format!("pool `{}` takes no more work", self.name))
        })
    }

    /// What waits for a call with this context, if a worker of this pool is among it: then the call may not wait here.
    fn waits_for(&self, context: &Context) -> Option<Arc<Waits>> {
        context.waits.as_ref().filter(|waits| waits.has(&self.name)).cloned()
    }

    /// Queues a frame for a worker, and waits for the answer. Dropping the future withdraws the call if no
    /// worker has it yet; else its answer is discarded.
    pub(crate) async fn submit(
        &self,
        id: CallId,
        frame: Vec<u8>,
        timeout: Duration,
        context: Arc<Context>,
        via: &Via,
    ) -> Result<Reply, ItemError> {
        self.submit_batch(id, frame, timeout, context, via, None, false).await
    }

    /// [`submit`](Self::submit) a batch, which may yield before its answer, and may be run again to find a culprit.
    #[allow(clippy::too_many_arguments, reason = "what makes a call, once; all others go through `submit`")]
    pub(crate) async fn submit_batch(
        &self,
        id: CallId,
        frame: Vec<u8>,
        timeout: Duration,
        context: Arc<Context>,
        via: &Via,
        portions: Option<Portions>,
        suspect: bool,
    ) -> Result<Reply, ItemError> {
        let (route, lease, fails_fast) = match via {
            Via::Any => (Route::Any, None, false),
            Via::Worker { slot, epoch } => (Route::Worker { slot: *slot, epoch: *epoch }, None, false),
            Via::Key(key) => (Route::Slot((key % self.size as u64) as usize), None, false),
            Via::Session(session) => {
                let called = session.call();
                // At the end of the pool its workers are gone, too: that is the better reason.
                let (route, lease) = called.map_err(|error| self.queue.closed().unwrap_or(error))?;
                (route, Some(lease), session.fails_fast())
            }
        };
        let waits = self.waits_for(&context);
        let (at_once, refuse) = (fails_fast || waits.is_some(), |why| match &waits {
            Some(waits) => ItemError::new(ErrorKind::Refused, waits.refuse(&self.name)),
            None => busy(&self.name, why),
        });
        let place = match at_once {
            true => self.queue.place_now(),
            false => self.queue.place().await,
        };
        let Some(place) = place else {
            return Err(match self.queue.closed() {
                None if at_once => refuse("its queue is full"),
                _ => self.refusal(),
            });
        };
        let (job, waiting) = Job::new(id, frame, timeout, context, Some(place));
        let job = job.bound(route, lease).yielding(portions).suspected(suspect);
        let cancels = self.profile.cancels() || job.is_stream();
        if !at_once {
            self.queue.push(job);
        } else if let Err(job) = self.queue.push_if_free(job) {
            job.finish(Err(refuse("its worker has another call")));
        }
        self.answer_of(waiting, cancels).await
    }

    pub(super) async fn answer(&self, waiting: Waiting) -> Result<Reply, ItemError> {
        self.answer_of(waiting, self.profile.cancels()).await
    }

    async fn answer_of(&self, waiting: Waiting, cancels: bool) -> Result<Reply, ItemError> {
        let mut caller = Caller { queue: &self.queue, waiting: Some(waiting), cancels };
        let answer = match &mut caller.waiting {
            Some(waiting) => waiting.await.ok(),
            None => None,
        };
        // Nothing is left to withdraw.
        caller.waiting = None;
        // A job that was dropped unanswered was in a queue that closed.
        let mut answer = answer.unwrap_or_else(|| Err(self.refusal()));
        if let Ok(reply) = &mut answer {
            reply.pool = self.me.clone();
        }
        answer
    }

    /// Sends a frame to each live worker; returns who will answer where, and whether it was free. With `duty` it is run also when nobody waits
    /// for the answer any more.
    async fn send_each(
        &self,
        frame: impl Fn(CallId) -> Result<Vec<u8>, ItemError>,
        timeout: Duration,
        context: &Arc<Context>,
        duty: bool,
    ) -> Result<Vec<(Arc<Station>, Waiting, bool)>, ItemError> {
        let mut out = Vec::new();
        for station in self.queue.stations() {
            let Some(place) = self.queue.place().await else { return Err(self.refusal()) };
            let id = self.next_id();
            let (job, waiting) = Job::new(id, frame(id)?, timeout, context.clone(), Some(place));
            let job = if duty { job.on_duty() } else { job };
            let free = lock(&station.held).len() < station.slots();
            if let Err(job) = station.hand_own(job) {
                let message = "the worker died before it could run this call";
                job.finish(Err(ItemError::new(ErrorKind::Crash, message)));
            }
            out.push((station, waiting, free));
        }
        Ok(out)
    }

    /// Imports `function` in every worker, those still to be started included, and waits until one has done so, and all
    /// that were free.
    ///
    /// # Errors
    /// When no worker can import it; with the traceback and what to do.
    pub(crate) async fn bind(&self, function: &str) -> Result<Bound, ConfigError> {
        let context = Arc::new(Context::none());
        let frame = |id| wire::bind(id, function, self.max_frame);
        let mut answers = Vec::new();
        let waits = self.waits_for(&context);
        if let Some(waits) = &waits
            && !self.queue.stations().iter().any(|station| station.is_free())
        {
            return Err(ConfigError::new(waits.refuse(&self.name)));
        }
        match self.send_each(frame, self.start_timeout, &context, true).await {
            Ok(out) => {
                // Whoever is free imports it now, and is waited for; whoever is busy does so before its next call, which
                // may be long from now, and is waited for only until one worker has it.
                let (free, busy): (Vec<_>, Vec<_>) = out.into_iter().partition(|(_, _, free)| *free);
                for (_, waiting, _) in free {
                    answers.push(self.answer(waiting).await);
                }
                let imported = |answer: &Result<Reply, ItemError>| {
                    answer.as_ref().is_ok_and(|reply| reply.kind == Kind::Bound)
                };
                let mut waiting: FuturesUnordered<_> =
                    busy.into_iter().map(|(_, waiting, _)| self.answer(waiting)).collect();
                // What waits for this view will not import anything before it.
                while waits.is_none()
                    && !answers.iter().any(imported)
                    && let Some(answer) = waiting.next().await
                {
                    answers.push(answer);
                }
            }
            Err(error) => answers.push(Err(error)),
        }
        let lost = |answer: &Result<Reply, ItemError>| answer.as_ref().is_err_and(ItemError::is_crash);
        if answers.iter().all(lost) {
            // Every worker is just being replaced, or died of something else: ask the next one that is ready.
            let id = self.next_id();
            answers.push(match frame(id) {
                Ok(frame) => self.submit(id, frame, self.start_timeout, context, &Via::Any).await,
                Err(error) => Err(error),
            });
        }
        let mut failure = None;
        for answer in answers {
            match answer.and_then(|reply| open_single::<Bound>(&reply)) {
                Ok(bound) => {
                    // Only now: an import that kills would else kill each replacement, too.
                    let mut all = lock(&self.bound);
                    if !all.iter().any(|other| other == function) {
                        all.push(function.to_owned());
                    }
                    return Ok(bound);
                }
                Err(error) => failure = Some(error),
            }
        }
        let report = failure.map_or_else(|| "no worker answered".to_owned(), |error| error.report());
        // A tool has no module before the colon.
        let what = match function.strip_prefix(':') {
            Some(tool) => format!("tool `{tool}`"),
            None => format!("`{function}`"),
        };
        Err(ConfigError::new(format!("{what} cannot be called in pool `{}`: {report}", self.name)))
    }

    /// Calls `function` once on each live worker.
    pub(crate) async fn call_each<A: Serialize + ?Sized, T: serde::de::DeserializeOwned>(
        &self,
        function: &str,
        args: &A,
        timeout: Duration,
        context: Arc<Context>,
    ) -> Result<Each<T>, ItemError> {
        if let Some(waits) = self.waits_for(&context) {
            return Err(ItemError::new(ErrorKind::Refused, waits.refuse(&self.name)));
        }
        let frame = |id| wire::single(id, function, &context, args, self.max_frame);
        let mut replies = Vec::new();
        for (station, waiting, _) in self.send_each(frame, timeout, &context, false).await? {
            let answer = self.answer(waiting).await;
            replies.push(WorkerReply {
                worker: station.worker.name.clone(),
                pid: station.worker.pid,
                result: answer.and_then(|reply| open_single(&reply)),
            });
        }
        Ok(Each { replies, lost: lock(&self.graveyard).lost() })
    }

    /// How many calls the workers run at once, now.
    pub(crate) fn slots(&self) -> usize {
        self.queue.capacity()
    }

    /// The adapter that its workers host, as the first of them said.
    pub(crate) fn adapter(&self) -> Option<&wire::Adapter> {
        self.service.adapter()
    }

    /// Where tasks of the pool run.
    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.runtime
    }

    /// Reports of progress from now on.
    pub(crate) fn progress(&self) -> ProgressFeed {
        self.service.feed()
    }

    /// Takes no more work, finishes what it has within `grace`, and ends every process.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.notes.leave(Note::Shutdown { deadline: later(Instant::now(), grace) });
        let mut life = self.life.clone();
        let _ = life.wait_for(|life| matches!(life, Life::Ended(_))).await;
    }
}

fn busy(pool: &str, why: &str) -> ItemError {
    let message = format!("the session of pool `{pool}` is busy: {why}");
    ItemError::new(ErrorKind::SessionBusy, message)
}

/// Whoever waits for an answer. When it goes away, a call that no worker has yet leaves the queue.
struct Caller<'a> {
    queue: &'a Queue,
    waiting: Option<Waiting>,
    /// Calls can be ended that have begun.
    cancels: bool,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            drop(waiting);
            self.queue.sweep();
            if self.cancels {
                self.queue.wake_holders();
            }
        }
    }
}

impl Drop for RunningPool {
    fn drop(&mut self) {
        self.notes.leave(Note::Shutdown { deadline: Instant::now() });
        let _ = lock(&self.ended).recv_timeout(DROP_WAIT);
    }
}
