//! What is owed and what came: ids that are out, counts, latencies, and whatever should not have happened.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use slither::Ledger;

/// Complaints that are kept in full; all are counted.
const KEPT: usize = 20;

/// The accounts of the whole soak.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Items that came back, in whichever way.
    pub(super) items: AtomicU64,
    /// Of these, those that failed.
    pub(super) failed: AtomicU64,
    /// Items of runs that were cancelled half-way, or halted.
    pub(super) cancelled: AtomicU64,
    /// Runs whose ledger was looked at.
    pub(super) runs: AtomicU64,
    /// Single calls, sessions' and references' among them.
    pub(super) calls: AtomicU64,
    /// Of these, those that a mishap took.
    pub(super) hurt: AtomicU64,
    /// Reports of progress.
    pub(super) reports: AtomicU64,
    /// Mishaps: kills, crashes, hangs, floods.
    pub(super) mishaps: AtomicU64,
    /// Dead letters.
    pub(super) letters: AtomicU64,
    /// Writes to the store, and reloads.
    pub(super) writes: AtomicU64,
    lost: AtomicU64,
    doubled: AtomicU64,
    wrong: AtomicU64,
    complaints: Mutex<Vec<String>>,
    latencies: Mutex<Vec<f64>>,
}

impl Account {
    /// Something that must not happen: a wrong answer, a ledger that does not balance, an error of an unexpected kind.
    pub(super) fn wrong(&self, what: String) {
        self.wrong.fetch_add(1, Relaxed);
        self.complain(what);
    }

    fn complain(&self, what: String) {
        let mut complaints = self.complaints.lock().expect("nobody panics with it");
        if complaints.len() < KEPT {
            crate::table::note(&format!("  ! {what}"));
            complaints.push(what);
        }
    }

    /// Looks at the ledger of a run that is over.
    pub(super) fn close(&self, name: &str, ledger: Ledger) {
        self.runs.fetch_add(1, Relaxed);
        self.cancelled.fetch_add(ledger.cancelled, Relaxed);
        if !ledger.balanced() {
            self.wrong(format!("{name}: {ledger}"));
        }
    }

    pub(super) fn took(&self, time: Duration) {
        self.latencies.lock().expect("nobody panics with it").push(time.as_secs_f64() * 1e3);
    }

    /// The 99th percentile of the latencies since the last time, in ms.
    pub(super) fn p99(&self) -> f64 {
        let mut taken = std::mem::take(&mut *self.latencies.lock().expect("nobody panics with it"));
        taken.sort_by(f64::total_cmp);
        let at = (taken.len() * 99).div_ceil(100).saturating_sub(1);
        taken.get(at).copied().unwrap_or(f64::NAN)
    }

    /// Items lost, doubled, and whatever else was wrong.
    pub(super) fn faults(&self) -> [u64; 3] {
        [&self.lost, &self.doubled, &self.wrong].map(|count| count.load(Relaxed))
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().expect("nobody panics with it").clone()
    }
}

/// The items of one flow that are out: each has to come back once.
#[derive(Debug, Default)]
pub(super) struct Tally {
    out: Mutex<HashSet<u64>>,
}

impl Tally {
    pub(super) fn sent(&self, id: u64) {
        self.out.lock().expect("nobody panics with it").insert(id);
    }

    /// An item came back.
    pub(super) fn came(&self, id: u64, failed: bool, account: &Account) {
        account.items.fetch_add(1, Relaxed);
        account.failed.fetch_add(u64::from(failed), Relaxed);
        if !self.out.lock().expect("nobody panics with it").remove(&id) {
            account.doubled.fetch_add(1, Relaxed);
            account.complain(format!("item {id} came back though it was not out"));
        }
    }

    /// The flow is over: what is still out is lost.
    pub(super) fn close(&self, name: &str, account: &Account) {
        let left = self.out.lock().expect("nobody panics with it").len() as u64;
        if left > 0 {
            account.lost.fetch_add(left, Relaxed);
            account.complain(format!("{name}: {left} items never came back"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_once_is_counted() {
        let (account, tally) = (Account::default(), Tally::default());
        (0..4).for_each(|id| tally.sent(id));
        for id in [0, 2, 2, 3] {
            tally.came(id, false, &account);
        }
        tally.close("flow", &account);
        account.close("flow", Ledger { pulled: 4, emitted: 3, ..Ledger::default() });
        assert_eq!(account.faults(), [1, 1, 1]);
        assert_eq!(account.complaints().len(), 3);
    }

    #[test]
    fn the_99th_of_a_hundred_is_the_last_but_one() {
        let account = Account::default();
        (1..=100).rev().for_each(|ms| account.took(Duration::from_millis(ms)));
        assert!((account.p99() - 99.0).abs() < 1e-9);
        assert!(account.p99().is_nan());
    }
}
