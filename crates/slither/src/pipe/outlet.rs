//! The last task of a pipe: chooses each item's output and hands it to the reader.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::router::Router;
use super::stage::{Entry, Flow, Inlet, Stage};
use super::ticket::Ticket;
use crate::item::Item;

/// An item at the number of its output.
pub(super) struct Delivery<T> {
    pub(super) output: usize,
    pub(super) item: Item<T>,
    pub(super) ticket: Ticket,
}

/// Where a stage's failed items leave the pipe.
pub(super) struct Exit<T> {
    pub(super) output: usize,
    pub(super) reader: mpsc::Sender<Delivery<T>>,
}

/// Where the outputs of a router's rules, and `default`, stand in the plan's list.
pub(super) struct Routes<T> {
    pub(super) router: Router<T>,
    pub(super) outputs: Vec<usize>,
    pub(super) default: usize,
}

/// Routes until the input ends.
pub(super) async fn route<T>(
    mut stage: Stage,
    routes: Arc<Routes<T>>,
    mut inlet: Inlet<T>,
    reader: mpsc::Sender<Delivery<T>>,
) {
    while let Some(Entry { item, ticket }) = inlet.recv().await {
        stage.took(1);
        let output = match routes.router.choose(&item.payload) {
            Ok(rule) => rule.map_or(routes.default, |rule| routes.outputs[rule]),
            Err(error) => match stage.fail(item, error, ticket).await {
                Flow::Continue(()) => continue,
                Flow::Break(()) => return,
            },
        };
        if reader.send(Delivery { output, item, ticket }).await.is_err() {
            return;
        }
        stage.gave();
    }
}

/// Hands everything to `default`: the end of a pipe without a router.
pub(super) async fn pass<T>(default: usize, mut inlet: Inlet<T>, reader: mpsc::Sender<Delivery<T>>) {
    while let Some(Entry { item, ticket }) = inlet.recv().await {
        if reader.send(Delivery { output: default, item, ticket }).await.is_err() {
            return;
        }
    }
}
