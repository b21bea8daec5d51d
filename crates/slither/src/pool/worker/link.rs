//! What a keeper may do to its worker's process: the trait [`Link`], and [`Process`], which does it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::{Signal, pidfd_send_signal};

use super::connection::Connection;
use super::machine::{CallId, How};
use super::report::Autopsy;
use super::stacks::Stacks;
use crate::error::{Death, Phase};
use crate::pool::blackbox::{BlackBox, Reading};
use crate::pool::job::WorkerName;
use crate::pool::oom::{Claims, Suspicion, Watch};
use crate::pool::output::Output;
use crate::wire::{Frame, Profile, WireError};

/// How a worker ended, as far as its keeper knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) death: Death,
    /// The most bytes of memory that it ever occupied.
    pub(crate) peak_rss: Option<u64>,
    /// The keeper itself has sent it SIGKILL.
    pub(crate) killed: bool,
}

/// A keeper's hold on its worker.
pub(crate) trait Link {
    /// Has a frame written before the keeper next sleeps, without ever blocking.
    fn write(&mut self, frame: &[u8]);

    /// Reads once; false if nothing was there.
    fn receive(&mut self) -> bool;

    /// The next whole frame of what was read.
    fn next(&mut self) -> Result<Option<Frame>, WireError>;

    /// Reads no more.
    fn end(&mut self);

    /// Since when nothing more comes, if so.
    fn ended(&self) -> Option<Instant>;

    /// What the end of the stream cut off, if it did.
    fn cut_off(&self) -> Option<WireError>;

    /// Sends a signal; one that is gone already needs none.
    fn signal(&self, signal: Signal);

    /// What the worker is doing, slot by slot; but for what changes faster than it can be read.
    fn readings(&self) -> Vec<Reading>;

    /// How a call runs that such a reading is of.
    fn how(&self, reading: &Reading) -> How;

    /// The answers that the worker has ready and has not sent yet, as it wrote them.
    fn withheld(&self) -> Vec<u8>;

    /// How many bytes it has written of the stacks that it was asked for; none while that of this call's task is missing.
    fn dumped(&self, call: Option<CallId>) -> usize;

    /// What is found at its death.
    fn autopsy(&self, worker: Arc<WorkerName>, end: End, breach: Option<String>) -> Autopsy;
}

/// A process with its socket, its black box and what it prints.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) connection: Connection,
    pidfd: OwnedFd,
    blackbox: BlackBox,
    stderr: Arc<Mutex<Output>>,
    claims: Arc<Claims>,
    /// What tells whether it died for want of memory; looked at from the start.
    watch: Option<Watch>,
}

impl Process {
    pub(crate) fn new(
        socket: OwnedFd,
        pidfd: OwnedFd,
        blackbox: BlackBox,
        stderr: Arc<Mutex<Output>>,
        claims: Arc<Claims>,
        max_frame: usize,
    ) -> Self {
        let connection = Connection::new(socket, max_frame);
        Self { connection, pidfd, blackbox, stderr, claims, watch: None }
    }

    /// Looks at the counts that its end will be judged by.
    pub(super) fn watch(&mut self, pid: u32) {
        self.watch = Some(Watch::begin(pid));
    }
}

impl Link for Process {
    fn write(&mut self, frame: &[u8]) {
        self.connection.write(frame);
    }

    fn receive(&mut self) -> bool {
        self.connection.receive()
    }

    fn next(&mut self) -> Result<Option<Frame>, WireError> {
        self.connection.next()
    }

    fn end(&mut self) {
        self.connection.end();
    }

    fn ended(&self) -> Option<Instant> {
        self.connection.ended()
    }

    fn cut_off(&self) -> Option<WireError> {
        self.connection.cut_off()
    }

    fn signal(&self, signal: Signal) {
        // A worker that is gone already needs no signal: an error means just that.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }

    fn readings(&self) -> Vec<Reading> {
        self.blackbox.read()
    }

    fn how(&self, reading: &Reading) -> How {
        match self.blackbox.profile() {
            // The slot behind those of its tasks is the thread's beside the loop.
            Profile::Async { concurrency } if reading.slot < concurrency => match reading.phase {
                Some(Phase::Await) => How::Awaiting,
                _ => How::Task,
            },
            _ => How::Thread,
        }
    }

    fn withheld(&self) -> Vec<u8> {
        self.blackbox.withheld()
    }

    fn dumped(&self, call: Option<CallId>) -> usize {
        let text = self.blackbox.text().unwrap_or_default();
        let written = text.len();
        match (self.blackbox.profile(), call) {
            (Profile::Async { .. }, Some(call)) if Stacks::new(text).of_task(call).is_none() => 0,
            _ => written,
        }
    }

    fn autopsy(&self, worker: Arc<WorkerName>, end: End, breach: Option<String>) -> Autopsy {
        let suspicion = match &self.watch {
            Some(watch) if end.death == Death::KILLED && !end.killed => {
                watch.judge(end.peak_rss, &self.claims)
            }
            _ => Suspicion::None,
        };
        Autopsy::new(worker, end, suspicion, &self.blackbox, &self.stderr, breach)
    }
}

impl AsFd for Process {
    /// Readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
