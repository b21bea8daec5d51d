//! A Rust stage that takes items one by one: in its own task while its function is short, on tokio's threads
//! for blocking work otherwise; in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use super::outlet::{Entry, Inlet};
use super::pace::Pace;
use super::stage::{Flow, Stage};
use super::step::{Delivery, Function, Step, apply};
use super::ticket::Ticket;
use crate::item::Item;

/// After this long in user code the task lets others run. Channels also yield by themselves, every 128 items.
const SLICE: Duration = Duration::from_micros(100);

pub(super) async fn run<I, O, R>(
    mut stage: Stage,
    function: Function<I, O, R>,
    concurrency: usize,
    mut inlet: Inlet<I>,
    mut delivery: Delivery<O, R>,
) where
    I: Send + 'static,
    O: Send + 'static,
    R: Send + 'static,
{
    let mut pace = Pace::new(concurrency);
    let mut busy = Duration::ZERO;
    let mut running = FuturesOrdered::new();
    let mut open = true;
    let mut chunk = Vec::new();
    while open || !running.is_empty() {
        if pace.is_here() && running.is_empty() {
            let Some(Entry { item, ticket, .. }) = inlet.recv().await else { return };
            stage.took(1);
            let began = Instant::now();
            let item = call(&function, item, &stage);
            let took = began.elapsed();
            pace.ran_here(took);
            if let Flow::Break(()) = delivery.deliver(&mut stage, item, ticket).await {
                return;
            }
            busy += took;
            if busy >= SLICE {
                busy = Duration::ZERO;
                tokio::task::yield_now().await;
            }
            continue;
        }
        tokio::select! {
            biased;
            Some(done) = running.next(), if !running.is_empty() => {
                let (tickets, finished): (Vec<Ticket>, _) = done;
                // It fails only when the runtime shuts down: dropping the tickets counts the items.
                let Ok(Chunk { items, took }) = finished else { return };
                pace.came_back(tickets.len(), took);
                for (item, ticket) in items.into_iter().zip(tickets) {
                    if let Flow::Break(()) = delivery.deliver(&mut stage, item, ticket).await {
                        return;
                    }
                }
            }
            count = inlet.recv_many(&mut chunk, pace.chunk()), if open && running.len() < concurrency => {
                open = count > 0;
                if open {
                    stage.took(count);
                    running.push_back(start(&stage, &function, chunk.drain(..)));
                }
            }
        }
    }
}

fn call<I, O, R>(function: &Function<I, O, R>, item: Item<I>, stage: &Stage) -> Item<Step<O, R>> {
    let Item { id, payload, metadata } = item;
    Item { id, payload: apply(function, payload, &stage.context), metadata }
}

/// Items that a thread has run.
struct Chunk<O, R> {
    items: Vec<Item<Step<O, R>>>,
    took: Duration,
}

/// Sends a chunk to a thread. The tickets stay here, so that aborting the stage settles them at once, even
/// while the thread runs on.
fn start<I, O, R>(
    stage: &Stage,
    function: &Function<I, O, R>,
    chunk: std::vec::Drain<'_, Entry<I>>,
) -> impl Future<Output = (Vec<Ticket>, Result<Chunk<O, R>, tokio::task::JoinError>)> + use<I, O, R>
where
    I: Send + 'static,
    O: Send + 'static,
    R: Send + 'static,
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
        Chunk { items, took: began.elapsed() }
    });
    async move {
        let _wanted = wanted;
        (tickets, work.await)
    }
}
