//! Workers to be: what is asked of the nursery, and what it says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};

use super::driver::Driver;
use super::machine::{Cause, Epoch, Event};
use super::nursery::pipe;
use crate::error::{Death, ItemError};
use crate::pool::blackbox::BlackBox;
use crate::pool::clock::now;
use crate::pool::job::WorkerName;
use crate::pool::station::{Order, Sentence, Station, lock};
use crate::pool::worker::{Keeper, Parts, Process};
use crate::python::Gil;
use crate::telemetry::{self, WorkerStarted};
use crate::wire::{self, FromNursery, Profile, ToNursery};

/// The host's ends of a worker that is being started.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) slot: usize,
    pub(super) socket: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) blackbox: BlackBox,
    pub(super) token: OwnedFd,
}

/// A worker that was started, and the thread that keeps it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) station: Arc<Station>,
    pub(super) slot: usize,
    pub(super) started: Instant,
    /// The nursery has buried it: its number may be another's by now.
    pub(super) reaped: bool,
    pub(super) thread: std::thread::JoinHandle<()>,
}

impl Driver {
    pub(super) fn start(&mut self, slot: usize, epoch: Epoch) -> io::Result<()> {
        let nursery = self.nursery.as_ref().ok_or_else(|| io::Error::other("there is no nursery"))?;
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let (stdout, their_stdout) = pipe()?;
        let (stderr, their_stderr) = pipe()?;
        let blackbox = BlackBox::new(self.launch.setup.profile)?;
        let token = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE)?;
        nursery.send(
            &ToNursery::Start { epoch, slot },
            &[theirs.as_fd(), their_stdout.as_fd(), their_stderr.as_fd(), blackbox.as_fd(), token.as_fd()],
        )?;
        self.pending.insert(epoch, Pending { slot, socket, stdout, stderr, blackbox, token });
        Ok(())
    }

    pub(super) fn read_nursery(&mut self) {
        while let Some(nursery) = &mut self.nursery {
            match nursery.receive() {
                Ok(Some((packet, fd))) => self.hear(packet, fd),
                Ok(None) => return,
                Err(_) => return self.lose_nursery(),
            }
        }
    }

    fn hear(&mut self, packet: FromNursery, fd: Option<OwnedFd>) {
        match packet {
            FromNursery::Ready { reason, python, implementation, gil, gil_build, gil_by, start, pid } => {
                tracing::debug!(
                    target: "slither", pool = &*self.pool, pid, python, implementation, gil, gil_build, start,
                    "the nursery is ready"
                );
                self.say_if_serial(&python, &Gil::new(gil, gil_build, gil_by));
                if let Some(reason) = reason {
                    tracing::warn!(
                        target: "slither", pool = &*self.pool,
                        "workers are spawned afresh instead of forked: {reason}"
                    );
                }
                self.on(Event::NurseryReady);
            }
            FromNursery::Failed { error } => {
                let error = ItemError::from(error);
                self.on(Event::NurseryFailed(error.report()));
            }
            FromNursery::Started { epoch, pid } => {
                let Some(pending) = self.pending.remove(&epoch) else {
                    tracing::warn!(target: "slither", pool = &*self.pool, pid, "a worker nobody asked for is killed");
                    if let Some(pidfd) = fd {
                        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                    }
                    return;
                };
                let kept = match fd {
                    Some(pidfd) => self.keep(epoch, pid, pending, pidfd),
                    None => Err(io::Error::other("the nursery reported a start without its descriptor")),
                };
                if let Err(error) = kept {
                    let reason = format!("could not be kept: {error}");
                    self.lost(epoch, Cause::Nobody, reason);
                }
            }
            FromNursery::StartFailed { epoch, message } => {
                if self.pending.remove(&epoch).is_some() {
                    let reason = format!("could not be started: {message}");
                    self.lost(epoch, Cause::Nobody, reason);
                }
            }
            FromNursery::Exited { epoch, code, signal, max_rss } => {
                let death = match (code, signal) {
                    (_, Some(signal)) => Death::Signal(signal),
                    (Some(code), None) => Death::Code(code),
                    (None, None) => Death::Unknown,
                };
                if let Some(kept) = self.workers.get_mut(&epoch) {
                    kept.reaped = true;
                    kept.station.order(Order::Died(death, max_rss));
                }
            }
        }
    }

    /// Says once that the threads of the pool take turns, and why.
    fn say_if_serial(&mut self, python: &str, gil: &Gil) {
        let Profile::Thread { threads: 2.., io_bound: false } = self.launch.setup.profile else { return };
        if gil.on && !std::mem::replace(&mut self.serial_said, true) {
            tracing::warn!(
                target: "slither", pool = &*self.pool, python,
                "each worker runs one call at a time, whatever its threads: {gil}; a pool of processes runs more, or \
                 `io_bound(true)` if its calls mostly wait"
            );
        }
    }

    fn keep(&mut self, epoch: Epoch, pid: u32, pending: Pending, pidfd: OwnedFd) -> io::Result<()> {
        let Pending { slot, socket, stdout, stderr, blackbox, token } = pending;
        let worker = WorkerName { name: format!("{}/{slot}#{epoch}", self.pool), pid };
        telemetry::emit(self.labels(), &WorkerStarted::new(&self.pool, &worker.name, &pid));
        let max_frame = self.launch.setup.max_frame;
        let binds = lock(&self.bound)
            .iter()
            .enumerate()
            .filter_map(|(number, function)| wire::bind(number as u64 + 1, function, max_frame).ok())
            .collect();
        self.outputs.add(Some(epoch), stdout, &self.pool, &worker.name, "stdout");
        let stderr = self.outputs.add(Some(epoch), stderr, &self.pool, &worker.name, "stderr");
        let station = Arc::new(Station::new(worker, slot, epoch, token)?);
        let keeper = Keeper::new(Parts {
            station: station.clone(),
            link: Process::new(socket, pidfd, blackbox, stderr, self.claims.clone(), max_frame),
            queue: self.queue.clone(),
            notes: self.notes.clone(),
            service: self.service.clone(),
            graveyard: self.graveyard.clone(),
            max_frame,
            max_requests: self.plan.limits.max_requests,
            most_slots: self.launch.setup.profile.most(),
            in_order: self.launch.setup.profile == Profile::Process,
            cancels: self.launch.setup.profile.cancels(),
            binds,
        });
        let name = format!("slither-{}-{slot}", self.pool);
        let thread = std::thread::Builder::new().name(name).spawn(move || keeper.run())?;
        if let Some(deadline) = self.ending {
            station.order(ending(deadline));
        }
        self.workers.insert(epoch, Kept { station, slot, started: Instant::now(), reaped: false, thread });
        Ok(())
    }
}

/// What a worker is told that should have ended by `deadline`.
pub(crate) fn ending(deadline: Instant) -> Order {
    match deadline <= now() {
        true => Order::Kill(Sentence::Shutdown),
        false => Order::Drain { deadline },
    }
}
