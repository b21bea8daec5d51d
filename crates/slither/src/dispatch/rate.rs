//! A bound on items in time: [`Rate`].

use std::time::{Duration, Instant};

use super::batching::at_least_one;
use crate::error::ConfigError;

/// So many items in so much time, on average, and at most as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    items: u64,
    per: Duration,
}

impl Rate {
    pub(super) fn new(items: u64, per: Duration) -> Self {
        Self { items, per }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("rate_limit", self.items)?;
        if self.per.is_zero() {
            return Err(ConfigError::new("the interval of `rate_limit` is zero"));
        }
        Ok(())
    }

    /// How long it takes until so many items are earned.
    fn time(&self, items: u64) -> Duration {
        let nanos = (self.per.as_nanos() * u128::from(items)).div_ceil(u128::from(self.items));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A bucket of tokens, kept as the moment at which it is full again: nothing is added up, so nothing drifts.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    full_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, full_at: None }
    }

    /// When so many items may be started, if not now. More items than the bucket holds need it full.
    pub(super) fn held_until(&self, items: usize, now: Instant) -> Option<Instant> {
        let full_at = self.full_at.filter(|full_at| *full_at > now)?;
        let needed = self.rate.time((items as u64).min(self.rate.items));
        // The bucket may be that much short of full when they are taken.
        let at = full_at + needed - self.rate.time(self.rate.items);
        (at > now).then_some(at)
    }

    /// Takes the tokens; more than there are is a debt that later batches wait for.
    pub(super) fn take(&mut self, items: usize, now: Instant) {
        let from = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = from.checked_add(self.rate.time(items as u64)).or(Some(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_what_it_earns() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket::new(Rate::new(10, Duration::from_secs(1)));
        assert_eq!(bucket.held_until(10, start), None);
        bucket.take(4, start);
        bucket.take(6, start);
        assert_eq!(bucket.held_until(1, start), Some(at(100)));
        assert_eq!(bucket.held_until(3, at(100)), Some(at(300)));
        assert_eq!(bucket.held_until(3, at(300)), None);
        // A batch larger than the bucket goes when it is full, and is paid for afterwards.
        assert_eq!(bucket.held_until(25, at(300)), Some(at(1000)));
        bucket.take(25, at(1000));
        assert_eq!(bucket.held_until(1, at(1000)), Some(at(2600)));
        // Idle time earns no more than the bucket holds.
        bucket.take(10, at(60_000));
        assert_eq!(bucket.held_until(1, at(60_000)), Some(at(60_100)));
    }

    #[test]
    fn a_rate_of_nothing_is_refused() {
        let message = |items, per| Rate::new(items, per).validate().unwrap_err().to_string();
        assert_eq!(message(0, Duration::from_secs(1)), "`rate_limit` must be at least 1, got 0");
        assert_eq!(message(1, Duration::ZERO), "the interval of `rate_limit` is zero");
    }
}
