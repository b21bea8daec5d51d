//! The functions of Rust stages, brought to one shape, and what is done with what they return.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::children::Children;
use super::discard::Discard;
use super::outlet::Outlet;
use super::stage::{Flow, Stage};
use super::ticket::Ticket;
use crate::context::Context;
use crate::error::ItemError;
use crate::item::Item;

/// What became of one item in a Rust stage.
pub(super) enum Step<T, R = Infallible> {
    One(T),
    Many(Box<dyn Iterator<Item = T> + Send>),
    Left(Discard),
    Failed(ItemError),
    /// It leaves by the output that the stage names.
    Aside(R),
}

pub(super) type Function<I, O, R = Infallible> = Arc<dyn Fn(I, &Context) -> Step<O, R> + Send + Sync>;

/// Calls the function; a panic is the item's failure.
pub(super) fn apply<I, O, R>(function: &Function<I, O, R>, payload: I, context: &Context) -> Step<O, R> {
    let call = || function(payload, context);
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Step::Failed(ItemError::panicked(&*panic)))
}

/// Where what a stage makes of items goes.
pub(super) struct Delivery<T, R = Infallible> {
    next: Outlet<T>,
    aside: Option<Outlet<R>>,
    /// Whether iterators of children have held up the stage before.
    slow_children: bool,
}

impl<T: Send + 'static, R> Delivery<T, R> {
    /// `aside` is there if the stage may send items to an output.
    pub(super) fn new(next: Outlet<T>, aside: Option<Outlet<R>>) -> Self {
        Self { next, aside, slow_children: false }
    }

    /// Hands on what became of an item.
    pub(super) async fn deliver(
        &mut self,
        stage: &mut Stage,
        item: Item<Step<T, R>>,
        ticket: Ticket,
    ) -> Flow {
        let Item { id, payload, metadata } = item;
        let item = Item { id, payload: (), metadata };
        match payload {
            Step::One(payload) => stage.send(&self.next, item.with_payload(payload), ticket).await,
            Step::Many(children) => {
                let mut children = Children::new(children, self.slow_children);
                let flow = self.expand(stage, item, &mut children, ticket).await;
                self.slow_children = children.are_slow();
                flow
            }
            Step::Failed(error) => stage.fail(item, error, ticket).await,
            Step::Left(discard) => {
                ticket.dropped(stage.index, discard);
                Flow::Continue(())
            }
            Step::Aside(payload) => match &self.aside {
                Some(aside) => stage.send(aside, item.with_payload(payload), ticket).await,
                None => unreachable!("a stage without an output has nothing to send there"),
            },
        }
    }

    /// Hands on children as they are made: there may be no end of them. The first takes over the ticket of its
    /// parent, each further one is counted as expanded.
    async fn expand(
        &self,
        stage: &mut Stage,
        parent: Item<()>,
        children: &mut Children<T>,
        ticket: Ticket,
    ) -> Flow {
        let mut first = Some(ticket);
        while !stage.run.is_halted() {
            let Some(child) = children.next().await else { break };
            let ticket = first.take().unwrap_or_else(|| stage.run.expand());
            match child {
                Ok(child) => stage.send(&self.next, parent.clone().with_payload(child), ticket).await?,
                Err(error) => return stage.fail(parent, error, ticket).await,
            }
        }
        match first {
            Some(ticket) if !stage.run.is_halted() => {
                ticket.dropped(stage.index, Discard::because("no children"))
            }
            _ => {}
        }
        Flow::Continue(())
    }
}
