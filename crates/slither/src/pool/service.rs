//! What a pool does for its workers beside giving them calls: views, log records, counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::job::WorkerName;
use super::progress::{KEPT, Progress, ProgressFeed};
use super::station::{Order, Station, lock};
use crate::context::{Context, SessionId};
use crate::dispatch;
use crate::python::Gil;
use crate::store::{ViewError, Views};
use crate::telemetry::{
    self, AdapterLimited, CallProgress, Labels, SessionLost, ViewException, ViewStart, ViewStop,
    WorkerCapacity,
};
use crate::waits::Waits;
use crate::wire::{Adapter, Done, Log, ViewCall};

/// How long a view that nobody declared takes to be refused, at most.
const UNKNOWN_VIEW: Duration = Duration::from_secs(5);

/// Python's number for the lowest level of its `logging` that anybody here listens to, so that workers send nothing else.
pub(super) fn wanted_level() -> u32 {
    macro_rules! heard {
        ($level:ident) => {
            tracing::enabled!(target: "slither::python", tracing::Level::$level)
        };
    }
    match () {
        () if heard!(DEBUG) => 10,
        () if heard!(INFO) => 20,
        () if heard!(WARN) => 30,
        () => 40,
    }
}

/// Shared by the keepers of a pool.
#[derive(Debug)]
pub(super) struct Service {
    pool: Arc<str>,
    views: Views,
    runtime: Handle,
    strays: AtomicU64,
    retries: AtomicU64,
    /// What the first worker said of its adapter; the others build the same class.
    adapter: OnceLock<Adapter>,
    progress: broadcast::Sender<Progress>,
}

impl Service {
    pub(super) fn new(pool: Arc<str>, views: Views, runtime: Handle) -> Self {
        Self {
            pool,
            views,
            runtime,
            strays: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            adapter: OnceLock::new(),
            progress: broadcast::Sender::new(KEPT),
        }
    }

    /// Counts an answer that belongs to no call.
    pub(super) fn stray(&self, worker: &WorkerName, id: u64) {
        self.strays.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(target: "slither", worker = worker.name, call = id, "an answer came for no call that is out");
    }

    /// Answers that belonged to no call.
    pub(super) fn strays(&self) -> u64 {
        self.strays.load(Ordering::Relaxed)
    }

    /// Counts a batch that is run again.
    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Batches that were run again, whole or in part.
    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Takes in what a worker says of its adapter, and passes on what there is to warn of, once.
    pub(super) fn introduce(&self, adapter: Adapter) {
        let mut first = false;
        let known = self.adapter.get_or_init(|| {
            first = true;
            adapter
        });
        if let Some(reason) = known.warning.as_ref().filter(|_| first) {
            let labels = Labels { pool: Some(&self.pool), ..Labels::default() };
            telemetry::emit(labels, &AdapterLimited::new(&self.pool, &known.name, reason));
        }
    }

    /// The adapter of the pool's workers, once one of them has said hello.
    pub(super) fn adapter(&self) -> Option<&Adapter> {
        self.adapter.get()
    }

    /// Reports of progress from now on.
    pub(super) fn feed(&self) -> ProgressFeed {
        ProgressFeed::new(self.progress.subscribe())
    }

    /// Notes how far the running call is, and tells it to who has asked. A report that comes late, from a thread
    /// that its call has left behind, is nobody's.
    pub(super) fn progress(&self, station: &Station, call: u64, Done { done, total }: Done) {
        let (report, context) = {
            let mut held = lock(&station.held);
            let Some(job) = held.get_mut(call) else { return };
            let report = Progress {
                worker: station.worker.name.clone(),
                call,
                run: job.context.run.as_ref().map(|run| run.as_str().to_owned()),
                stage: job.context.stage.as_deref().map(str::to_owned),
                done,
                total,
            };
            job.note_progress(report.clone());
            (report, job.context.clone())
        };
        let [run, pipe, stage, session] = dispatch::ids(&context);
        let total: &dyn std::fmt::Display = report.total.as_ref().map_or(&"", |total| total);
        let worker = &station.worker.name;
        let labels = Labels {
            pool: Some(&self.pool),
            pipe: context.pipe.as_deref(),
            stage: context.stage.as_deref(),
            ..Labels::default()
        };
        let event = CallProgress::new(run, pipe, stage, session, &self.pool, worker, &call, &done, total);
        telemetry::emit(labels, &event);
        // Nobody may have asked.
        let _ = self.progress.send(report);
    }

    /// How long the view may take.
    pub(super) fn view_timeout(&self, name: &str) -> Duration {
        self.views.timeout(name).unwrap_or(UNKNOWN_VIEW)
    }

    /// Runs a view on a thread that may block; its answer goes to the worker's inbox.
    pub(super) fn call_view(
        &self,
        station: &Arc<Station>,
        id: u64,
        call: ViewCall,
        many: bool,
        context: Arc<Context>,
    ) {
        let (station, views, pool) = (station.clone(), self.views.clone(), self.pool.clone());
        self.runtime.spawn_blocking(move || {
            // A name that no store declares is Python's invention, and would make a series of its own.
            let view = views.timeout(&call.name).map(|_| call.name.as_str());
            let labels = Labels { pool: Some(&pool), view, ..Labels::default() };
            let run = context.run.as_ref().map_or("", |run| run.as_str());
            let session = context.session.as_ref().map_or("", |session| session.as_str());
            let worker = &station.worker.name;
            let calls = if many { call.count() as f64 } else { 1.0 };
            telemetry::emit(labels, &ViewStart::new(calls, &call.name, &run, &session, worker));
            let begun = Instant::now();
            let (answer, refused) = Waits::during(&pool, context.waits.clone(), || {
                views.call(&call.name, &call.args, many, &context)
            });
            let answer = match (answer, refused) {
                (Err(_), Some(why)) => Err(ViewError::refused(&call.name, &why)),
                (answer, _) => answer,
            };
            let took = begun.elapsed().as_secs_f64();
            match &answer {
                Ok(_) => {
                    telemetry::emit(labels, &ViewStop::new(calls, took, &call.name, &run, &session, worker))
                }
                Err(failure) => telemetry::emit(
                    labels,
                    &ViewException::new(calls, took, &call.name, &run, &session, worker, &failure.message()),
                ),
            }
            let answer =
                answer.map_err(|failure| (failure.kind().as_str().to_owned(), failure.message().to_owned()));
            station.order(Order::View { id, answer });
        });
    }

    /// Tells that a worker takes another number of calls at once from now on.
    pub(super) fn capacity_changed(&self, worker: &WorkerName, before: usize, slots: usize, gil: &Gil) {
        let labels = Labels { pool: Some(&self.pool), ..Labels::default() };
        let (before, slots) = (before as f64, slots as f64);
        let event = WorkerCapacity::new(before, slots, &self.pool, &worker.name, &worker.pid, gil);
        telemetry::emit(labels, &event);
    }

    /// Tells of the sessions that a worker took with it.
    pub(super) fn sessions_lost(&self, worker: &WorkerName, lost: &[SessionId], reason: &str) {
        let labels = Labels { pool: Some(&self.pool), ..Labels::default() };
        for session in lost {
            telemetry::emit(
                labels,
                &SessionLost::new(&self.pool, session, &worker.name, &worker.pid, &reason),
            );
        }
    }

    /// Passes a record of Python's `logging` on.
    pub(super) fn log(&self, station: &Station, log: &Log) {
        let stage = log.call.and_then(|call| {
            let held = lock(&station.held);
            held.get(call).and_then(|job| job.context.stage.clone())
        });
        let (worker, stage) = (&station.worker.name, stage.as_deref().unwrap_or(""));
        let (logger, call, message) = (&log.logger, log.call.unwrap_or(0), &log.message);
        let thread = log.thread.as_deref();
        macro_rules! at {
            ($level:ident) => {
                tracing::event!(
                    target: "slither::python",
                    tracing::Level::$level,
                    worker, stage, logger, call, thread, "{message}"
                )
            };
        }
        match log.level {
            40.. => at!(ERROR),
            30..40 => at!(WARN),
            20..30 => at!(INFO),
            10..20 => at!(DEBUG),
            _ => at!(TRACE),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::wanted_level;

    /// Listens to one target, down to a level.
    struct Down(&'static str, Level);

    impl Subscriber for Down {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == self.0 && *metadata.level() <= self.1
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn workers_send_what_somebody_listens_to() {
        for (level, number) in
            [(Level::TRACE, 10), (Level::DEBUG, 10), (Level::INFO, 20), (Level::WARN, 30), (Level::ERROR, 40)]
        {
            assert_eq!(with_default(Down("slither::python", level), wanted_level), number, "{level}");
        }
        assert_eq!(with_default(Down("slither", Level::TRACE), wanted_level), 40);
    }
}
