//! Polls source and executor for a [`Core`], and tells telemetry.
//!
//! Nothing is spawned: everything happens while the driver is polled, and dropping it cancels everything.

use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Task, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, Sleep};

use super::core::{Core, Started};
use super::executor::{Executor, Reply};
use super::limits::Bounds;
use super::outcome::Ended;
use super::permits::Permit;
use super::probes::Probes;
use super::yields::Arrivals;
use crate::context::Context;
use crate::error::{ItemError, RunError};
use crate::item::{Failure, Item, Ledger};

/// A dispatch over a source of tagged items, as a stream of their outcomes and tags.
pub(crate) struct Driver<S, I, O, K> {
    core: Core<I, O, K>,
    executor: Arc<dyn Executor<I, O>>,
    context: Context,
    /// The same for failures, once there is one.
    shared: OnceLock<Arc<Context>>,
    probes: Probes,
    running: FuturesUnordered<InFlight<O>>,
    /// What batches yield before they come back.
    arrivals: Arc<Arrivals<O>>,
    /// Wakes the task when the core waits for a time; made when it first does.
    timer: Option<Pin<Box<Sleep>>>,
    /// When the core was last asked what to start.
    clock: std::time::Instant,
    /// None once it has ended or is not wanted any more.
    source: Option<Pin<Box<S>>>,
    source_error: Option<String>,
    over: bool,
}

impl<S, I, O, K> Driver<S, I, O, K>
where
    S: Stream<Item = Result<(Item<I>, K), String>>,
    O: Send + 'static,
{
    /// `ids` numbers the batches; the stages of one run share it.
    pub(crate) fn new(
        executor: Arc<dyn Executor<I, O>>,
        source: S,
        mut bounds: Bounds<I>,
        context: Context,
        ids: Arc<AtomicU64>,
    ) -> Self {
        bounds.stateful = executor.is_stateful();
        Self {
            core: Core::new(bounds, ids, context.stage.clone()),
            probes: Probes::new(&context, executor.name()),
            executor,
            context,
            shared: OnceLock::new(),
            running: FuturesUnordered::new(),
            arrivals: Arrivals::new(),
            timer: None,
            clock: std::time::Instant::now(),
            source: Some(Box::pin(source)),
            source_error: None,
            over: false,
        }
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.core.ledger()
    }

    /// The next item of the batch being read, if it has a result: what polling would give, without its shapes.
    #[inline(always)]
    pub(super) fn next_done(&mut self) -> Option<(Item<O>, K)> {
        self.core.next_done()
    }

    /// Stops pulling and withdraws what is in flight; what has finished is still to be read.
    pub(crate) fn cancel_unfinished(&mut self) {
        self.source = None;
        self.running.clear();
        self.core.cancel_unfinished();
    }

    /// Withdraws everything; the stream has ended.
    pub(crate) fn cancel(&mut self) {
        self.cancel_unfinished();
        self.core.cancel();
        self.over = true;
    }

    /// Moves all that can move: replies in, batches out, input in, until nothing changes.
    fn drive(&mut self, task: &mut Task<'_>) {
        if self.core.follows_slots() {
            self.core.follow(self.executor.slots().max(1), self.left());
        }
        let mut moved = true;
        while moved {
            moved = self.collect(task);
            if self.core.halted().is_some() {
                self.cancel_unfinished();
                return;
            }
            moved |= self.start();
            moved |= self.pull(task);
        }
    }

    /// How many items are still to be pulled, if the source says so.
    fn left(&self) -> Option<usize> {
        match self.source.as_ref()?.size_hint() {
            (_, Some(most)) => Some(most),
            (0, None) => None,
            (least, None) => Some(least),
        }
    }

    fn collect(&mut self, task: &mut Task<'_>) -> bool {
        self.arrivals.register(task.waker());
        let mut moved = false;
        while let Poll::Ready(Some((permit, reply))) = Pin::new(&mut self.running).poll_next(task) {
            moved = true;
            self.take_yields();
            if let Some(completed) = self.core.complete(permit, reply, Instant::now().into_std()) {
                self.probes.completed(&self.context, self.executor.name(), &completed);
            }
        }
        self.take_yields() || moved
    }

    /// What a batch has yielded is taken in before its reply.
    fn take_yields(&mut self) -> bool {
        let mut moved = false;
        for yielded in self.arrivals.take() {
            if let Some(partial) = self.core.partial(yielded) {
                self.probes.partial(&self.context, self.executor.name(), &partial);
                moved = true;
            }
        }
        moved
    }

    fn start(&mut self) -> bool {
        let mut moved = false;
        loop {
            self.clock = Instant::now().into_std();
            let Some(Started { permit, batch, attempt }) = self.core.start(self.clock) else { break };
            moved = true;
            self.probes.start(&self.context, self.executor.name(), batch.id, batch.items.len());
            let context = match attempt {
                1 => Cow::Borrowed(&self.context),
                _ => Cow::Owned(Context { attempt, ..self.context.clone() }),
            };
            let yields = self.arrivals.yields(permit, batch.id, batch.items.len());
            let execute = || self.executor.execute_yielding(batch, &context, yields);
            let reply = match catch_unwind(AssertUnwindSafe(execute)) {
                Ok(future) => future,
                Err(panic) => Box::pin(std::future::ready(Err(ItemError::panicked(&*panic)))),
            };
            self.running.push(InFlight { permit, reply });
        }
        moved
    }

    /// Pulls until a batch can be started, the source has nothing, or there is no room.
    fn pull(&mut self, task: &mut Task<'_>) -> bool {
        let mut moved = false;
        while self.core.wants_input() {
            let Some(source) = &mut self.source else { break };
            match source.as_mut().poll_next(task) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok((item, tag)))) => self.core.offer(item, tag, self.clock),
                Poll::Ready(end) => {
                    self.source = None;
                    self.source_error = end.and_then(Result::err);
                    self.core.end_input();
                }
            }
            moved = true;
        }
        moved
    }

    /// The first outcome of the next batch, or the end.
    #[inline(never)]
    fn poll_batch(&mut self, task: &mut Task<'_>) -> Poll<Option<<Self as Stream>::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            self.drive(task);
            let admitted = self.core.admitted();
            if let Some(next) = self.core.next() {
                return Poll::Ready(Some(Ok(self.placed(next))));
            }
            if self.core.is_done() {
                self.over = true;
                return Poll::Ready(self.verdict().map(Err));
            }
            if self.core.admitted() < admitted {
                // A batch that had yielded everything was read to its end: its place is free, and nobody else says so.
                continue;
            }
            if self.poll_timer(task).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ready when the time has come that the core waits for.
    fn poll_timer(&mut self, task: &mut Task<'_>) -> Poll<()> {
        let Some(at) = self.core.wake_at(self.clock) else { return Poll::Pending };
        let at = Instant::from_std(at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(task)
    }

    /// Says in which run an item failed.
    #[cold]
    fn place(&self, failure: &mut Failure) {
        failure.context = Some(self.shared.get_or_init(|| Arc::new(self.context.clone())).clone());
    }

    fn placed(&self, mut next: (Ended<I, O>, K)) -> (Ended<I, O>, K) {
        match &mut next.0 {
            Ended::Done(_) => {}
            Ended::Failed(failure) => self.place(failure),
            Ended::Routed(routed) => self.place(&mut routed.failure),
        }
        next
    }

    fn verdict(&self) -> Option<RunError> {
        let ledger = self.core.ledger();
        if !ledger.balanced() {
            return Some(RunError::Imbalance(ledger));
        }
        if let Some(failure) = self.core.halted() {
            let mut failure = failure.clone();
            self.place(&mut failure);
            return Some(RunError::Halted(Box::new(failure)));
        }
        self.source_error.clone().map(RunError::Source)
    }
}

// Nothing is pinned in place: the source is boxed.
impl<S, I, O, K> Unpin for Driver<S, I, O, K> {}

impl<S, I, O, K> Stream for Driver<S, I, O, K>
where
    S: Stream<Item = Result<(Item<I>, K), String>>,
    O: Send + 'static,
{
    type Item = Result<(Ended<I, O>, K), RunError>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        if let Some((item, tag)) = self.core.next_done() {
            return Poll::Ready(Some(Ok((Ended::Done(item), tag))));
        }
        // Source and executor are looked at once a batch, not once an item.
        match self.core.next_in_batch() {
            Some(next) => Poll::Ready(Some(Ok(self.placed(next)))),
            None => self.poll_batch(task),
        }
    }
}

/// A batch at the executor, with the permit it holds.
struct InFlight<O> {
    permit: Permit,
    reply: BoxFuture<'static, Reply<O>>,
}

impl<O> Future for InFlight<O> {
    type Output = (Permit, Reply<O>);

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let reply = match catch_unwind(AssertUnwindSafe(|| self.reply.as_mut().poll(task))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(reply)) => reply,
            Err(panic) => Err(ItemError::panicked(&*panic)),
        };
        Poll::Ready((self.permit, reply))
    }
}
