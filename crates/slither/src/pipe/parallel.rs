//! A Rust stage that runs several items at a time, on tokio's threads for blocking work, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::outlet::{Entry, Inlet, Outlet};
use super::stage::{Flow, Stage};
use super::step::{Function, Step, apply, deliver};
use super::ticket::Ticket;
use crate::item::Item;

/// A chunk goes to a thread as one piece, and is sized by what it costs: a hand-over takes some 10 µs, and a
/// long chunk would hold items that another thread could run.
const ENOUGH: Duration = Duration::from_micros(200);
const TOO_LONG: Duration = Duration::from_millis(1);
const LARGEST: usize = 64;

pub(super) async fn run<I, O>(
    mut stage: Stage,
    function: Function<I, O>,
    concurrency: usize,
    mut inlet: Inlet<I>,
    outlet: Outlet<O>,
) where
    I: Send + 'static,
    O: Send + 'static,
{
    let mut running = FuturesOrdered::new();
    let mut size = 1;
    let mut open = true;
    let mut chunk = Vec::new();
    while open || !running.is_empty() {
        tokio::select! {
            biased;
            Some((tickets, finished)) = running.next(), if !running.is_empty() => {
                // It fails only when the runtime shuts down: dropping the tickets counts the items.
                let Ok((items, took)) = finished else { return };
                size = resize(size, took);
                if let Flow::Break(()) = hand_on(&mut stage, &outlet, items, tickets).await {
                    return;
                }
            }
            count = inlet.recv_many(&mut chunk, size), if open && running.len() < concurrency => {
                open = count > 0;
                if open {
                    stage.took(count);
                    running.push_back(start(&stage, &function, chunk.drain(..)));
                }
            }
        }
    }
}

/// Sends a chunk to a thread. The tickets stay here, so that aborting the stage settles them at once, even
/// while the thread runs on.
fn start<I, O>(
    stage: &Stage,
    function: &Function<I, O>,
    chunk: std::vec::Drain<'_, Entry<I>>,
) -> impl Future<Output = (Vec<Ticket>, Result<Chunk<O>, tokio::task::JoinError>)> + use<I, O>
where
    I: Send + 'static,
    O: Send + 'static,
{
    let (items, tickets): (Vec<Item<I>>, Vec<Ticket>) =
        chunk.map(|Entry { item, ticket, .. }| (item, ticket)).unzip();
    let (function, context) = (function.clone(), stage.context.clone());
    // Held by the stage; when the run is cancelled it is gone, and the thread leaves the rest of its chunk.
    let wanted = Arc::new(());
    let still_wanted = Arc::downgrade(&wanted);
    let work = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let run = |Item { id, payload, metadata }| Item {
            id,
            payload: apply(&function, payload, &context),
            metadata,
        };
        let items = items.into_iter().take_while(|_| still_wanted.strong_count() > 0).map(run).collect();
        (items, began.elapsed())
    });
    async move {
        let _wanted = wanted;
        (tickets, work.await)
    }
}

type Chunk<O> = (Vec<Item<Step<O>>>, Duration);

fn resize(size: usize, took: Duration) -> usize {
    if took < ENOUGH {
        (size * 2).min(LARGEST)
    } else if took > TOO_LONG {
        (size / 2).max(1)
    } else {
        size
    }
}

async fn hand_on<O>(
    stage: &mut Stage,
    outlet: &Outlet<O>,
    items: Vec<Item<Step<O>>>,
    tickets: Vec<Ticket>,
) -> Flow {
    for (item, ticket) in items.into_iter().zip(tickets) {
        deliver(stage, outlet, item, ticket).await?;
    }
    Flow::Continue(())
}
