//! Streams: the values that a tool yields, one by one, and no faster than they are taken.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Waking, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::answer::remote_error;
use super::job::{Portions, Reply};
use super::refs;
use super::running::{RunningPool, Via};
use super::station::{Order, Station};
use super::worker::CallId;
use crate::context::Context;
use crate::error::ItemError;
use crate::wire::{self, Kind};

/// So many values are taken before the worker is told, unless it may be waiting to hear of them.
const TELL: usize = wire::AHEAD_VALUES / 4;

/// The values of a streaming tool, as they are made; from [`Adapter::stream`](crate::Adapter::stream).
///
/// A value that cannot travel, or is a `slither.Failed`, is an error in its place, and others may follow. When the call
/// itself fails, its error is the last that comes. It runs when it is polled first.
///
/// At most 32 values, and about 1 MiB beyond one, are on their way: who does not take them holds up the generator, which
/// counts towards the deadline of the call.
///
/// # Cancellation
/// Dropping it withdraws the call if no worker has it yet. Otherwise the generator is closed at its next value that has to
/// wait for room, so that its `finally` runs; a coroutine is cancelled at once.
#[must_use = "a stream does nothing unless it is polled"]
pub struct ToolStream<T> {
    id: CallId,
    answer: Option<BoxFuture<'static, Result<Reply, ItemError>>>,
    /// How the call ended, until all that came before was taken.
    ended: Option<Result<Reply, ItemError>>,
    arriving: mpsc::Receiver<Reply>,
    values: VecDeque<Result<T, ItemError>>,
    room: Arc<AtomicUsize>,
    /// Who yields; none before the first value.
    from: Option<Arc<Station>>,
    /// Values that were taken and that the worker does not know of.
    taken: usize,
    of: PhantomData<fn() -> T>,
}

// Nothing of it is pinned in place: the future is boxed.
impl<T> Unpin for ToolStream<T> {}

impl<T: DeserializeOwned> ToolStream<T> {
    /// What the call in the frame yields.
    pub(crate) fn new(
        pool: Arc<RunningPool>,
        id: CallId,
        frame: Vec<u8>,
        timeout: Duration,
        context: Arc<Context>,
        via: Via,
    ) -> Self {
        let (portions, arriving, room) = Portions::stream();
        let answer = async move {
            let mut frame = frame;
            wire::set_stream(&mut frame);
            pool.submit_batch(id, frame, timeout, context, &via, Some(portions), false).await
        };
        Self { answer: Some(Box::pin(answer)), ..Self::of(id, arriving, room) }
    }

    /// Of a call that could not be made.
    pub(crate) fn failed(error: ItemError) -> Self {
        let (_, arriving, room) = Portions::stream();
        Self { ended: Some(Err(error)), ..Self::of(0, arriving, room) }
    }

    fn of(id: CallId, arriving: mpsc::Receiver<Reply>, room: Arc<AtomicUsize>) -> Self {
        Self {
            id,
            answer: None,
            ended: None,
            arriving,
            values: VecDeque::new(),
            room,
            from: None,
            taken: 0,
            of: PhantomData,
        }
    }

    /// The next value; none when there are no more.
    ///
    /// # Cancellation
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T, ItemError>> {
        std::future::poll_fn(|waking| Pin::new(&mut *self).poll_next(waking)).await
    }

    /// Takes in values that have come.
    fn open(&mut self, portion: &Reply) {
        let results = wire::claimed(&portion.body, portion.flags)
            .and_then(|count| refs::reading(portion, || wire::results(&portion.body, portion.flags, count)));
        match results {
            Ok(results) => self.values.extend(results),
            Err(reason) => {
                self.values.push_back(Err(portion.broken(reason)));
                self.answer = None;
            }
        }
        self.from.get_or_insert_with(|| portion.station().clone());
    }

    /// The next value that is there.
    fn take(&mut self) -> Option<Result<T, ItemError>> {
        let value = self.values.pop_front()?;
        self.taken += 1;
        // One that waits for room in bytes may wait for this very value.
        if self.taken >= TELL || self.values.is_empty() {
            let taken = std::mem::take(&mut self.taken);
            self.room.fetch_add(taken, Ordering::AcqRel);
            if let Some(from) = self.from.as_ref().filter(|_| self.answer.is_some()) {
                from.order(Order::Tell(wire::more(self.id, taken)));
            }
        }
        Some(value)
    }

    /// Takes in how the call ended.
    fn close(&mut self, end: Result<Reply, ItemError>) {
        match end {
            Ok(reply) if reply.kind == Kind::Result => self.open(&reply),
            Ok(reply) if reply.kind == Kind::Error => self.values.push_back(Err(remote_error(&reply))),
            Ok(reply) => {
                let reason = format!("a {:?} frame answered a call", reply.kind);
                self.values.push_back(Err(reply.broken(reason)));
            }
            Err(error) => self.values.push_back(Err(error)),
        }
    }
}

impl<T: DeserializeOwned> Stream for ToolStream<T> {
    type Item = Result<T, ItemError>;

    fn poll_next(self: Pin<&mut Self>, waking: &mut Waking<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(value) = this.take() {
                return Poll::Ready(Some(value));
            }
            if let Some(answer) = &mut this.answer {
                // First, as it makes the call.
                if let Poll::Ready(end) = answer.as_mut().poll(waking) {
                    this.answer = None;
                    this.ended = Some(end);
                }
            }
            // What it yielded came before its answer.
            match this.arriving.poll_recv(waking) {
                Poll::Ready(Some(portion)) => this.open(&portion),
                Poll::Ready(None) | Poll::Pending if this.ended.is_some() => {
                    if let Some(end) = this.ended.take() {
                        this.close(end);
                    }
                }
                Poll::Ready(None) | Poll::Pending if this.answer.is_none() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T> fmt::Debug for ToolStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolStream").field("call", &self.id).finish_non_exhaustive()
    }
}
