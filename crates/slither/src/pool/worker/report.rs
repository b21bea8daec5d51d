//! The error that a call gets when it dies with its worker: what died, how, and what it was doing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::link::End;
use super::machine::Verdict;
use crate::error::{Death, ErrorKind, ItemError, Phase, WorkerReport};
use crate::pool::blackbox::{BlackBox, Reading};
use crate::pool::job::WorkerName;
use crate::pool::oom::Suspicion;
use crate::pool::output::Output;
use crate::pool::station::lock;

/// What mends a want of memory.
const ROOM: &str = "\nhint: a smaller batch_size or fewer workers take less memory; or give the process more";

/// Everything that was found at a worker's death.
#[derive(Debug)]
pub(crate) struct Autopsy {
    pub(crate) worker: Arc<WorkerName>,
    pub(crate) death: Death,
    pub(crate) suspicion: Suspicion,
    pub(crate) reading: Option<Reading>,
    pub(crate) phase: Option<Phase>,
    pub(crate) subject: Option<String>,
    pub(crate) stack: Option<String>,
    pub(crate) rss: Option<u64>,
    pub(crate) peak_rss: Option<u64>,
    pub(crate) stderr: Vec<String>,
    /// How it broke the protocol, if it did.
    pub(crate) breach: Option<String>,
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
        let reading = blackbox.read();
        let phase = reading.and_then(|reading| reading.phase);
        let subject = match phase {
            Some(Phase::Import | Phase::View) => blackbox.subject(),
            _ => None,
        };
        let (End { death, peak_rss, .. }, stack) = (end, blackbox.text());
        Self { worker, death, suspicion, reading, phase, subject, stack, rss: None, peak_rss, stderr, breach }
    }

    /// What little is found at the death of a worker that never was a process.
    #[cfg(test)]
    pub(crate) fn bare(worker: Arc<WorkerName>, end: End, reading: Reading, breach: Option<String>) -> Self {
        Self {
            worker,
            death: end.death,
            suspicion: Suspicion::None,
            reading: Some(reading),
            phase: None,
            subject: None,
            stack: None,
            rss: None,
            peak_rss: end.peak_rss,
            stderr: Vec::new(),
            breach,
        }
    }

    /// How it ended, and while it did what.
    pub(super) fn story(&self) -> String {
        match self.death {
            // That it was idle then says nothing.
            Death::Recycled(_) => self.death.to_string(),
            _ => self.told(self.clause().as_deref()),
        }
    }

    fn clause(&self) -> Option<String> {
        self.phase.map(|phase| phase.clause(self.subject.as_deref()))
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
    pub(super) fn error(&self, verdict: Verdict) -> ItemError {
        let (kind, message) = match verdict {
            // The one that is charged with a death before its time has requeued too often.
            Verdict::Crash if matches!(self.phase, None | Some(Phase::Idle)) => {
                self.of_itself(Some("before this call had ended"))
            }
            Verdict::Crash => self.of_itself(self.clause().as_deref()),
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
        self.report(kind, message)
    }

    /// The error of a call meant for this worker alone that it did not live to run.
    pub(super) fn lost(&self) -> ItemError {
        let (kind, message) = self.of_itself(Some("before it could run this call"));
        self.report(kind, message)
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
        WorkerReport {
            death: Some(self.death),
            phase: self.phase,
            subject: self.subject.clone(),
            running: self.reading.filter(|reading| reading.call != 0).map(|reading| reading.running),
            rss: self.rss,
            peak_rss: self.peak_rss,
            stderr: self.stderr.clone(),
            ..WorkerReport::new(self.worker.name.clone(), self.worker.pid)
        }
    }

    fn report(&self, kind: ErrorKind, message: String) -> ItemError {
        let report = self.findings();
        ItemError::new(kind, message).with_traceback(self.stack.clone(), Vec::new()).with_worker(report)
    }
}

fn overdue(limit: Duration) -> String {
    format!("the call ran past its deadline of {} s, and its worker was killed", limit.as_secs_f64())
}
