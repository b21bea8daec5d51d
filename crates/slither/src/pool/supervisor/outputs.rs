//! The pipes that the nursery and the workers print to, until those are gone.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags};

use super::machine::Epoch;
use crate::pool::output::Output;
use crate::pool::station::lock;

/// Every pipe that something may still come from.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    /// The worker; none for the nursery.
    owner: Option<Epoch>,
    /// What is polled is kept beside what is locked, so that polling locks nothing.
    fd: Arc<OwnedFd>,
    output: Arc<Mutex<Output>>,
}

impl Outputs {
    /// Reads from `fd` from now on.
    pub(super) fn add(
        &mut self,
        owner: Option<Epoch>,
        fd: OwnedFd,
        pool: &Arc<str>,
        worker: &str,
        stream: &'static str,
    ) -> Arc<Mutex<Output>> {
        let fd = Arc::new(fd);
        let output = Output::new(fd.clone(), pool.clone(), worker.to_owned(), stream);
        let output = Arc::new(Mutex::new(output));
        self.streams.push(Stream { owner, fd, output: output.clone() });
        output
    }

    /// Reads what has come, and lets go of what has ended.
    pub(super) fn drain(&mut self) {
        self.streams.retain(|stream| {
            let mut output = lock(&stream.output);
            output.drain();
            output.open()
        });
    }

    /// The owner is dead: what it had printed is read, and its pipes are closed, whoever else still holds them.
    /// Returns the last line.
    pub(super) fn close(&mut self, owner: Option<Epoch>) -> Option<String> {
        let mut last = None;
        self.streams.retain(|stream| {
            if stream.owner != owner {
                return true;
            }
            let mut output = lock(&stream.output);
            output.drain();
            last = output.tail().pop().or(last.take());
            output.close();
            false
        });
        last
    }

    /// What to wait for.
    pub(super) fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.streams.iter().map(|stream| PollFd::new(&stream.fd, PollFlags::IN))
    }
}
