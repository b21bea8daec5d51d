//! The workers that have died, so that what they held is reported as lost and not just missing.

use std::collections::VecDeque;

use serde::Serialize;

use super::job::WorkerName;

/// How many are remembered by name; older ones are only counted.
const REMEMBERED: usize = 1024;

/// A worker that is gone, with whatever its Python had accumulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostWorker {
    /// Its name: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub reason: String,
}

/// The latest deaths, oldest first.
#[derive(Debug, Default)]
pub(super) struct Graveyard {
    lost: VecDeque<LostWorker>,
    total: usize,
    recycled: usize,
}

impl Graveyard {
    pub(super) fn bury(&mut self, worker: &WorkerName, reason: &str) {
        if self.lost.len() == REMEMBERED {
            self.lost.pop_front();
        }
        self.total += 1;
        let reason = reason.to_owned();
        self.lost.push_back(LostWorker { worker: worker.name.clone(), pid: worker.pid, reason });
    }

    pub(super) fn lost(&self) -> Vec<LostWorker> {
        self.lost.iter().cloned().collect()
    }

    /// A worker was replaced before its time; it is buried when it has gone.
    pub(super) fn note_recycled(&mut self) {
        self.recycled += 1;
    }

    /// How many have died, and how many were replaced before their time.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.total, self.recycled)
    }
}
