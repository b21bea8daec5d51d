//! Batches of typed payloads through a pool: [`PoolExecutor`], the pool's side of [`Executor`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::remote_error;
use super::job::Reply;
use super::refs;
use super::running::{RunningPool, Via};
use crate::context::Context;
use crate::dispatch::{self, Batch, Executor};
use crate::error::ItemError;
use crate::wire::{self, Kind};

/// Items that cannot be sent, by their places in the batch, ascending.
type Refused = Vec<(usize, ItemError)>;

/// Runs batches with one Python function in one pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolExecutor {
    pub(crate) pool: Arc<RunningPool>,
    /// `module:qualified.name`.
    pub(crate) function: Arc<str>,
    /// How long a batch may run.
    pub(crate) timeout: Duration,
    pub(crate) via: Via,
}

impl<I: Serialize, O: DeserializeOwned> Executor<I, O> for PoolExecutor {
    fn execute(&self, batch: &Batch<I>, context: &Context) -> BoxFuture<'static, dispatch::Reply<O>> {
        let id = self.pool.next_id();
        let cap = self.pool.max_frame;
        let total = batch.items.len();
        // Python finds its state by the session's id, whatever views the run may ask.
        let inside = self.inside(context);
        let encode = || match wire::batch(id, &self.function, &inside, batch.payloads(), cap) {
            Ok(frame) => (Ok(frame), Vec::new()),
            Err(_) => self.sift(id, batch, &inside),
        };
        let ((frame, refused), homes) = refs::writing(encode);
        let via = match (&self.via, batch.key) {
            (Via::Any, Some(key)) => Via::Key(key),
            (via, _) => via.clone(),
        };
        let via = homes.via(&self.pool, via);
        let (pool, timeout) = (self.pool.clone(), self.timeout);
        let context = Arc::new(context.clone());
        Box::pin(async move {
            let sent = total - refused.len();
            let results = match frame {
                _ if sent == 0 => Vec::new(),
                Ok(frame) => {
                    let reply = pool.submit(id, frame, timeout, context, &via?).await?;
                    open(&reply, sent)?
                }
                Err(error) => return Err(error),
            };
            Ok(merge(results, refused))
        })
    }

    fn name(&self) -> &str {
        &self.pool.name
    }

    fn slots(&self) -> usize {
        match &self.via {
            Via::Session(session) if session.pinned() => 1,
            _ => self.pool.live(),
        }
    }

    fn is_stateful(&self) -> bool {
        matches!(&self.via, Via::Session(session) if session.pinned())
    }
}

impl PoolExecutor {
    fn inside<'a>(&self, context: &'a Context) -> Cow<'a, Context> {
        match &self.via {
            Via::Session(session) if context.session.as_ref() != Some(&session.id) => {
                Cow::Owned(Context { session: Some(session.id.clone()), ..context.clone() })
            }
            _ => Cow::Borrowed(context),
        }
    }

    /// When a batch cannot be encoded: encodes what can be, and names the items that cannot.
    fn sift<I: Serialize>(
        &self,
        id: u64,
        batch: &Batch<I>,
        context: &Context,
    ) -> (Result<Vec<u8>, ItemError>, Refused) {
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

/// Puts the items that were never sent back into their places.
fn merge<O>(results: Vec<Result<O, ItemError>>, refused: Refused) -> Vec<Result<O, ItemError>> {
    if refused.is_empty() {
        return results;
    }
    let mut merged = Vec::with_capacity(results.len() + refused.len());
    let mut results = results.into_iter();
    for (index, error) in refused {
        merged.extend(results.by_ref().take(index - merged.len()));
        merged.push(Err(error));
    }
    merged.extend(results);
    merged
}
