//! A stage that sends batches to an executor: a dispatch whose input is the stage's.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::poll_fn;

use super::stage::{Entry, Flow, Inlet, Outlet, Stage};
use crate::dispatch::{Bounds, Driver, Ended, Executor};

pub(super) async fn run<I, O>(
    mut stage: Stage,
    executor: Arc<dyn Executor<I, O>>,
    bounds: Bounds<I>,
    mut inlet: Inlet<I>,
    outlet: Outlet<O>,
) where
    O: Send + 'static,
{
    let (run, index) = (stage.run.clone(), stage.index);
    let source = poll_fn(move |task| {
        let entry = std::task::ready!(inlet.poll_recv(task));
        if entry.is_some() {
            run.stages[index].items_in.fetch_add(1, Relaxed);
        }
        Poll::Ready(entry.map(|Entry { item, ticket }| Ok((item, ticket))))
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
            Some(Ok((Ended::Routed(routed), ticket))) => stage.report(routed.failure, ticket).await,
            Some(Err(cause)) => stage.halt(cause),
        };
        if let Flow::Break(()) = flow {
            return;
        }
    }
}
