//! How items are gathered into batches: [`FixedBatch`], [`AutoBatch`], [`WeightedBatch`], and what holds for all of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::keys::KeyPartition;
use super::limits::DEFAULT_BATCH_SIZE;
use crate::error::ConfigError;

/// Batches of this many items; the last of the input may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedBatch(pub usize);

impl FixedBatch {
    /// A batch whose first item has waited this long is closed, as soon as it can be started.
    #[must_use]
    pub fn max_wait<I>(self, wait: Duration) -> Batching<I> {
        Batching { strategy: Strategy::Fixed(self), max_wait: Some(wait) }
    }
}

/// Batches that are small enough for a short input to keep every slot of the executor busy: what is left of the input,
/// shared among twice its [`slots`](super::Executor::slots), as they are at the time.
///
/// When the slots change in the middle of a run, what is left then is shared anew. A batch never holds more than
/// [`max_items`](Self::max_items), 64 by default, and as many if the source does not say how much is left
/// ([`size_hint`](futures_core::Stream::size_hint)): a channel does not, nor what comes to the stage of a
/// pipe.
///
/// Not for functions that work best on batches of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoBatch {
    max_items: usize,
    max_wait: Option<Duration>,
}

impl AutoBatch {
    /// At most 64 items a batch.
    pub fn new() -> Self {
        Self { max_items: DEFAULT_BATCH_SIZE, max_wait: None }
    }

    /// Bounds the items of a batch, however much is left; 64 by default.
    #[must_use]
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// A batch whose first item has waited this long is closed, as soon as it can be started.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }

    /// The items of a batch, of so many that are left, for so many slots.
    pub(super) fn share(self, left: usize, slots: usize) -> usize {
        left.div_ceil(slots.max(1).saturating_mul(2)).min(self.max_items).max(1)
    }
}

impl Default for AutoBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Batches whose weights add up to at most a maximum: for items of very different cost.
///
/// Items keep their order. An item heavier than the maximum travels alone. So that weightless items cannot
/// gather for ever, a batch also closes at [`max_items`](Self::max_items), 4096 unless set.
pub struct WeightedBatch<I> {
    max_weight: u64,
    max_items: usize,
    max_wait: Option<Duration>,
    weight: Arc<dyn Fn(&I) -> u64 + Send + Sync>,
}

impl<I> WeightedBatch<I> {
    /// Batches of at most `max_weight`, in the unit of `weight`: bytes, pixels, tokens. A `weight` that
    /// panics fails its item.
    pub fn new(max_weight: u64, weight: impl Fn(&I) -> u64 + Send + Sync + 'static) -> Self {
        Self { max_weight, max_items: 4096, max_wait: None, weight: Arc::new(weight) }
    }

    /// Bounds the items of a batch, whatever they weigh; 4096 by default.
    #[must_use]
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// A batch whose first item has waited this long is closed, as soon as it can be started.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = Some(wait);
        self
    }
}

impl<I> Clone for WeightedBatch<I> {
    fn clone(&self) -> Self {
        Self { weight: self.weight.clone(), ..*self }
    }
}

impl<I> fmt::Debug for WeightedBatch<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightedBatch")
            .field("max_weight", &self.max_weight)
            .field("max_items", &self.max_items)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}

/// How items are gathered into batches. Made from a [`FixedBatch`], an [`AutoBatch`], a [`WeightedBatch`] or a
/// [`KeyPartition`].
pub struct Batching<I> {
    pub(super) strategy: Strategy<I>,
    max_wait: Option<Duration>,
}

pub(super) enum Strategy<I> {
    Fixed(FixedBatch),
    Auto(AutoBatch),
    Weighted(WeightedBatch<I>),
    Keyed(KeyPartition<I>),
}

impl<I> Batching<I> {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match &self.strategy {
            Strategy::Fixed(FixedBatch(size)) => at_least_one("batch_size", *size as u64),
            Strategy::Auto(auto) => at_least_one("max_items", auto.max_items as u64),
            Strategy::Weighted(weighted) => {
                at_least_one("max_weight", weighted.max_weight)?;
                at_least_one("max_items", weighted.max_items as u64)
            }
            Strategy::Keyed(keyed) => keyed.validate(),
        }
    }

    /// The most items that a batch can hold.
    pub(crate) fn max_items(&self) -> usize {
        match &self.strategy {
            Strategy::Fixed(FixedBatch(size)) => *size,
            Strategy::Auto(auto) => auto.max_items,
            Strategy::Weighted(weighted) => weighted.max_items,
            Strategy::Keyed(keyed) => keyed.batch_size,
        }
    }

    /// How long the first item of a batch may wait for the batch to fill.
    pub(super) fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// The weight at which a batch is full.
    pub(super) fn max_weight(&self) -> u64 {
        match &self.strategy {
            Strategy::Weighted(weighted) => weighted.max_weight,
            _ => u64::MAX,
        }
    }

    /// What the item weighs; nothing, unless it is gathered by weight.
    pub(super) fn weigh(&self, payload: &I) -> u64 {
        match &self.strategy {
            Strategy::Weighted(weighted) => (weighted.weight)(payload),
            _ => 0,
        }
    }
}

pub(super) fn at_least_one(what: &str, value: u64) -> Result<(), ConfigError> {
    if value > 0 {
        return Ok(());
    }
    Err(ConfigError::new(format!("`{what}` must be at least 1, got 0")))
}

impl<I> From<FixedBatch> for Batching<I> {
    fn from(fixed: FixedBatch) -> Self {
        Self { strategy: Strategy::Fixed(fixed), max_wait: None }
    }
}

impl<I> From<AutoBatch> for Batching<I> {
    fn from(auto: AutoBatch) -> Self {
        Self { max_wait: auto.max_wait, strategy: Strategy::Auto(auto) }
    }
}

impl<I> From<WeightedBatch<I>> for Batching<I> {
    fn from(weighted: WeightedBatch<I>) -> Self {
        Self { max_wait: weighted.max_wait, strategy: Strategy::Weighted(weighted) }
    }
}

impl<I> From<KeyPartition<I>> for Batching<I> {
    fn from(keyed: KeyPartition<I>) -> Self {
        Self { max_wait: keyed.max_wait, strategy: Strategy::Keyed(keyed) }
    }
}

impl<I> Clone for Batching<I> {
    fn clone(&self) -> Self {
        let strategy = match &self.strategy {
            Strategy::Fixed(fixed) => Strategy::Fixed(*fixed),
            Strategy::Auto(auto) => Strategy::Auto(*auto),
            Strategy::Weighted(weighted) => Strategy::Weighted(weighted.clone()),
            Strategy::Keyed(keyed) => Strategy::Keyed(keyed.clone()),
        };
        Self { strategy, max_wait: self.max_wait }
    }
}

impl<I> fmt::Debug for Batching<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy: &dyn fmt::Debug = match &self.strategy {
            Strategy::Fixed(fixed) => fixed,
            Strategy::Auto(auto) => auto,
            Strategy::Weighted(weighted) => weighted,
            Strategy::Keyed(keyed) => keyed,
        };
        f.debug_struct("Batching").field("strategy", strategy).field("max_wait", &self.max_wait).finish()
    }
}

impl<I> fmt::Display for Batching<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.strategy {
            Strategy::Fixed(FixedBatch(size)) => write!(f, "batches of {size}")?,
            Strategy::Auto(auto) => write!(f, "batches that share the slots, of at most {}", auto.max_items)?,
            Strategy::Weighted(weighted) => write!(f, "batches of weight {}", weighted.max_weight)?,
            Strategy::Keyed(keyed) => {
                write!(f, "batches of {} by key, {} keys open", keyed.batch_size, keyed.max_open_keys)?;
                if keyed.sticky {
                    f.write_str(", sticky")?;
                }
            }
        }
        match self.max_wait {
            Some(wait) => write!(f, " or after {wait:?}"),
            None => Ok(()),
        }
    }
}
