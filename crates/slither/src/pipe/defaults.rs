//! What holds for every stage of a pipe that does not say otherwise.

use crate::dispatch::{DEFAULT_BATCH_SIZE, MaxInFlight, OnError, Order};
use crate::store::Scope;

/// What holds for every stage of a pipe that does not say otherwise.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Defaults {
    /// Items of a batch, 64; also what each channel between stages holds, at most 1024 items.
    pub batch_size: usize,
    /// Batches of a stage at its executor at a time, 8.
    pub max_in_flight: MaxInFlight,
    /// Order of a stage's results, that of its input.
    pub order: Order,
    /// What a failure does, halt.
    pub on_error: OnError,
    /// Which views Python may call from the run: with `Session` all, since the run has a session of its own;
    /// with `Global` its calls belong to no session, and views of scope `session` are refused. `Session`.
    pub view_scope: Scope,
}

impl Defaults {
    /// 64 items a batch, 8 in flight, order preserved, halt at the first failure, views of the run's session.
    pub fn new() -> Self {
        Self {
            batch_size: DEFAULT_BATCH_SIZE,
            max_in_flight: MaxInFlight::default(),
            order: Order::default(),
            on_error: OnError::default(),
            view_scope: Scope::default(),
        }
    }

    /// Sets the items of a batch.
    #[must_use]
    pub fn batch_size(mut self, items: usize) -> Self {
        self.batch_size = items;
        self
    }

    /// Sets the batches in flight of each stage.
    #[must_use]
    pub fn max_in_flight(mut self, batches: impl Into<MaxInFlight>) -> Self {
        self.max_in_flight = batches.into();
        self
    }

    /// Sets the order of results.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets what a failure does.
    #[must_use]
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Sets which views Python may call.
    #[must_use]
    pub fn view_scope(mut self, scope: Scope) -> Self {
        self.view_scope = scope;
        self
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self::new()
    }
}
