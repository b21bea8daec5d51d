//! The error that a call gets when it dies with its worker: what died, how, and what it was doing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::machine::Verdict;
use crate::error::{Death, ErrorKind, ItemError, WorkerReport};
use crate::pool::blackbox::{BlackBox, Reading};
use crate::pool::job::WorkerName;
use crate::pool::output::Output;
use crate::pool::station::lock;

/// Everything that was found at a worker's death.
#[derive(Debug)]
pub(crate) struct Autopsy {
    pub(crate) worker: Arc<WorkerName>,
    pub(crate) death: Death,
    pub(crate) reading: Option<Reading>,
    pub(crate) stack: Option<String>,
    pub(crate) stderr: Vec<String>,
    /// How it broke the protocol, if it did.
    pub(crate) breach: Option<String>,
}

impl Autopsy {
    pub(super) fn new(
        worker: Arc<WorkerName>,
        death: Death,
        blackbox: &BlackBox,
        stderr: &Mutex<Output>,
        breach: Option<String>,
    ) -> Self {
        let mut stderr = lock(stderr);
        stderr.drain();
        let stderr = stderr.tail();
        Self { worker, death, reading: blackbox.read(), stack: blackbox.text(), stderr, breach }
    }

    /// The error of a call that died with the worker.
    pub(super) fn error(&self, verdict: Verdict) -> ItemError {
        let (kind, message) = match verdict {
            Verdict::Crash => (ErrorKind::Crash, format!("the worker {} while it ran this call", self.death)),
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
        self.report(ErrorKind::Crash, format!("the worker {} before it could run this call", self.death))
    }

    /// What is known of the worker.
    pub(super) fn findings(&self) -> WorkerReport {
        WorkerReport {
            worker: self.worker.name.clone(),
            pid: self.worker.pid,
            death: Some(self.death),
            phase: self.reading.map(|reading| reading.phase),
            running: self.reading.filter(|reading| reading.call != 0).map(|reading| reading.running),
            stderr: self.stderr.clone(),
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
