//! The way from one stage to the next, or to the reader: [`Outlet`].

use tokio::sync::mpsc;

use super::stage::Flow;
use super::ticket::Ticket;
use crate::item::Item;

/// An item on its way between stages, or to the reader.
pub(super) struct Entry<T> {
    pub(super) item: Item<T>,
    pub(super) ticket: Ticket,
    /// The number of the output by which it leaves; only the reader looks at it.
    pub(super) output: usize,
}

pub(super) type Inlet<T> = mpsc::Receiver<Entry<T>>;

/// The way to the next stage, or to the reader by one of the outputs. Branches that join share the way to the
/// stage behind them.
pub(super) struct Outlet<T> {
    sender: mpsc::Sender<Entry<T>>,
    output: usize,
}

impl<T> Outlet<T> {
    /// To the next stage, by a channel that holds so many items.
    pub(super) fn channel(capacity: usize) -> (Self, Inlet<T>) {
        let (sender, inlet) = mpsc::channel(capacity);
        (Self { sender, output: 0 }, inlet)
    }

    /// To the reader, by the output of this number.
    pub(super) fn leaving(reader: mpsc::Sender<Entry<T>>, output: usize) -> Self {
        Self { sender: reader, output }
    }

    /// Breaks if nobody takes the item any more.
    pub(super) async fn send(&self, item: Item<T>, ticket: Ticket) -> Flow {
        match self.sender.send(Entry { item, ticket, output: self.output }).await {
            Ok(()) => Flow::Continue(()),
            Err(_) => Flow::Break(()),
        }
    }

    /// Waits for a free place; none if nobody takes items any more.
    pub(super) async fn reserve(&self) -> Option<Place<'_, T>> {
        let permit = self.sender.reserve().await.ok()?;
        Some(Place { permit, output: self.output })
    }
}

impl<T> Clone for Outlet<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), output: self.output }
    }
}

/// A free place behind an [`Outlet`].
pub(super) struct Place<'a, T> {
    permit: mpsc::Permit<'a, Entry<T>>,
    output: usize,
}

impl<T> Place<'_, T> {
    pub(super) fn send(self, item: Item<T>, ticket: Ticket) {
        self.permit.send(Entry { item, ticket, output: self.output });
    }
}
