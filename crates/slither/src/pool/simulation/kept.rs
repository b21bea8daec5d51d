//! A simulated worker with its keeper, which runs as its thread would.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::book::Shared;
use super::link::FakeLink;
use super::worker::FakeWorker;
use crate::pool::clock::now;
use crate::pool::station::{Station, lock};
use crate::pool::worker::{Keeper, REAP};

/// A worker with its keeper.
pub(super) struct Kept {
    pub(super) station: Arc<Station>,
    pub(super) worker: Rc<RefCell<FakeWorker>>,
    /// None when it has buried its worker.
    pub(super) keeper: Option<Keeper<FakeLink>>,
    /// The worker is gone; until when to wait for how.
    pub(super) retired: Option<Instant>,
    /// It has been woken, and has not looked at everything yet.
    pub(super) awake: bool,
    /// Whether its nursery lives, and has not seen it end.
    pub(super) nursed: bool,
    /// The nursery has said how it ended.
    pub(super) reaped: bool,
    /// When the nursery says so.
    pub(super) exit: Option<Instant>,
}

impl Kept {
    /// Whether its keeper would be woken now.
    pub(super) fn stirs(&self) -> bool {
        let Some(keeper) = &self.keeper else { return false };
        if self.awake || self.station.bell.rang() {
            return true;
        }
        if let Some(limit) = self.retired {
            return keeper.death.is_some() || limit <= now();
        }
        let worker = self.worker.borrow();
        worker.dead.is_some() || keeper.hears(&worker) || keeper.due().is_some_and(|at| at <= now())
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let keeper = self.keeper.as_ref()?;
        self.retired.or_else(|| keeper.due())
    }

    /// What the keeper's thread does between two sleeps; in two parts, because others run in between.
    pub(super) fn step(&mut self, book: &Shared) {
        let Some(keeper) = &mut self.keeper else { return };
        if let Some(limit) = self.retired {
            keeper.take_orders();
            if keeper.death.is_some() || limit <= now() {
                lock(book).say(|| format!("worker {} is buried", self.station.epoch));
                // Also of one that no signal ended, and that is given up.
                lock(book).deaths += 1;
                if let Some(keeper) = self.keeper.take() {
                    keeper.bury();
                }
            }
            return;
        }
        if self.awake {
            self.awake = false;
            return keeper.turn();
        }
        let gone = self.worker.borrow().dead.is_some();
        let hears = keeper.hears(&self.worker.borrow());
        if hears {
            keeper.receive();
        }
        if gone {
            while keeper.receive() {}
        }
        if gone || keeper.abandons() {
            keeper.retire();
            self.retired = Some(now() + REAP);
        } else {
            self.awake = true;
        }
    }
}
