//! The error that a call gets when it dies with its worker: what died, how, and what it was doing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::link::End;
use super::machine::Verdict;
use super::stacks::Stacks;
use crate::error::{Death, ErrorKind, ItemError, Phase, WorkerReport};
use crate::pool::blackbox::{BlackBox, Reading};
use crate::pool::job::{Reply, WorkerName};
use crate::pool::oom::Suspicion;
use crate::pool::output::Output;
use crate::pool::station::lock;
use crate::pool::worker::CallId;
use crate::wire::{self, Kind, Profile, RemoteError};

/// What mends a want of memory.
const ROOM: &str = "\nhint: a smaller batch_size or fewer workers take less memory; or give the process more";

/// Everything that was found at a worker's death.
#[derive(Debug, Clone)]
pub(crate) struct Autopsy {
    pub(crate) worker: Arc<WorkerName>,
    pub(crate) death: Death,
    pub(crate) suspicion: Suspicion,
    /// It was not ready yet.
    pub(crate) starting: bool,
    /// The adapter that it was building then.
    pub(crate) building: Option<String>,
    /// The calls that it ran; or one that is none, if it was idle.
    pub(crate) found: Vec<Found>,
    pub(crate) stacks: Option<Stacks>,
    /// The slot of a call that brought it down.
    pub(crate) fatal: Option<usize>,
    pub(crate) rss: Option<u64>,
    pub(crate) peak_rss: Option<u64>,
    pub(crate) stderr: Vec<String>,
    /// How it broke the protocol, if it did.
    pub(crate) breach: Option<String>,
}

/// What a slot of the black box said.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) reading: Reading,
    pub(crate) subject: Option<String>,
}

impl Autopsy {
    pub(super) fn new(
        worker: Arc<WorkerName>,
        end: End,
        suspicion: Suspicion,
        blackbox: &BlackBox,
        stderr: &Mutex<Output>,
        breach: Option<String>,
    ) -> Self {
        let mut stderr = lock(stderr);
        stderr.drain();
        let stderr = stderr.tail();
        let profile = blackbox.profile();
        let readings = blackbox.read();
        let building = readings
            .iter()
            .find(|reading| reading.call == 0 && reading.phase == Some(Phase::Import))
            .and_then(|reading| blackbox.subject(reading.slot));
        let idle = readings.len() == profile.boxes() && readings.iter().all(|reading| reading.call == 0);
        let found: Vec<Found> = readings
            .into_iter()
            .filter(|reading| reading.call != 0 || (idle && reading.slot == 0))
            .map(|reading| {
                let subject = match reading.phase {
                    Some(Phase::Import | Phase::View) => blackbox.subject(reading.slot),
                    _ => None,
                };
                Found { reading, subject }
            })
            .collect();
        let stacks = blackbox.text().map(Stacks::new);
        let fatal = fatal(profile, stacks.as_ref(), &found);
        let End { death, peak_rss, .. } = end;
        Self {
            worker,
            death,
            suspicion,
            starting: false,
            building,
            found,
            stacks,
            fatal,
            rss: None,
            peak_rss,
            stderr,
            breach,
        }
    }

    /// What little is found at the death of a worker that never was a process.
    #[cfg(test)]
    pub(crate) fn bare(
        worker: Arc<WorkerName>,
        end: End,
        readings: Vec<Reading>,
        breach: Option<String>,
    ) -> Self {
        Self {
            worker,
            death: end.death,
            suspicion: Suspicion::None,
            starting: false,
            building: None,
            found: readings.into_iter().map(|reading| Found { reading, subject: None }).collect(),
            stacks: None,
            fatal: None,
            rss: None,
            peak_rss: end.peak_rss,
            stderr: Vec::new(),
            breach,
        }
    }

    /// The call that is known to have brought the worker down, because it alone ran or the stack says so.
    pub(super) fn culprit(&self) -> Option<CallId> {
        self.found.iter().find(|found| Some(found.reading.slot) == self.fatal).map(|found| found.reading.call)
    }

    /// Whether the black box says that the worker had begun the call.
    pub(super) fn ran(&self, id: CallId) -> bool {
        self.found(id).is_some()
    }

    fn found(&self, id: CallId) -> Option<&Found> {
        self.found.iter().find(|found| found.reading.call == id)
    }

    /// What the story of the death is about: the call to blame, or all that there was.
    fn teller(&self) -> Option<&Found> {
        let alone = || if self.found.len() == 1 { self.found.first() } else { None };
        self.culprit().and_then(|id| self.found(id)).or_else(alone)
    }

    /// How it ended, and while it did what.
    pub(super) fn story(&self) -> String {
        match self.death {
            // That it was idle then says nothing.
            Death::Recycled(_) => self.death.to_string(),
            _ => self.told(self.clause(None).as_deref()),
        }
    }

    /// What it was doing: with that call, if one is named.
    fn clause(&self, call: Option<CallId>) -> Option<String> {
        if self.starting {
            return Some(match &self.building {
                Some(adapter) => format!("while it built its adapter `{adapter}`"),
                None => Phase::Start.clause(None),
            });
        }
        let found = match call {
            Some(id) => self.found(id),
            None => self.teller(),
        };
        match (found, self.found.len()) {
            (Some(found), _) => found.reading.phase.map(|phase| phase.clause(found.subject.as_deref())),
            (None, running) if running > 1 => Some(format!("while it ran {running} calls")),
            (None, _) => None,
        }
    }

    fn told(&self, clause: Option<&str>) -> String {
        let (death, space) = (self.death, if clause.is_some() { " " } else { "" });
        let clause = clause.unwrap_or("");
        match self.suspicion {
            Suspicion::None => format!("{death}{space}{clause}"),
            Suspicion::Possible => format!("{death}{space}{clause}, possibly because memory ran out"),
            Suspicion::Certain => {
                format!("ran out of memory{space}{clause}: the kernel killed it by SIGKILL (signal 9)")
            }
        }
    }

    /// The error of a call that died with the worker.
    pub(super) fn error(&self, id: CallId, verdict: Verdict) -> ItemError {
        let found = self.found(id);
        let phase = found.and_then(|found| found.reading.phase);
        let (kind, message) = match verdict {
            // The one that is charged with a death before its time has requeued too often.
            Verdict::Crash if matches!(phase, None | Some(Phase::Idle)) => {
                self.of_itself(Some("before this call had ended"))
            }
            Verdict::Crash if self.found.len() > 1 && self.fatal.is_none() => {
                let (clause, others) = (self.clause(Some(id)), self.found.len() - 1);
                let clause = clause.unwrap_or_default();
                self.of_itself(Some(&format!(
                    "{clause}, with {others} more at the same time: which of them is to blame cannot be told"
                )))
            }
            Verdict::Crash => self.of_itself(self.clause(Some(id)).as_deref()),
            Verdict::Timeout(limit) => (ErrorKind::Timeout, overdue(limit)),
            Verdict::Protocol => (
                ErrorKind::Protocol,
                format!(
                    "the worker broke the protocol and was killed: {}",
                    self.breach.as_deref().unwrap_or("an answer came out of turn")
                ),
            ),
            Verdict::Shutdown => {
                (ErrorKind::Pool, "the pool was shut down before the call had finished".to_owned())
            }
        };
        self.report(kind, message, Some(id))
    }

    /// The error of a call that was lost to what another one did.
    pub(super) fn collateral(&self, id: CallId, culprit: &str, verdict: Verdict) -> ItemError {
        let how = match verdict {
            Verdict::Timeout(limit) => {
                format!(
                    "ran past its deadline of {} s, and the worker was killed for it",
                    limit.as_secs_f64()
                )
            }
            Verdict::Protocol => "broke the protocol, and the worker was killed for it".to_owned(),
            _ => format!("brought it down: it {}", self.story()),
        };
        let message = format!(
            "the call was lost with its worker: {culprit}, which ran there at the same time, {how}\nhint: calls of one process share its fate; \
             `retry` and `isolate` run such items again, and a pool of processes runs one call in each"
        );
        self.report(ErrorKind::Collateral, message, Some(id))
    }

    /// The error of a call meant for this worker alone that it did not live to run.
    pub(super) fn lost(&self) -> ItemError {
        let (kind, message) = self.of_itself(Some("before it could run this call"));
        self.report(kind, message, None)
    }

    fn of_itself(&self, clause: Option<&str>) -> (ErrorKind, String) {
        let told = self.told(clause);
        match self.suspicion {
            Suspicion::None => (ErrorKind::Crash, format!("the worker {told}")),
            Suspicion::Possible => (ErrorKind::Crash, format!("the worker {told}{ROOM}")),
            Suspicion::Certain => (ErrorKind::OutOfMemory, format!("the worker {told}{ROOM}")),
        }
    }

    /// What is known of the worker.
    pub(super) fn findings(&self) -> WorkerReport {
        self.findings_of(self.teller())
    }

    fn findings_of(&self, found: Option<&Found>) -> WorkerReport {
        let reading = found.map(|found| found.reading);
        WorkerReport {
            death: Some(self.death),
            phase: if self.starting { Some(Phase::Start) } else { reading.and_then(|reading| reading.phase) },
            subject: found.and_then(|found| found.subject.clone()),
            running: reading.filter(|reading| reading.call != 0).map(|reading| reading.running),
            rss: self.rss,
            peak_rss: self.peak_rss,
            stderr: self.stderr.clone(),
            ..WorkerReport::new(self.worker.name.clone(), self.worker.pid)
        }
    }

    fn report(&self, kind: ErrorKind, message: String, id: Option<CallId>) -> ItemError {
        let found = id.and_then(|id| self.found(id));
        let report = self.findings_of(found.or_else(|| self.teller()));
        let stack = self.stacks.as_ref().map(|stacks| {
            match found.and_then(|found| stacks.of(found.reading.slot, found.reading.call)) {
                Some(own) => Some(own),
                // The stack of another call would only mislead.
                None if self.found.len() > 1 && self.fatal.is_some() && id != self.culprit() => None,
                None => Some(stacks.all().to_owned()),
            }
        });
        ItemError::new(kind, message).with_traceback(stack.flatten(), Vec::new()).with_worker(report)
    }
}

/// The slot of the call that brought the worker down: the stack of its fatal signal says so, or nothing else was run.
fn fatal(profile: Profile, stacks: Option<&Stacks>, found: &[Found]) -> Option<usize> {
    if let [only] = found {
        return Some(only.reading.slot);
    }
    let stacks = stacks?;
    if let Some(slot) = stacks.fatal_slot() {
        return Some(slot);
    }
    // The loop's own thread: of its tasks the one that awaited nothing.
    let Profile::Async { concurrency } = profile else { return None };
    let tasks = found.iter().map(|found| found.reading).filter(|reading| reading.slot < concurrency);
    let mut computing = tasks.filter(|reading| reading.phase != Some(Phase::Await));
    match (computing.next(), computing.next()) {
        (Some(one), None) => Some(one.slot),
        _ => None,
    }
}

/// The error of a call that ended because it was told to, at its deadline.
pub(super) fn cancelled(reply: &Reply, limit: Duration) -> Option<ItemError> {
    if reply.kind != Kind::Error {
        return None;
    }
    let remote: RemoteError =
        wire::body(&reply.body).ok().filter(|remote: &RemoteError| remote.kind == "cancelled")?;
    let remote = ItemError::from(remote);
    let message = format!("the call ran past its deadline of {} s, and was cancelled", limit.as_secs_f64());
    let stack = remote.traceback().map(str::to_owned);
    Some(
        ItemError::new(ErrorKind::Timeout, message)
            .with_traceback(stack, Vec::new())
            .with_worker(reply.worker()),
    )
}

fn overdue(limit: Duration) -> String {
    format!("the call ran past its deadline of {} s, and its worker was killed", limit.as_secs_f64())
}
