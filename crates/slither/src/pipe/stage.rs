//! What every stage's task has: its name and policy, its counts, and its way out for failures.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::mpsc;

use super::outlet::Outlet;
use super::telemetry;
use super::ticket::{Run, StageCounts, Ticket};
use crate::context::Context;
use crate::dispatch::OnError;
use crate::error::{ItemError, RunError};
use crate::item::{Failure, Fall, Item, ItemId};

/// Whether a stage goes on with its input.
pub(super) type Flow = ControlFlow<()>;

/// One stage of one run.
pub(super) struct Stage {
    pub(super) run: Arc<Run>,
    pub(super) index: usize,
    pub(super) context: Context,
    pub(super) on_error: OnError,
    pub(super) failures: mpsc::Sender<(Failure, Ticket)>,
    /// The context for failures, once there is one.
    shared: OnceLock<Arc<Context>>,
    started: Instant,
    cause: Option<RunError>,
}

impl Stage {
    pub(super) fn new(
        run: Arc<Run>,
        index: usize,
        context: Context,
        on_error: OnError,
        failures: mpsc::Sender<(Failure, Ticket)>,
    ) -> Self {
        telemetry::stage_start(&context);
        Self {
            run,
            index,
            context,
            on_error,
            failures,
            shared: OnceLock::new(),
            started: Instant::now(),
            cause: None,
        }
    }

    fn counts(&self) -> &StageCounts {
        &self.run.stages[self.index]
    }

    pub(super) fn took(&self, items: usize) {
        self.counts().items_in.fetch_add(items as u64, Relaxed);
    }

    /// Hands an item on; breaks if nobody takes it any more.
    pub(super) async fn send<T>(&self, outlet: &Outlet<T>, item: Item<T>, ticket: Ticket) -> Flow {
        outlet.send(item, ticket).await?;
        self.counts().items_out.fetch_add(1, Relaxed);
        Flow::Continue(())
    }

    /// An item failed here, alone: its failure goes to the reader, and the stage's policy applies.
    pub(super) async fn fail<T>(&mut self, item: Item<T>, error: ItemError, ticket: Ticket) -> Flow {
        let batch = Arc::from([item.id]);
        let failure = self.failure(item, error, batch);
        let halts = self.on_error == OnError::Halt;
        let cause = halts.then(|| RunError::Halted(Box::new(failure.clone())));
        self.report(failure, ticket).await?;
        match cause {
            None => Flow::Continue(()),
            Some(cause) => self.halt(cause),
        }
    }

    /// Items failed here together: all their failures go to the reader, and the stage's policy applies.
    pub(super) async fn fail_batch(&mut self, items: Vec<(Item<()>, Ticket)>, error: &ItemError) -> Flow {
        let batch: Arc<[ItemId]> = items.iter().map(|(item, _)| item.id).collect();
        let mut cause = None;
        for (item, ticket) in items {
            let failure = self.failure(item, error.clone(), batch.clone());
            if self.on_error == OnError::Halt && cause.is_none() {
                cause = Some(RunError::Halted(Box::new(failure.clone())));
            }
            self.report(failure, ticket).await?;
        }
        match cause {
            None => Flow::Continue(()),
            Some(cause) => self.halt(cause),
        }
    }

    fn failure<T>(&self, item: Item<T>, error: ItemError, batch: Arc<[ItemId]>) -> Failure {
        let fall = Fall { error, batch, attempts: 1, payload: None };
        let failure = Failure::new(item.with_payload(()), fall, self.context.stage.clone());
        Failure {
            context: Some(self.shared.get_or_init(|| Arc::new(self.context.clone())).clone()),
            ..failure
        }
    }

    pub(super) fn failed(&self) {
        self.counts().failed.fetch_add(1, Relaxed);
    }

    /// Sends a failure to the reader; breaks if it is gone.
    pub(super) async fn report(&self, failure: Failure, ticket: Ticket) -> Flow {
        self.failed();
        if let Some(letters) = &self.run.letters {
            // What cannot be written is told when the letters are closed, and the failure is here all the same.
            let _ = letters.write(&failure).await;
        }
        match self.failures.send((failure, ticket)).await {
            Ok(()) => Flow::Continue(()),
            Err(_) => Flow::Break(()),
        }
    }

    /// Halts the run here.
    pub(super) fn halt(&mut self, cause: RunError) -> Flow {
        self.cause = Some(cause.clone());
        self.run.halt(self.index, cause);
        Flow::Break(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        telemetry::stage_end(&self.context, self.counts(), self.started.elapsed(), self.cause.as_ref());
    }
}
