//! How often each kind of thing has happened, so that no schedule becomes trivial without anyone noticing.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(super) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(super) fn lines(&self) -> String {
        self.0.iter().map(|(what, times)| format!("{times:>9} {what}\n")).collect()
    }
}
