//! A stage that sends batches to an executor: a dispatch whose input is the stage's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;

use super::outlet::{Entry, Inlet, Outlet};
use super::stage::{Flow, Stage};
use super::ticket::Ticket;
use crate::dispatch::{Bounds, Driver, Ended, Executor, Routed};
use crate::error::ItemError;
use crate::item::Item;
use crate::value::Value;

pub(super) async fn run<I, O>(
    mut stage: Stage,
    executor: Arc<dyn Executor<I, O>>,
    mut bounds: Bounds<I>,
    mut inlet: Inlet<I>,
    outlet: Outlet<O>,
    exit: Option<Outlet<I>>,
) where
    O: Send + 'static,
{
    if stage.run.letters.is_none() {
        bounds.keep = None;
    }
    let (run, index) = (stage.run.clone(), stage.index);
    let source = poll_fn(move |task| {
        let entry = std::task::ready!(inlet.poll_recv(task));
        if entry.is_some() {
            run.stages[index].items_in.fetch_add(1, Relaxed);
        }
        Poll::Ready(entry.map(|Entry { item, ticket, .. }| Ok((item, ticket))))
    });
    let mut driver =
        Driver::new(executor, source, bounds, stage.context.clone(), stage.run.batch_ids.clone());
    let mut halted = std::pin::pin!(stage.run.halted());
    let mut withdrawn = false;
    loop {
        let next = tokio::select! {
            biased;
            next = driver.next() => next,
            () = &mut halted, if !withdrawn => {
                // A stage further up halted the run.
                withdrawn = true;
                driver.cancel_unfinished();
                continue;
            }
        };
        let flow = match next {
            None => return,
            Some(Ok((Ended::Done(item), ticket))) => stage.send(&outlet, item, ticket).await,
            Some(Ok((Ended::Failed(failure), ticket))) => stage.report(*failure, ticket).await,
            Some(Ok((Ended::Routed(routed), ticket))) => match &exit {
                Some(exit) => route(&stage, exit, *routed, ticket).await,
                None => stage.report(routed.failure, ticket).await,
            },
            Some(Err(cause)) => stage.halt(cause),
        };
        if let Flow::Break(()) = flow {
            return;
        }
    }
}

/// Hands a failed item to the reader as it entered the stage, with its error in its metadata.
async fn route<I>(stage: &Stage, exit: &Outlet<I>, routed: Routed<I>, ticket: Ticket) -> Flow {
    let Routed { payload, failure } = routed;
    stage.failed();
    let mut item = Item { id: failure.item, payload, metadata: failure.metadata };
    item.metadata.insert("error", describe(&failure.error, failure.stage.as_deref()));
    exit.send(item, ticket).await
}

fn describe(error: &ItemError, stage: Option<&str>) -> Value {
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    Value::from([
        ("kind", Value::from(error.kind().as_str())),
        ("message", Value::from(error.message())),
        ("stage", text(stage)),
        ("traceback", text(error.traceback())),
        ("exception", Value::List(error.exception().iter().map(|class| class.as_str().into()).collect())),
        ("worker", text(error.worker().map(|report| report.worker.as_str()))),
    ])
}
