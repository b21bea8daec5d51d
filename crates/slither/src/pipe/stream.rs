//! A run as a stream: [`PipeStream`] of [`Event`]s.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Task, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::outlet::Entry;
use super::outputs::{Outputs, PipeError};
use super::plan::Plan;
use super::report::{Report, StageReport};
use super::ticket::{Run, Ticket};
use crate::error::RunError;
use crate::item::{Failure, Item, Ledger};

/// What comes out of a run.
#[derive(Debug, Clone)]
pub enum Event<Out> {
    /// An item reached an output.
    Emitted {
        /// Which.
        output: Arc<str>,
        /// The item.
        item: Item<Out>,
    },
    /// An item failed.
    Failed(Failure),
}

/// A run in progress: yields its [`Event`]s; made by [`stream_pipe`](super::stream_pipe).
///
/// If the run ends before its input does, an error is the last thing it yields. Whoever does not read slows
/// the run down: the channels fill up, and no more input is pulled. Dropping it cancels the run.
pub struct PipeStream<Out> {
    plan: Arc<Plan>,
    outputs: mpsc::Receiver<Entry<Out>>,
    failures: mpsc::Receiver<(Failure, Ticket)>,
    /// Which of the two is looked at first, in turn, so that neither holds up the other.
    failures_first: bool,
    emitted: Vec<u64>,
    tasks: JoinSet<()>,
    run: Arc<Run>,
    over: bool,
}

impl<Out> PipeStream<Out> {
    pub(super) fn new(
        plan: Arc<Plan>,
        run: Arc<Run>,
        outputs: mpsc::Receiver<Entry<Out>>,
        failures: mpsc::Receiver<(Failure, Ticket)>,
        tasks: JoinSet<()>,
    ) -> Self {
        let emitted = vec![0; plan.outputs.len()];
        Self { plan, outputs, failures, failures_first: false, emitted, tasks, run, over: false }
    }

    /// The counts so far. They balance once the stream has ended; before, items are on their way.
    pub fn ledger(&self) -> Ledger {
        self.run.ledger()
    }

    /// What the run has done so far; final once the stream has ended.
    pub fn report(&self) -> Report {
        let stages = self.plan.stages.iter().zip(&self.run.stages).map(|(plan, counts)| StageReport {
            name: plan.name.clone(),
            items_in: counts.items_in.load(Relaxed),
            items_out: counts.items_out.load(Relaxed),
            failed: counts.failed.load(Relaxed),
            drops: counts.drops(),
        });
        Report {
            ledger: self.run.ledger(),
            outputs: self.plan.outputs.iter().cloned().zip(self.emitted.iter().copied()).collect(),
            stages: stages.collect(),
            elapsed: self.run.elapsed(),
        }
    }

    /// Cancels the run, and waits until every task has let go of its items.
    ///
    /// A function that a stage runs on a thread of its own runs to its end; its result is discarded.
    pub async fn cancel(mut self) -> Report {
        self.tasks.shutdown().await;
        // What was never read is dropped, and so counted as cancelled.
        self.outputs.close();
        self.failures.close();
        while self.outputs.try_recv().is_ok() {}
        while self.failures.try_recv().is_ok() {}
        self.run.end();
        self.report()
    }

    /// Reads the run to its end and gathers everything.
    ///
    /// # Errors
    /// If the run ended before its input did; the error carries everything finished until then.
    ///
    /// # Cancellation
    /// Dropping the future cancels the run.
    pub async fn into_outputs(mut self) -> Result<Outputs<Out>, PipeError<Out>> {
        let mut outputs = Outputs::empty(&self.plan);
        let mut cause = None;
        while let Some(event) = self.next().await {
            match event {
                Ok(event) => outputs.add(event),
                Err(error) => cause = Some(error),
            }
        }
        outputs.report = self.report();
        match cause {
            None => Ok(outputs),
            Some(cause) => Err(PipeError { cause, outputs: Box::new(outputs) }),
        }
    }

    /// The next event; none when every stage has ended.
    fn poll_event(&mut self, task: &mut Task<'_>) -> Poll<Option<Event<Out>>> {
        self.failures_first = !self.failures_first;
        let failure = if self.failures_first { self.failures.poll_recv(task) } else { Poll::Pending };
        if let Poll::Ready(Some(failure)) = failure {
            return Poll::Ready(Some(failed(failure)));
        }
        let output = self.outputs.poll_recv(task);
        if let Poll::Ready(Some(Entry { output, item, ticket })) = output {
            ticket.emitted();
            self.emitted[output] += 1;
            return Poll::Ready(Some(Event::Emitted { output: self.plan.outputs[output].clone(), item }));
        }
        match ready!(self.failures.poll_recv(task)) {
            Some(failure) => Poll::Ready(Some(failed(failure))),
            None => output.map(|_| None),
        }
    }

    /// Waits for the tasks, which have nothing more to say, and settles the run.
    fn poll_end(&mut self, task: &mut Task<'_>) -> Poll<Option<RunError>> {
        while let Some(ended) = ready!(self.tasks.poll_join_next(task)) {
            if let Err(error) = ended
                && error.is_panic()
            {
                self.run.set_cause(RunError::Internal(error.to_string()));
            }
        }
        let ledger = self.run.ledger();
        if !ledger.balanced() {
            self.run.set_cause(RunError::Imbalance(ledger));
        }
        self.run.end();
        Poll::Ready(self.run.cause())
    }
}

fn failed<Out>((failure, ticket): (Failure, Ticket)) -> Event<Out> {
    ticket.failed();
    Event::Failed(failure)
}

impl<Out> Stream for PipeStream<Out> {
    type Item = Result<Event<Out>, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(event) = ready!(self.poll_event(task)) {
            return Poll::Ready(Some(Ok(event)));
        }
        let cause = ready!(self.poll_end(task));
        self.over = true;
        Poll::Ready(cause.map(Err))
    }
}

// Nothing in it is pinned in place.
impl<Out> Unpin for PipeStream<Out> {}

impl<Out> fmt::Debug for PipeStream<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeStream")
            .field("pipe", &self.plan.name)
            .field("ledger", &self.ledger())
            .finish_non_exhaustive()
    }
}
