//! The task of a router: each item goes one of several ways.

use std::sync::Arc;

use super::outlet::{Entry, Inlet, Outlet};
use super::router::Rules;
use super::stage::{Flow, Stage};

/// Sends items on until the input ends: by the way of the first rule that matches, or the last way.
///
/// It waits while the way that an item takes is full, so that the items of one way stay in their order and
/// nothing is gathered here. What a way leads to never waits for another way, so this ends.
pub(super) async fn run<T>(
    mut stage: Stage,
    rules: Arc<Rules<T>>,
    mut inlet: Inlet<T>,
    ways: Vec<Outlet<T>>,
) {
    while let Some(Entry { item, ticket, .. }) = inlet.recv().await {
        stage.took(1);
        let flow = match rules.choose(&item.payload) {
            Ok(way) => stage.send(&ways[way], item, ticket).await,
            Err(error) => stage.fail(item, error, ticket).await,
        };
        if let Flow::Break(()) = flow {
            return;
        }
    }
}
