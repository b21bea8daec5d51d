//! The finished batches that wait to be read, in the order in which they may be.

use std::collections::VecDeque;

use super::limits::Order;

/// Holds what finished until its turn comes. A batch comes whole, or in runs of which the last closes it. Its
/// length is bounded by the window of the dispatch.
pub(super) struct Reorder<T> {
    order: Order,
    /// The number of the first place; only `Preserve` counts.
    base: u64,
    places: VecDeque<Place<T>>,
    /// Set when what is missing will never come.
    skip_gaps: bool,
}

/// What has come of a batch and waits.
struct Place<T> {
    first: Option<T>,
    /// What came behind the first, of a batch that comes in runs.
    more: VecDeque<T>,
    /// Nothing more comes.
    closed: bool,
}

impl<T> Place<T> {
    fn new() -> Self {
        Self { first: None, more: VecDeque::new(), closed: false }
    }

    fn push(&mut self, thing: T, last: bool) {
        match self.first {
            None => self.first = Some(thing),
            Some(_) => self.more.push_back(thing),
        }
        self.closed |= last;
    }

    fn pop(&mut self) -> Option<T> {
        let thing = self.first.take()?;
        self.first = self.more.pop_front();
        Some(thing)
    }
}

impl<T> Reorder<T> {
    pub(super) fn new(order: Order) -> Self {
        Self { order, base: 0, places: VecDeque::new(), skip_gaps: false }
    }

    /// Adds what came of the batch that was admitted as number `sequence`; `last` if nothing more of it comes.
    pub(super) fn insert(&mut self, sequence: u64, thing: T, last: bool) {
        if self.order == Order::AsCompleted {
            self.places.push_back(Place { first: Some(thing), more: VecDeque::new(), closed: last });
            return;
        }
        let place = (sequence - self.base) as usize;
        while self.places.len() <= place {
            self.places.push_back(Place::new());
        }
        self.places[place].push(thing, last);
    }

    /// Whether the next in order is there.
    pub(super) fn is_ready(&self) -> bool {
        self.places.front().is_some_and(|place| place.first.is_some())
    }

    /// The next in order, if it is there, and whether it is the last of its batch.
    pub(super) fn pop(&mut self) -> Option<(T, bool)> {
        while self.skip_gaps && self.places.front().is_some_and(|place| place.first.is_none()) {
            self.places.pop_front();
        }
        let front = self.places.front_mut()?;
        let thing = front.pop()?;
        let last = front.closed && front.first.is_none();
        // As they complete, each run has a place of its own.
        if last || self.order == Order::AsCompleted {
            self.places.pop_front();
            self.base += 1;
        }
        Some((thing, last))
    }

    /// What is missing will never come: later calls of `pop` leave it out.
    pub(super) fn skip_gaps(&mut self) {
        self.skip_gaps = true;
    }

    /// Gives up everything.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.places)
            .into_iter()
            .flat_map(|place| place.first.into_iter().chain(place.more))
    }
}
