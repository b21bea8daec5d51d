//! The thread that a keeper lives on: it sleeps until something happens, and decides nothing.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::keeper::{Keeper, SILENT};
use super::link::Process;
use crate::pool::clock::until;

/// How long the nursery may take to say how a worker ended.
pub(crate) const REAP: Duration = Duration::from_secs(2);

impl Keeper<Process> {
    /// Keeps the worker until it is gone.
    pub(crate) fn run(mut self) {
        self.link.watch(self.station.worker.pid);
        loop {
            self.turn();
            // Always before it sleeps, and while it sends there may be more to do.
            while self.link.connection.flush() {
                self.turn();
            }
            if self.wait() {
                break;
            }
        }
        self.retire();
        let limit = Instant::now() + REAP;
        while self.death.is_none() && Instant::now() < limit {
            let _ = poll(&mut [PollFd::new(&self.station.bell, PollFlags::IN)], until(Some(limit)).as_ref());
            self.take_orders();
        }
        self.bury();
    }

    /// Sleeps until something happens, and takes in what came; true when the worker's process is gone and all
    /// it sent was read.
    fn wait(&mut self) -> bool {
        let timeout = until(self.due());
        let interest = self.link.connection.interest();
        let (rang, gone, socket) = {
            let mut fds = [
                PollFd::new(&self.station.bell, PollFlags::IN),
                PollFd::new(&self.link, PollFlags::IN),
                PollFd::new(&self.link.connection, interest),
            ];
            // After the end of its stream the socket would be ready for ever.
            let watched = if interest.is_empty() { &mut fds[..2] } else { &mut fds[..] };
            if poll(watched, timeout.as_ref()).is_err() {
                return false;
            }
            let ready = |at: usize| !fds[at].revents().is_empty();
            (ready(0), ready(1), fds[2].revents())
        };
        if rang && !self.station.bell.rang() {
            // It was silenced between being marked and being written to: what it rang for is done.
            self.take_orders();
        }
        if socket.intersects(PollFlags::OUT) {
            self.link.connection.flush();
        }
        if socket.intersects(!PollFlags::OUT) {
            self.receive();
        }
        let now = Instant::now();
        if gone {
            // Everything that it managed to send counts, but not what a child of its keeps sending.
            while self.receive() && now.elapsed() < SILENT {}
        }
        let abandoned = self.abandons();
        if abandoned && !gone {
            let worker = &self.station.worker;
            tracing::error!(
                target: "slither", worker = worker.name, pid = worker.pid,
                "SIGKILL did not end the worker; it is abandoned"
            );
        }
        gone || abandoned
    }
}
