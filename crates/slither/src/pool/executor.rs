//! Batches of typed payloads through a pool: [`PoolExecutor`], the pool's side of [`Executor`].

use std::borrow::Cow;
use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use futures_core::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::remote_error;
use super::chaos::Planned;
use super::job::{Portions, Reply};
use super::refs;
use super::running::{RunningPool, Via};
use crate::context::Context;
use crate::dispatch::{self, Batch, Executor, Yields};
use crate::error::ItemError;
use crate::wire::{self, Kind};

/// Runs batches with one Python function in one pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolExecutor {
    pub(crate) pool: Arc<RunningPool>,
    /// `module:qualified.name`.
    pub(crate) function: Arc<str>,
    /// How long a batch may run.
    pub(crate) timeout: Duration,
    /// Whether it is a generator, whose results are taken as they come.
    pub(crate) yields: bool,
    pub(crate) via: Via,
}

impl<I: Serialize, O: DeserializeOwned + Send + 'static> Executor<I, O> for PoolExecutor {
    fn execute(&self, batch: &Batch<I>, context: &Context) -> BoxFuture<'static, dispatch::Reply<O>> {
        let id = self.pool.next_id();
        let Sent { frame, items, mut refused, via, planned } = self.encode(id, batch, context);
        let (pool, timeout, suspect) = (self.pool.clone(), self.timeout, batch.suspect);
        let context = Arc::new(context.clone());
        let told = self.told(planned, id, &context);
        let answered = async move {
            let results = match frame {
                _ if items == 0 => Vec::new(),
                Ok(frame) => {
                    let via = via?;
                    let reply = pool.submit_batch(id, frame, timeout, context, &via, None, suspect).await?;
                    open(&reply, items)?
                }
                Err(error) => return Err(error),
            };
            Ok(refused.merge_last(results))
        };
        counted(answered, told)
    }

    fn execute_yielding(
        &self,
        batch: &Batch<I>,
        context: &Context,
        mut yields: Yields<O>,
    ) -> BoxFuture<'static, dispatch::Reply<O>> {
        if !self.yields {
            drop(yields);
            return self.execute(batch, context);
        }
        let id = self.pool.next_id();
        let Sent { frame, mut items, mut refused, via, planned } = self.encode(id, batch, context);
        let (pool, timeout, suspect) = (self.pool.clone(), self.timeout, batch.suspect);
        let context = Arc::new(context.clone());
        let told = self.told(planned, id, &context);
        let answered = async move {
            if items == 0 {
                return Ok(refused.merge_last(Vec::new()));
            }
            let (mut frame, via) = (frame?, via?);
            wire::set_stream(&mut frame);
            let (portions, mut arriving) = Portions::new(items);
            let mut answer =
                std::pin::pin!(pool.submit_batch(id, frame, timeout, context, &via, Some(portions), suspect));
            let mut ended = None;
            loop {
                let portion = match &mut ended {
                    None => tokio::select! {
                        biased;
                        Some(portion) = arriving.recv() => portion,
                        answer = &mut answer => {
                            ended = Some(answer);
                            continue;
                        }
                    },
                    // What it yielded came before its answer.
                    Some(_) => match arriving.try_recv() {
                        Ok(portion) => portion,
                        Err(_) => break,
                    },
                };
                let results = yielded(&portion, items)?;
                items -= results.len();
                yields.leave(refused.merge(results));
            }
            let reply = match ended {
                Some(reply) => reply?,
                None => answer.await?,
            };
            Ok(refused.merge_last(open(&reply, items)?))
        };
        counted(answered, told)
    }

    fn name(&self) -> &str {
        &self.pool.name
    }

    fn slots(&self) -> usize {
        match &self.via {
            Via::Session(session) if session.pinned() => 1,
            _ => self.pool.slots(),
        }
    }

    fn is_stateful(&self) -> bool {
        matches!(&self.via, Via::Session(session) if session.pinned())
    }
}

/// A batch as it is sent.
struct Sent {
    frame: Result<Vec<u8>, ItemError>,
    /// How many items are in the frame.
    items: usize,
    refused: Refused,
    /// Where it has to go.
    via: Result<Via, ItemError>,
    /// The fault in the frame.
    planned: Option<Planned>,
}

/// A call that a fault goes with.
struct Told {
    planned: Planned,
    call: u64,
    context: Arc<Context>,
    pool: Arc<RunningPool>,
}

/// The answer; where a fault goes with the call it is counted when the call has ended.
fn counted<O: Send + 'static>(
    answered: impl Future<Output = dispatch::Reply<O>> + Send + 'static,
    told: Option<Told>,
) -> BoxFuture<'static, dispatch::Reply<O>> {
    let Some(Told { planned, call, context, pool }) = told else { return Box::pin(answered) };
    Box::pin(async move {
        let reply = answered.await;
        if let Some(striker) = &pool.chaos {
            striker.ended(planned, reply.as_ref().err(), call, &pool.name, &context);
        }
        reply
    })
}

impl PoolExecutor {
    fn told(&self, planned: Option<Planned>, call: u64, context: &Arc<Context>) -> Option<Told> {
        planned.map(|planned| Told { planned, call, context: context.clone(), pool: self.pool.clone() })
    }

    fn inside<'a>(&self, context: &'a Context) -> Cow<'a, Context> {
        match &self.via {
            Via::Session(session) if context.session.as_ref() != Some(&session.id) => {
                Cow::Owned(Context { session: Some(session.id.clone()), ..context.clone() })
            }
            _ => Cow::Borrowed(context),
        }
    }

    /// How a batch goes: one with a key to the slot of its key, if nothing else says where.
    fn via_of<I>(&self, batch: &Batch<I>) -> Via {
        match (&self.via, batch.key) {
            (Via::Any, Some(key)) => Via::Key(key),
            (via, _) => via.clone(),
        }
    }

    fn encode<I: Serialize>(&self, id: u64, batch: &Batch<I>, context: &Context) -> Sent {
        let cap = self.pool.max_frame;
        if context.attempt > 1 {
            self.pool.service.retry();
        }
        // Python finds its state by the session's id, whatever views the run may ask.
        let inside = self.inside(context);
        let encode = || match wire::batch(id, &self.function, &inside, batch.payloads(), cap) {
            Ok(frame) => (Ok(frame), Vec::new()),
            Err(_) => self.sift(id, batch, &inside),
        };
        let ((mut frame, refused), homes) = refs::writing(encode);
        let via = homes.via(&self.pool, self.via_of(batch));
        let items = batch.items.len() - refused.len();
        let drawn = self.pool.chaos.as_ref().and_then(|striker| striker.draw(&self.function, batch, context));
        let planned = match (&mut frame, drawn) {
            (Ok(frame), Some(drawn)) => {
                (items > 0 && wire::set_fault(frame, &drawn.fault, cap)).then_some(drawn)
            }
            _ => None,
        };
        let refused = Refused { items: refused.into_iter().peekable(), next: 0 };
        Sent { frame, items, refused, via, planned }
    }

    /// When a batch cannot be encoded: encodes what can be, and names the items that cannot.
    fn sift<I: Serialize>(
        &self,
        id: u64,
        batch: &Batch<I>,
        context: &Context,
    ) -> (Result<Vec<u8>, ItemError>, Vec<Unfit>) {
        let cap = self.pool.max_frame;
        let mut refused = Vec::new();
        let mut good = Vec::new();
        for (index, payload) in batch.payloads().enumerate() {
            match wire::batch(id, &self.function, context, std::iter::once(payload), cap) {
                Ok(_) => good.push(payload),
                Err(error) => refused.push((index, error)),
            }
        }
        (wire::batch(id, &self.function, context, good.into_iter(), cap), refused)
    }
}

fn open<O: DeserializeOwned>(reply: &Reply, sent: usize) -> dispatch::Reply<O> {
    match reply.kind {
        Kind::Error => Err(remote_error(reply)),
        Kind::Result => refs::reading(reply, || wire::results(&reply.body, reply.flags, sent))
            .map_err(|reason| reply.broken(reason)),
        other => Err(reply.broken(format_args!("a {other:?} frame answered a batch"))),
    }
}

/// The results that a running call has yielded, of which `open` are missing.
fn yielded<O: DeserializeOwned>(portion: &Reply, open: usize) -> dispatch::Reply<O> {
    let count = wire::claimed(&portion.body, portion.flags).map_err(|reason| portion.broken(reason))?;
    wire::results(&portion.body, portion.flags, count.min(open)).map_err(|reason| portion.broken(reason))
}

/// An item that cannot be sent, by its place in the batch.
type Unfit = (usize, ItemError);

/// Items that were never sent, to be put back into their places among the results.
struct Refused {
    /// By their places in the batch, ascending.
    items: Peekable<vec::IntoIter<Unfit>>,
    /// The place of what is merged next.
    next: usize,
}

impl Refused {
    /// Puts those back that stand before any of the results.
    fn merge<O>(&mut self, results: Vec<Result<O, ItemError>>) -> Vec<Result<O, ItemError>> {
        if self.items.len() == 0 {
            return results;
        }
        let mut merged = Vec::with_capacity(results.len() + self.items.len());
        for result in results {
            self.put_back(&mut merged);
            merged.push(result);
            self.next += 1;
        }
        merged
    }

    /// Puts all that are left back.
    fn merge_last<O>(&mut self, results: Vec<Result<O, ItemError>>) -> Vec<Result<O, ItemError>> {
        let mut merged = self.merge(results);
        self.put_back(&mut merged);
        merged
    }

    fn put_back<O>(&mut self, merged: &mut Vec<Result<O, ItemError>>) {
        while let Some((_, error)) = self.items.next_if(|(index, _)| *index == self.next) {
            merged.push(Err(error));
            self.next += 1;
        }
    }
}
