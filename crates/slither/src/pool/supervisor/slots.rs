//! A worker's place in a pool: who is in it, who is to follow, and who has been followed.

use std::time::{Duration, Instant};

use super::machine::Epoch;
use super::recycling::Serving;
use crate::pool::clock::later;

/// A worker that is not ready yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Starting {
    pub(super) epoch: Epoch,
    since: Instant,
    aborted: bool,
}

impl Starting {
    pub(super) fn new(epoch: Epoch, now: Instant) -> Self {
        Self { epoch, since: now, aborted: false }
    }

    fn timer(&self, timeout: Duration) -> Option<Instant> {
        (!self.aborted).then(|| later(self.since, timeout))
    }
}

/// A worker that was replaced, and finishes what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) epoch: Epoch,
    /// Something came to live in it when it was about to be replaced; it waits for that.
    pub(super) pinned: bool,
}

/// Who has the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Holder {
    #[default]
    Nobody,
    /// A worker is to be started at this time.
    Due(Instant),
    Starting(Starting),
    Ready(Serving),
}

/// Which worker of a slot it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Holder,
    Next,
    Outgoing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Slot {
    pub(super) holder: Holder,
    /// Is being started to replace the holder.
    pub(super) next: Option<Starting>,
    pub(super) outgoing: Option<Outgoing>,
}

impl Slot {
    pub(super) fn due(now: Instant) -> Self {
        Self { holder: Holder::Due(now), ..Self::default() }
    }

    pub(super) fn role(&self, epoch: Epoch) -> Option<Role> {
        match self.holder {
            Holder::Starting(Starting { epoch: other, .. }) if other == epoch => return Some(Role::Holder),
            Holder::Ready(Serving { epoch: other, .. }) if other == epoch => return Some(Role::Holder),
            _ => {}
        }
        if self.next.is_some_and(|next| next.epoch == epoch) {
            return Some(Role::Next);
        }
        self.outgoing.is_some_and(|outgoing| outgoing.epoch == epoch).then_some(Role::Outgoing)
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.holder, Holder::Ready(_))
    }

    /// Whether no process belongs to it, and none is to.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its worker is just being replaced before its time. One that waits for what lives in it is no reason for
    /// others to wait.
    pub(super) fn is_recycling(&self) -> bool {
        self.next.is_some() || self.outgoing.is_some_and(|outgoing| !outgoing.pinned)
    }

    /// Starts no worker that is only due.
    pub(super) fn cancel(&mut self) {
        if matches!(self.holder, Holder::Due(_)) {
            self.holder = Holder::Nobody;
        }
    }

    /// Those that are not ready in time, and have to be killed; each of them once.
    pub(super) fn late(&mut self, timeout: Duration, now: Instant) -> impl Iterator<Item = Epoch> {
        let holder = match &mut self.holder {
            Holder::Starting(starting) => Some(starting),
            _ => None,
        };
        holder.into_iter().chain(&mut self.next).filter_map(move |starting| {
            let late = starting.timer(timeout).is_some_and(|at| at <= now);
            starting.aborted |= late;
            late.then_some(starting.epoch)
        })
    }

    pub(super) fn timer(&self, timeout: Duration) -> Option<Instant> {
        let holder = match &self.holder {
            Holder::Due(at) => Some(*at),
            Holder::Starting(starting) => starting.timer(timeout),
            Holder::Ready(serving) => serving.timer(),
            Holder::Nobody => None,
        };
        let next = self.next.as_ref().and_then(|next| next.timer(timeout));
        holder.into_iter().chain(next).min()
    }
}
