//! What has happened in a simulation, as nobody in it can see, and the promises that can be checked at every step.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::plan::QUIET;
use super::tally::Tally;
use crate::error::{ErrorKind, ItemError, panic_text};
use crate::pool::clock::now;
use crate::pool::job::MAX_REQUEUES;
use crate::pool::station::lock;
use crate::pool::supervisor::Epoch;
use crate::pool::worker::CallId;

/// Everybody writes into the same book.
pub(super) type Shared = Arc<Mutex<Book>>;

/// Items of one caller are numbered from a multiple of this.
pub(super) const ITEMS: u64 = 1000;

/// A result: the item, the call that it came with, and the worker that ran it.
pub(super) type Answer = (u64, CallId, Epoch);

/// What holds for the items of one caller.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// How often an item may be run; none if its policy does not say.
    pub(super) most_runs: Option<usize>,
    /// A sticky key is the remainder by this.
    pub(super) sticky: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Book {
    epoch: Instant,
    pub(super) tally: Tally,
    trace: Option<Vec<String>>,
    fingerprint: u64,
    pub(super) rules: HashMap<u64, Rule>,
    /// By call: the worker that it was last written to, and how often it was written to any.
    given: HashMap<CallId, (Epoch, usize)>,
    /// By call: the worker that began it.
    begun: HashMap<CallId, Epoch>,
    answered: HashSet<CallId>,
    /// By item: the calls that were begun with it.
    runs: HashMap<u64, Vec<(CallId, Epoch)>>,
    /// By item: how often it was written to a worker.
    written: HashMap<u64, usize>,
    /// By item: how often it was lost to what another call did, which costs no attempt.
    spared: HashMap<u64, usize>,
    delivered: HashSet<u64>,
    slots: BTreeMap<(u64, u64), usize>,
    /// Sessions that live in a worker.
    pub(super) strict: HashSet<String>,
    /// Counts on when a worker dies, when it is buried, and when it is replaced with all that lives in it.
    pub(super) deaths: usize,
    /// Handles to objects, by the worker that they are in.
    pub(super) handles: HashMap<Epoch, usize>,
    /// Workers that are to go whatever lives in them; all of them, at the end of the pool.
    pub(super) spent: HashSet<Epoch>,
    pub(super) ending: bool,
    /// How often the breaker has opened.
    pub(super) opened: usize,
    /// What was found where a panic would be caught.
    pub(super) violation: Option<String>,
}

/// Checks something where a panic would be caught, and be only another failure to be dealt with.
pub(super) fn check(book: &Shared, check: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(check)) {
        let text = panic_text(&*panic).unwrap_or("it panicked").to_owned();
        lock(book).violation.get_or_insert(text);
    }
}

impl Book {
    pub(super) fn new(traced: bool) -> Self {
        Self {
            epoch: now(),
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            fingerprint: 0,
            rules: HashMap::new(),
            given: HashMap::new(),
            begun: HashMap::new(),
            answered: HashSet::new(),
            runs: HashMap::new(),
            written: HashMap::new(),
            spared: HashMap::new(),
            delivered: HashSet::new(),
            slots: BTreeMap::new(),
            strict: HashSet::new(),
            deaths: 0,
            handles: HashMap::new(),
            spent: HashSet::new(),
            ending: false,
            opened: 0,
            violation: None,
        }
    }

    /// Whether nothing goes wrong any more.
    pub(super) fn quiet(&self) -> bool {
        now() >= self.epoch + QUIET
    }

    pub(super) fn began(&self) -> Instant {
        self.epoch
    }

    /// Notes what happens, where somebody wants to read it.
    pub(super) fn say<D: Display>(&mut self, what: impl FnOnce() -> D) {
        if let Some(trace) = &mut self.trace {
            let at = now().saturating_duration_since(self.epoch).as_secs_f64() * 1000.0;
            trace.push(format!("{at:>9.1} ms  {}", what()));
        }
    }

    pub(super) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// Mixes a step into what tells two schedules apart.
    pub(super) fn mix(&mut self, step: u64) {
        let at = now().saturating_duration_since(self.epoch).as_nanos() as u64;
        for word in [step, at] {
            self.fingerprint = (self.fingerprint ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// A call was written to a worker.
    pub(super) fn give(&mut self, call: CallId, epoch: Epoch, items: &[u64]) {
        let (last, times) = self.given.entry(call).or_insert((epoch, 0));
        *last = epoch;
        *times += 1;
        let again = *times > 1;
        if again {
            self.tally.count("calls given to another worker");
        }
        for item in items {
            *self.written.entry(*item).or_default() += 1;
        }
    }

    /// User code begins to run.
    pub(super) fn begin(&mut self, call: CallId, epoch: Epoch, slot: usize, items: &[u64]) {
        let before = self.begun.insert(call, epoch);
        assert_eq!(before, None, "call {call} begins in worker {epoch}, and had begun in another");
        for item in items {
            assert!(!self.delivered.contains(item), "item {item} is run, and has ended before");
            let runs = self.runs.entry(*item).or_default();
            runs.push((call, epoch));
            let Some(rule) = self.rules.get(&(item / ITEMS)) else { continue };
            let spared = self.spared.get(item).copied().unwrap_or(0);
            if let Some(most) = rule.most_runs {
                assert!(
                    runs.len() <= most + spared,
                    "item {item} is run {} times, its policy allows {most}",
                    runs.len()
                );
            }
            if let Some(keys) = rule.sticky {
                let home = *self.slots.entry((item / ITEMS, item % keys)).or_insert(slot);
                assert_eq!(home, slot, "a key moves to another slot");
            }
        }
    }

    pub(super) fn answer(&mut self, call: CallId) {
        self.answered.insert(call);
    }

    /// Whether the call has begun somewhere and was not answered.
    pub(super) fn is_running(&self, call: CallId) -> bool {
        self.begun.contains_key(&call) && !self.answered.contains(&call)
    }

    /// Whether so many workers have died under the call that it is blamed unbegun.
    pub(super) fn is_suspect(&self, call: CallId) -> bool {
        self.given.get(&call).is_some_and(|(_, times)| *times > usize::from(MAX_REQUEUES))
    }

    /// A result has come to who asked for it.
    pub(super) fn check_answer(&self, asked: u64, (item, call, epoch): Answer) {
        assert_eq!(item, asked, "the result is another item's");
        assert_eq!(
            self.begun.get(&call),
            Some(&epoch),
            "call {call} was completed by worker {epoch}, which did not run it"
        );
        assert_eq!(
            self.given.get(&call).map(|(last, _)| *last),
            Some(epoch),
            "an old epoch completed call {call}"
        );
    }

    /// A batch has failed as a whole.
    pub(super) fn check_blame(&mut self, items: &[u64], error: &ItemError) {
        self.tally.count(match error.kind() {
            ErrorKind::Crash => "batches that crashed",
            ErrorKind::Timeout => "batches that timed out",
            ErrorKind::Protocol => "batches whose worker broke the protocol",
            ErrorKind::Exception => "batches that raised",
            ErrorKind::Retry => "batches that asked for another attempt",
            ErrorKind::Pool => "batches refused by the pool",
            ErrorKind::Unavailable => "batches refused by an open breaker",
            ErrorKind::SessionLost => "batches of lost sessions",
            ErrorKind::SessionBusy => "batches of busy sessions",
            ErrorKind::SessionEnded => "batches of ended sessions",
            ErrorKind::Contract => "batches with another number of results",
            ErrorKind::Collateral => "batches lost to another call of their worker",
            other => panic!("nothing in a simulation fails so: {other}: {error}"),
        });
        self.check_refusal(error);
        if error.kind() == ErrorKind::Collateral {
            for item in items {
                *self.spared.entry(*item).or_default() += 1;
            }
        }
        if !matches!(error.kind(), ErrorKind::Crash | ErrorKind::Timeout | ErrorKind::Collateral) {
            return;
        }
        let report = error.worker().expect("a death names its worker");
        let epoch: Epoch = report.worker.rsplit_once('#').expect("it ends in its epoch").1.parse().unwrap();
        let ran =
            |item: &u64| self.runs.get(item).is_some_and(|runs| runs.iter().any(|(_, at)| *at == epoch));
        let suspect =
            |item: &u64| self.written.get(item).is_some_and(|times| *times > usize::from(MAX_REQUEUES));
        for item in items {
            assert!(
                ran(item) || suspect(item),
                "item {item} is charged with the death of worker {epoch}, which never ran it: {error}"
            );
        }
    }

    pub(super) fn handles_in(&self, epoch: Epoch) -> usize {
        self.handles.get(&epoch).copied().unwrap_or_default()
    }

    /// A worker is told to stop.
    pub(super) fn check_stop(&self, epoch: Epoch) {
        let may = self.ending || self.spent.contains(&epoch);
        assert!(
            may || self.handles_in(epoch) == 0,
            "worker {epoch} is told to go, and somebody has handles to its objects"
        );
    }

    /// Only a breaker that has opened refuses calls so.
    pub(super) fn check_refusal(&self, error: &ItemError) {
        let refused = error.kind() == ErrorKind::Unavailable;
        assert!(!refused || self.opened > 0, "a call is refused, and no breaker has opened: {error}");
    }

    /// An item has ended.
    pub(super) fn deliver(&mut self, item: u64) {
        assert!(self.delivered.insert(item), "item {item} ended twice");
    }
}
