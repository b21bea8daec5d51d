//! The bounds and policies of a dispatch: [`Limits`].

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::batching::{Batching, FixedBatch, at_least_one};
use super::on_error::OnError;
use super::rate::Rate;
use crate::error::ConfigError;
use crate::item::{Keep, Payload};

/// In which order results come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In the order of the input, failures included. A slow batch holds back those behind it, at most
    /// [`window`](Limits::window) of them.
    #[default]
    Preserve,
    /// As batches come back.
    AsCompleted,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preserve => "preserve",
            Self::AsCompleted => "as completed",
        })
    }
}

/// How many batches may be at the executor at a time. Made from a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxInFlight {
    /// So many.
    Batches(usize),
    /// Twice the executor's [`slots`](super::Executor::slots), as they are at the time. When they become fewer,
    /// what is in flight beyond them is not withdrawn; no batch starts until it has come back.
    Auto,
}

impl From<usize> for MaxInFlight {
    fn from(batches: usize) -> Self {
        Self::Batches(batches)
    }
}

impl Default for MaxInFlight {
    fn default() -> Self {
        Self::Batches(DEFAULT_MAX_IN_FLIGHT)
    }
}

impl fmt::Display for MaxInFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batches(batches) => fmt::Display::fmt(batches, f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// Bounds and policies of a dispatch. What is not set takes its default: in a pipe the pipe's, else those
/// given with each method.
pub struct Limits<I> {
    pub(crate) batching: Option<Batching<I>>,
    pub(crate) max_in_flight: Option<MaxInFlight>,
    pub(crate) window: Option<usize>,
    pub(crate) order: Option<Order>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) rate: Option<Rate>,
    pub(crate) keep: Option<Keep<I>>,
}

impl<I: Serialize> Limits<I> {
    /// Keeps the payloads of items that fail, encoded, in [`Failure::payload`](crate::Failure::payload); not kept by default.
    ///
    /// It costs nothing until an item fails. What is kept is as large as the payloads of the failures that are not
    /// read yet, or that are gathered.
    #[must_use]
    pub fn keep_payloads(mut self) -> Self {
        self.keep = Some(Payload::of::<I>);
        self
    }
}

impl<I> Limits<I> {
    /// Nothing set.
    pub fn new() -> Self {
        Self {
            batching: None,
            max_in_flight: None,
            window: None,
            order: None,
            on_error: None,
            rate: None,
            keep: None,
        }
    }

    /// Batches of `items` items, 64 by default; short for [`FixedBatch`].
    #[must_use]
    pub fn batch_size(self, items: usize) -> Self {
        self.batching(FixedBatch(items))
    }

    /// How items are gathered into batches; by default `FixedBatch(64)`.
    #[must_use]
    pub fn batching(mut self, batching: impl Into<Batching<I>>) -> Self {
        self.batching = Some(batching.into());
        self
    }

    /// Batches at the executor at a time, 8 by default. When reached, no batch is started until one comes
    /// back.
    ///
    /// Twice the workers keeps each of them busy while the next batch is on its way; more only adds memory.
    /// [`MaxInFlight::Auto`] is that, and follows the workers.
    #[must_use]
    pub fn max_in_flight(mut self, batches: impl Into<MaxInFlight>) -> Self {
        self.max_in_flight = Some(batches.into());
        self
    }

    /// Batches started and not yet taken by the reader, by default 4 × `max_in_flight`. When reached, no
    /// input is pulled until the reader takes the oldest.
    ///
    /// It is what bounds memory when one batch is slow, or the reader is. A window below `max_in_flight`
    /// bounds the batches in flight too. Under [`KeyPartition`](super::KeyPartition) it counts items, `window` ×
    /// batch size of them.
    #[must_use]
    pub fn window(mut self, batches: usize) -> Self {
        self.window = Some(batches);
        self
    }

    /// The order of the results; by default that of the input.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// What happens when a batch fails; by default the run halts.
    #[must_use]
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = Some(policy);
        self
    }

    /// Starts at most so many items in each `per` on average, and so many at once; not limited by default.
    ///
    /// Every time that an item is started counts, also when it is run again. A batch that is larger than `items`
    /// starts when nothing was started for the whole interval, and those behind it wait until it is paid for.
    #[must_use]
    pub fn rate_limit(mut self, items: u64, per: Duration) -> Self {
        self.rate = Some(Rate::new(items, per));
        self
    }

    /// Checks the bounds and the policy.
    ///
    /// # Errors
    /// If a bound is zero, or the policy makes no sense.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if let Some(batching) = &self.batching {
            batching.validate()?;
        }
        if let Some(MaxInFlight::Batches(batches)) = self.max_in_flight {
            at_least_one("max_in_flight", batches as u64)?;
        }
        if let Some(rate) = &self.rate {
            rate.validate()?;
        }
        at_least_one("window", self.window.unwrap_or(1) as u64)?;
        self.on_error.as_ref().map_or(Ok(()), OnError::validate)
    }

    /// [`validate`](Self::validate), for a dispatch that has no pipe around it.
    pub(super) fn validate_alone(&self) -> Result<(), ConfigError> {
        self.validate()?;
        match self.on_error.as_ref().and_then(OnError::output) {
            None => Ok(()),
            Some(output) => Err(ConfigError::new(format!("there is no output `{output}` to route to"))
                .hint("only a pipe has outputs; in a dispatch failed items are in `failures`")),
        }
    }

    /// The limits with every default filled in.
    pub(crate) fn resolve(&self) -> Bounds<I> {
        Bounds {
            batching: self.batching.clone().unwrap_or(FixedBatch(DEFAULT_BATCH_SIZE).into()),
            max_in_flight: self.max_in_flight.unwrap_or_default(),
            window: self.window,
            rate: self.rate,
            order: self.order.unwrap_or_default(),
            on_error: self.on_error.clone().unwrap_or_default(),
            stateful: false,
            keep: self.keep,
        }
    }
}

pub(crate) const DEFAULT_BATCH_SIZE: usize = 64;
pub(crate) const DEFAULT_MAX_IN_FLIGHT: usize = 8;

/// [`Limits`] with nothing left open.
#[derive(Debug, Clone)]
pub(crate) struct Bounds<I> {
    pub(crate) batching: Batching<I>,
    pub(crate) max_in_flight: MaxInFlight,
    /// None for 4 × `max_in_flight`.
    pub(crate) window: Option<usize>,
    pub(crate) rate: Option<Rate>,
    pub(crate) order: Order,
    pub(crate) on_error: OnError,
    /// As the executor says; see [`Executor::is_stateful`](super::Executor::is_stateful).
    pub(crate) stateful: bool,
    pub(crate) keep: Option<Keep<I>>,
}

impl<I> Default for Limits<I> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I> Clone for Limits<I> {
    fn clone(&self) -> Self {
        Self {
            batching: self.batching.clone(),
            max_in_flight: self.max_in_flight,
            window: self.window,
            order: self.order,
            on_error: self.on_error.clone(),
            rate: self.rate,
            keep: self.keep,
        }
    }
}

impl<I> fmt::Debug for Limits<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("batching", &self.batching)
            .field("max_in_flight", &self.max_in_flight)
            .field("window", &self.window)
            .field("order", &self.order)
            .field("on_error", &self.on_error)
            .field("rate", &self.rate)
            .field("keep_payloads", &self.keep.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{KeyPartition, WeightedBatch};

    #[test]
    fn a_zero_bound_is_named() {
        let message = |limits: Limits<u8>| limits.validate().unwrap_err().to_string();
        assert_eq!(message(Limits::new().batch_size(0)), "`batch_size` must be at least 1, got 0");
        assert_eq!(message(Limits::new().max_in_flight(0)), "`max_in_flight` must be at least 1, got 0");
        assert_eq!(message(Limits::new().window(0)), "`window` must be at least 1, got 0");
        assert_eq!(
            message(Limits::new().rate_limit(0, Duration::MAX)),
            "`rate_limit` must be at least 1, got 0"
        );
        let keyless = Limits::new().batching(KeyPartition::new(|n: &u8| *n).max_open_keys(0));
        assert_eq!(message(keyless), "`max_open_keys` must be at least 1, got 0");
        let weightless = Limits::new().batching(WeightedBatch::new(0, |_| 1));
        assert_eq!(message(weightless), "`max_weight` must be at least 1, got 0");
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let bounds = Limits::<u8>::new().resolve();
        assert_eq!(bounds.max_in_flight, MaxInFlight::Batches(8));
        assert_eq!((bounds.batching.max_items(), bounds.window), (64, None));
        assert_eq!((bounds.order, bounds.on_error), (Order::Preserve, OnError::Halt));
    }
}
