//! A Rust stage that takes items in batches, on tokio's threads for blocking work; in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::time::{Instant, sleep_until};

use super::outlet::{Entry, Inlet, Outlet};
use super::stage::{Flow, Stage};
use super::ticket::Ticket;
use crate::context::Context;
use crate::error::{ErrorKind, ItemError};
use crate::item::Item;

/// One result for each payload, in their order.
pub(super) type BatchFunction<I, O> =
    Arc<dyn Fn(Vec<I>, &Context) -> Vec<Result<O, ItemError>> + Send + Sync>;

/// How items are gathered, and how many batches run at a time.
pub(super) struct Gather {
    pub(super) size: usize,
    pub(super) max_wait: Option<Duration>,
    pub(super) concurrency: usize,
}

/// A batch that waits or runs: its items without their payloads, and their tickets.
type Heads = Vec<(Item<()>, Ticket)>;

pub(super) async fn run<I, O>(
    mut stage: Stage,
    function: BatchFunction<I, O>,
    gather: Gather,
    mut inlet: Inlet<I>,
    outlet: Outlet<O>,
) where
    I: Send + 'static,
    O: Send + 'static,
{
    let Gather { size, max_wait, concurrency } = gather;
    let mut running = FuturesOrdered::new();
    let mut gathered: Vec<Entry<I>> = Vec::new();
    // When the batch is closed though it is not full.
    let mut due: Option<Instant> = None;
    let mut open = true;
    while open || !gathered.is_empty() || !running.is_empty() {
        let overdue = due.is_some_and(|due| due <= Instant::now());
        let closed = gathered.len() == size || (!gathered.is_empty() && (!open || overdue));
        if closed && running.len() < concurrency {
            due = None;
            running.push_back(start(&stage, &function, std::mem::take(&mut gathered)));
            continue;
        }
        let room = size - gathered.len();
        tokio::select! {
            biased;
            Some((heads, reply)) = running.next(), if !running.is_empty() => {
                // It fails only when the runtime shuts down: dropping the tickets counts the items.
                let Ok(reply) = reply else { return };
                if let Flow::Break(()) = hand_on(&mut stage, &outlet, heads, reply).await {
                    return;
                }
            }
            count = inlet.recv_many(&mut gathered, room), if open && room > 0 => {
                open = count > 0;
                stage.took(count);
                due = due.or_else(|| Some(Instant::now() + max_wait?));
            }
            () = wait(due), if !overdue => {}
        }
    }
}

/// Until then, or for ever. Without a time it touches no timer, and so needs none.
async fn wait(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

type Reply<O> = Result<Vec<Result<O, ItemError>>, ItemError>;

/// Sends a batch to a thread. The tickets stay here, so that aborting the stage settles them at once, even
/// while the thread runs on.
fn start<I, O>(
    stage: &Stage,
    function: &BatchFunction<I, O>,
    batch: Vec<Entry<I>>,
) -> impl Future<Output = (Heads, Result<Reply<O>, tokio::task::JoinError>)> + use<I, O>
where
    I: Send + 'static,
    O: Send + 'static,
{
    let apart = |Entry { item, ticket, .. }: Entry<I>| {
        let Item { id, payload, metadata } = item;
        (payload, (Item { id, payload: (), metadata }, ticket))
    };
    let (payloads, heads): (Vec<I>, Heads) = batch.into_iter().map(apart).unzip();
    let (function, context) = (function.clone(), stage.context.clone());
    let work = tokio::task::spawn_blocking(move || {
        let items = payloads.len();
        let call = || function(payloads, &context);
        let results = catch_unwind(AssertUnwindSafe(call)).map_err(|panic| ItemError::panicked(&*panic))?;
        match results.len() {
            got if got == items => Ok(results),
            got => {
                let message = format!("expected {items} results, got {got}");
                Err(ItemError::new(ErrorKind::Contract, message))
            }
        }
    });
    async move { (heads, work.await) }
}

/// Hands on the results. A batch that failed as a whole is told as a whole before the policy applies.
async fn hand_on<O>(stage: &mut Stage, outlet: &Outlet<O>, heads: Heads, reply: Reply<O>) -> Flow {
    let results = match reply {
        Ok(results) => results,
        Err(error) => return stage.fail_batch(heads, &error).await,
    };
    for ((item, ticket), result) in heads.into_iter().zip(results) {
        match result {
            Ok(payload) => stage.send(outlet, item.with_payload(payload), ticket).await?,
            Err(error) => stage.fail(item, error, ticket).await?,
        }
    }
    Flow::Continue(())
}
