//! The workers that have died, so that what they held is reported as lost and not just missing.

use std::collections::VecDeque;

use serde::Serialize;

use super::job::WorkerName;

/// How many are remembered by name; older ones are only counted.
const REMEMBERED: usize = 1024;
/// Bytes of a reason that are remembered: it may quote a line that the worker has printed.
const REASON: usize = 256;

/// A worker that is gone, with whatever its Python had accumulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostWorker {
    /// Its name: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// How it ended, cut at 256 bytes.
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
        let end = (0..=reason.len().min(REASON)).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
        let cut = if end < reason.len() { "…" } else { "" };
        let reason = format!("{}{cut}", &reason[..end]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_have_printed_does_not_gather() {
        let mut graveyard = Graveyard::default();
        let flood = format!("was killed; its last line was: {}", "ä".repeat(2000));
        for pid in 0..3000 {
            let worker = WorkerName { name: format!("p/0#{pid}"), pid };
            graveyard.bury(&worker, if pid % 2 == 0 { &flood } else { "exited with code 3" });
        }
        let lost = graveyard.lost();
        assert_eq!((lost.len(), lost[0].pid, graveyard.counts()), (1024, 1976, (3000, 0)));
        assert!(
            lost[0].reason.starts_with("was killed; its last line was: ää") && lost[0].reason.ends_with("ä…")
        );
        assert_eq!(lost[1].reason, "exited with code 3");
        let held: usize =
            graveyard.lost.iter().map(|lost| lost.worker.capacity() + lost.reason.capacity()).sum();
        assert!(held < 512 << 10, "{held} bytes");
    }
}
