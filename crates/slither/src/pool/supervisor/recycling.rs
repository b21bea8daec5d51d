//! When a worker has lived long enough, without I/O.

use std::time::{Duration, Instant};

use super::machine::Epoch;
use crate::error::Recycled;
use crate::pool::clock::later;

/// The limits of a worker's life; none of them unless it is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Calls that it completes.
    pub(crate) max_requests: Option<u64>,
    /// From its being ready; a worker gets up to a tenth less, so that those that began together do not end together.
    pub(crate) ttl: Option<Duration>,
    /// Bytes by which its memory grows.
    pub(crate) max_rss: Option<u64>,
}

impl Limits {
    /// Whether there is any.
    pub(crate) fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What was seen of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Calls that it has completed.
    pub(crate) requests: u64,
    /// Bytes by which its memory has grown.
    pub(crate) growth: u64,
    /// Whether something lives in it that would be lost: a session, an object that somebody has a handle to.
    pub(crate) pinned: bool,
}

/// A worker that takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Serving {
    pub(super) epoch: Epoch,
    expires: Option<Instant>,
    /// Which limit it has reached, and when.
    due: Option<(Recycled, Instant)>,
    pinned: bool,
}

impl Serving {
    pub(super) fn new(epoch: Epoch, limits: &Limits, now: Instant) -> Self {
        let expires = limits.ttl.map(|ttl| later(now, ttl.saturating_sub(jitter(epoch, ttl))));
        Self { epoch, expires, due: None, pinned: false }
    }

    /// Takes in what was seen of it.
    pub(super) fn see(&mut self, seen: Seen, limits: &Limits, now: Instant) {
        self.pinned = seen.pinned;
        let spent = limits.max_requests.filter(|limit| seen.requests >= *limit);
        let grown = limits.max_rss.filter(|limit| seen.growth > *limit);
        match (grown, spent) {
            // It waits for nothing, so it counts also when another limit was reached before.
            (Some(limit), _) if !self.due.is_some_and(|(why, _)| why.is_hard()) => {
                self.due = Some((Recycled::MaxRss { growth: seen.growth, limit }, now));
            }
            (_, Some(limit)) => self.reach(Recycled::MaxRequests { limit }, now),
            _ => {}
        }
    }

    /// Looks at the time.
    pub(super) fn tick(&mut self, limits: &Limits, now: Instant) {
        if let Some(limit) = limits.ttl
            && self.expires.is_some_and(|at| at <= now)
        {
            self.reach(Recycled::Ttl { limit }, now);
        }
    }

    fn reach(&mut self, why: Recycled, now: Instant) {
        self.due.get_or_insert((why, now));
    }

    /// When to look at the time.
    pub(super) fn timer(&self) -> Option<Instant> {
        self.expires.filter(|_| self.due.is_none())
    }

    /// Why it may be replaced now, and how urgent that is: the less the sooner.
    pub(super) fn claim(&self) -> Option<(bool, Instant)> {
        let (why, since) = self.due?;
        (why.is_hard() || !self.pinned).then_some((!why.is_hard(), since))
    }

    /// Why it is replaced.
    pub(super) fn why(&self) -> Option<Recycled> {
        self.due.map(|(why, _)| why)
    }
}

/// Up to a tenth of `ttl`, by the worker's number alone, so that a schedule can be replayed.
fn jitter(epoch: Epoch, ttl: Duration) -> Duration {
    // The finalizer of splitmix64: neighbours come out far apart.
    let mut mixed = epoch.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let thousandths = ((mixed ^ (mixed >> 31)) % 1000) as u32;
    ttl / 10_000 * thousandths
}
