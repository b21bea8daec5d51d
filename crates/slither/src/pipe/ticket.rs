//! What the tasks of one run share: its accounts, its end, and the [`Ticket`] that each item carries.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::discard::Discard;
use super::plan::Plan;
use super::telemetry;
use crate::context::Context;
use crate::error::RunError;
use crate::item::Ledger;
use crate::letters::DeadLetters;

/// One run of a pipe. It is dropped after the last ticket, so that what it tells at its end is final.
pub(super) struct Run {
    pub(super) context: Context,
    pub(super) stages: Vec<StageCounts>,
    pub(super) batch_ids: Arc<AtomicU64>,
    /// Where failures are written, too.
    pub(super) letters: Option<DeadLetters>,
    plan: Arc<Plan>,
    /// The tasks with the stage of each; none for the source.
    tasks: Mutex<Vec<(Option<usize>, AbortHandle)>>,
    started: Instant,
    elapsed: OnceLock<Duration>,
    cause: OnceLock<RunError>,
    halted: watch::Sender<bool>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    pulled: AtomicU64,
    expanded: AtomicU64,
    emitted: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
}

/// What went through one stage.
#[derive(Default)]
pub(super) struct StageCounts {
    pub(super) items_in: AtomicU64,
    pub(super) items_out: AtomicU64,
    pub(super) failed: AtomicU64,
    drops: Mutex<BTreeMap<Cow<'static, str>, u64>>,
}

impl StageCounts {
    /// Counts a drop by its reason. Reasons are told apart up to a hundred, the rest is `other`: a reason
    /// with an item's own text in it must not grow without bound.
    fn drop_for(&self, reason: Cow<'static, str>) {
        let mut drops = lock(&self.drops);
        let reason = if drops.len() < 100 || drops.contains_key(&reason) { reason } else { "other".into() };
        *drops.entry(reason).or_default() += 1;
    }

    pub(super) fn drops(&self) -> BTreeMap<String, u64> {
        lock(&self.drops).iter().map(|(reason, count)| (reason.to_string(), *count)).collect()
    }
}

/// The data behind these locks are plain counts and handles, whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    pub(super) fn start(context: Context, plan: Arc<Plan>, letters: Option<DeadLetters>) -> Arc<Self> {
        telemetry::run_start(&context);
        Arc::new(Self {
            context,
            stages: std::iter::repeat_with(StageCounts::default).take(plan.stages.len()).collect(),
            batch_ids: Arc::default(),
            letters,
            plan,
            tasks: Mutex::default(),
            started: Instant::now(),
            elapsed: OnceLock::new(),
            cause: OnceLock::new(),
            halted: watch::Sender::new(false),
            counts: Counts::default(),
        })
    }

    /// The ticket of an item just pulled.
    pub(super) fn pull(self: &Arc<Self>) -> Ticket {
        self.counts.pulled.fetch_add(1, Relaxed);
        Ticket(Some(self.clone()))
    }

    /// The ticket of a child beyond the first of an expansion.
    pub(super) fn expand(self: &Arc<Self>) -> Ticket {
        self.counts.expanded.fetch_add(1, Relaxed);
        Ticket(Some(self.clone()))
    }

    pub(super) fn ledger(&self) -> Ledger {
        let counts = &self.counts;
        Ledger {
            pulled: counts.pulled.load(Relaxed),
            expanded: counts.expanded.load(Relaxed),
            emitted: counts.emitted.load(Relaxed),
            dropped: counts.dropped.load(Relaxed),
            failed: counts.failed.load(Relaxed),
            cancelled: counts.cancelled.load(Relaxed),
        }
    }

    /// Keeps the handle of a stage's task, or of the source's, so that a halt further down can stop it.
    pub(super) fn register(&self, stage: Option<usize>, task: AbortHandle) {
        lock(&self.tasks).push((stage, task));
    }

    /// Records why the run will end early; the first cause stays.
    pub(super) fn set_cause(&self, cause: RunError) {
        let _ = self.cause.set(cause);
    }

    pub(super) fn cause(&self) -> Option<RunError> {
        self.cause.get().cloned()
    }

    /// Halts at a stage: the source and the stages before it stop at once; those behind it and in other
    /// branches withdraw what is in flight and hand on what is finished. The stage itself ends by its own hand.
    pub(super) fn halt(&self, stage: usize, cause: RunError) {
        self.set_cause(cause);
        self.halted.send_replace(true);
        let before = self.plan.before(stage);
        for (stage, task) in lock(&self.tasks).iter() {
            if stage.is_none_or(|stage| before.contains(&stage)) {
                task.abort();
            }
        }
    }

    pub(super) fn is_halted(&self) -> bool {
        *self.halted.borrow()
    }

    /// Resolves when the run is halted.
    pub(super) fn halted(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut halted = self.halted.subscribe();
        async move {
            if halted.wait_for(|halted| *halted).await.is_err() {
                std::future::pending().await
            }
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed.get().copied().unwrap_or_else(|| self.started.elapsed())
    }

    /// The run is over: stops its clock and tells telemetry, once.
    pub(super) fn end(&self) {
        let elapsed = self.started.elapsed();
        if self.elapsed.set(elapsed).is_ok() {
            telemetry::run_end(&self.context, &self.ledger(), elapsed, self.cause.get());
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// Carried by each item until its end is known. Whoever drops it unresolved, on whatever path, has cancelled
/// the item: so each item is counted where its way ends, and none twice.
pub(super) struct Ticket(Option<Arc<Run>>);

impl Ticket {
    /// The run's reader took the item.
    pub(super) fn emitted(self) {
        self.resolve(|counts| &counts.emitted);
    }

    /// The run's reader took the item's failure.
    pub(super) fn failed(self) {
        self.resolve(|counts| &counts.failed);
    }

    /// A stage left the item out.
    pub(super) fn dropped(self, stage: usize, discard: Discard) {
        if let Some(run) = &self.0 {
            run.stages[stage].drop_for(discard.reason);
        }
        self.resolve(|counts| &counts.dropped);
    }

    fn resolve(mut self, count: impl Fn(&Counts) -> &AtomicU64) {
        if let Some(run) = self.0.take() {
            count(&run.counts).fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run.counts.cancelled.fetch_add(1, Relaxed);
        }
    }
}
