//! Everything that chance decides in a simulation, out of one seed.

use std::time::Duration;

use crate::dispatch::Chance;

/// Numbers that a seed replays.
#[derive(Debug)]
pub(super) struct Dice(Chance);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Chance::new(Some(seed)))
    }

    /// Other dice, which these decide.
    pub(super) fn split(&mut self) -> Self {
        Self::new(self.0.bits())
    }

    /// From 0 to below `sides`.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0.bits() % sides.max(1)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub(super) fn size(&mut self, low: usize, high: usize) -> usize {
        self.between(low as u64, high as u64) as usize
    }

    /// True so many times in a thousand.
    pub(super) fn permille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// One of several, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, of: &[(u64, T)]) -> T {
        let mut at = self.below(of.iter().map(|(weight, _)| weight).sum());
        for (weight, thing) in of {
            if at < *weight {
                return *thing;
            }
            at -= weight;
        }
        of[0].1
    }
}
