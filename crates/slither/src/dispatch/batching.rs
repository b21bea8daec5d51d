//! How items are gathered into batches: [`FixedBatch`] and [`WeightedBatch`].

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;

/// Batches of this many items; the last of the input may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedBatch(pub usize);

/// Batches whose weights add up to at most a maximum: for items of very different cost.
///
/// Items keep their order. An item heavier than the maximum travels alone. So that weightless items cannot
/// gather for ever, a batch also closes at [`max_items`](Self::max_items), 4096 unless set.
pub struct WeightedBatch<I> {
    max_weight: u64,
    max_items: usize,
    weight: Arc<dyn Fn(&I) -> u64 + Send + Sync>,
}

impl<I> WeightedBatch<I> {
    /// Batches of at most `max_weight`, in the unit of `weight`: bytes, pixels, tokens. A `weight` that
    /// panics fails its item.
    pub fn new(max_weight: u64, weight: impl Fn(&I) -> u64 + Send + Sync + 'static) -> Self {
        Self { max_weight, max_items: 4096, weight: Arc::new(weight) }
    }

    /// Bounds the items of a batch, whatever they weigh; 4096 by default.
    #[must_use]
    pub fn max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }
}

impl<I> Clone for WeightedBatch<I> {
    fn clone(&self) -> Self {
        Self { max_weight: self.max_weight, max_items: self.max_items, weight: self.weight.clone() }
    }
}

impl<I> fmt::Debug for WeightedBatch<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightedBatch")
            .field("max_weight", &self.max_weight)
            .field("max_items", &self.max_items)
            .finish_non_exhaustive()
    }
}

/// How items are gathered into batches. Made from a [`FixedBatch`] or a [`WeightedBatch`].
#[non_exhaustive]
pub enum Batching<I> {
    /// By number.
    Fixed(FixedBatch),
    /// By weight.
    Weighted(WeightedBatch<I>),
}

impl<I> Batching<I> {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fixed(FixedBatch(size)) => at_least_one("batch_size", *size as u64),
            Self::Weighted(weighted) => {
                at_least_one("max_weight", weighted.max_weight)?;
                at_least_one("max_items", weighted.max_items as u64)
            }
        }
    }

    /// The most items that a batch can hold.
    pub(crate) fn max_items(&self) -> usize {
        match self {
            Self::Fixed(FixedBatch(size)) => *size,
            Self::Weighted(weighted) => weighted.max_items,
        }
    }

    /// The weight at which a batch is full.
    pub(super) fn max_weight(&self) -> u64 {
        match self {
            Self::Fixed(_) => u64::MAX,
            Self::Weighted(weighted) => weighted.max_weight,
        }
    }

    /// What the item weighs; by number, nothing.
    pub(super) fn weigh(&self, payload: &I) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Weighted(weighted) => (weighted.weight)(payload),
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
        Self::Fixed(fixed)
    }
}

impl<I> From<WeightedBatch<I>> for Batching<I> {
    fn from(weighted: WeightedBatch<I>) -> Self {
        Self::Weighted(weighted)
    }
}

impl<I> Clone for Batching<I> {
    fn clone(&self) -> Self {
        match self {
            Self::Fixed(fixed) => Self::Fixed(*fixed),
            Self::Weighted(weighted) => Self::Weighted(weighted.clone()),
        }
    }
}

impl<I> fmt::Debug for Batching<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(fixed) => fmt::Debug::fmt(fixed, f),
            Self::Weighted(weighted) => fmt::Debug::fmt(weighted, f),
        }
    }
}

impl<I> fmt::Display for Batching<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(FixedBatch(size)) => write!(f, "batches of {size}"),
            Self::Weighted(weighted) => write!(f, "batches of weight {}", weighted.max_weight),
        }
    }
}
