//! The functions of Rust stages, brought to one shape.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::discard::Discard;
use super::outlet::Outlet;
use super::stage::{Flow, Stage};
use super::ticket::Ticket;
use crate::context::Context;
use crate::error::ItemError;
use crate::item::Item;

/// What became of one item in a Rust stage.
pub(super) enum Step<T> {
    One(T),
    Many(Box<dyn Iterator<Item = T> + Send>),
    Left(Discard),
    Failed(ItemError),
}

pub(super) type Function<I, O> = Arc<dyn Fn(I, &Context) -> Step<O> + Send + Sync>;

/// Calls the function; a panic is the item's failure.
pub(super) fn apply<I, O>(function: &Function<I, O>, payload: I, context: &Context) -> Step<O> {
    let call = || function(payload, context);
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Step::Failed(ItemError::panicked(&*panic)))
}

/// Hands on what became of an item.
pub(super) async fn deliver<T>(
    stage: &mut Stage,
    outlet: &Outlet<T>,
    item: Item<Step<T>>,
    ticket: Ticket,
) -> Flow {
    let Item { id, payload, metadata } = item;
    let item = Item { id, payload: (), metadata };
    match payload {
        Step::One(payload) => stage.send(outlet, item.with_payload(payload), ticket).await,
        Step::Many(children) => expand(stage, outlet, item, children, ticket).await,
        Step::Failed(error) => stage.fail(item, error, ticket).await,
        Step::Left(discard) => {
            ticket.dropped(stage.index, discard);
            Flow::Continue(())
        }
    }
}

/// Hands on children as the iterator makes them: there may be no end of them. The first takes over the
/// ticket of its parent, each further one is counted as expanded.
async fn expand<T>(
    stage: &mut Stage,
    outlet: &Outlet<T>,
    parent: Item<()>,
    mut children: Box<dyn Iterator<Item = T> + Send>,
    ticket: Ticket,
) -> Flow {
    let mut first = Some(ticket);
    while !stage.run.is_halted() {
        let child = match catch_unwind(AssertUnwindSafe(|| children.next())) {
            Ok(Some(child)) => child,
            Ok(None) => break,
            Err(panic) => {
                let ticket = first.take().unwrap_or_else(|| stage.run.expand());
                return stage.fail(parent, ItemError::panicked(&*panic), ticket).await;
            }
        };
        let ticket = first.take().unwrap_or_else(|| stage.run.expand());
        stage.send(outlet, parent.clone().with_payload(child), ticket).await?;
    }
    match first {
        Some(ticket) if !stage.run.is_halted() => {
            ticket.dropped(stage.index, Discard::because("no children"))
        }
        _ => {}
    }
    Flow::Continue(())
}
