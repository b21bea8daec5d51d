//! A Rust stage that runs one item at a time, in its own task.

use std::time::{Duration, Instant};

use super::outlet::{Entry, Inlet, Outlet};
use super::stage::{Flow, Stage};
use super::step::{Function, apply, deliver};
use crate::item::Item;

/// After this long in user code the task lets others run. Channels also yield by themselves, every 128 items.
const SLICE: Duration = Duration::from_micros(100);

pub(super) async fn run<I, O>(
    mut stage: Stage,
    function: Function<I, O>,
    mut inlet: Inlet<I>,
    outlet: Outlet<O>,
) {
    let mut busy = Duration::ZERO;
    while let Some(Entry { item, ticket, .. }) = inlet.recv().await {
        stage.took(1);
        let began = Instant::now();
        let Item { id, payload, metadata } = item;
        let step = apply(&function, payload, &stage.context);
        busy += began.elapsed();
        let item = Item { id, payload: step, metadata };
        if let Flow::Break(()) = deliver(&mut stage, &outlet, item, ticket).await {
            return;
        }
        if busy >= SLICE {
            busy = Duration::ZERO;
            tokio::task::yield_now().await;
        }
    }
}
