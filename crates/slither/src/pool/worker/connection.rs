//! A worker's socket: frames out without ever blocking, frames in as they become whole.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::pool::clock::now;
use crate::wire::{Frame, FrameReader, WireError};

/// The host's end of the connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    reader: FrameReader,
    /// What the socket would not take yet, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// Since when nothing more comes.
    ended: Option<Instant>,
}

impl Connection {
    /// Frames larger than `max_frame` are refused when they are read.
    pub(super) fn new(socket: OwnedFd, max_frame: usize) -> Self {
        Self { socket, reader: FrameReader::new(max_frame), unsent: Vec::new(), sent: 0, ended: None }
    }

    /// Writes what the socket takes now, and keeps the rest.
    ///
    /// It never blocks, because a worker that writes a large answer does not read meanwhile.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let done = if self.unsent.is_empty() { self.try_send(bytes) } else { 0 };
        self.unsent.extend_from_slice(&bytes[done..]);
    }

    /// Writes what was kept, as far as the socket takes it.
    pub(super) fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        self.sent += self.try_send(&unsent[self.sent..]);
        if self.sent < unsent.len() {
            self.unsent = unsent;
        } else {
            self.sent = 0;
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match send(&self.socket, &bytes[done..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The reading side is gone: its end will be seen when it is polled.
                Err(_) => return bytes.len(),
            }
        }
        done
    }

    /// Reads once; false if nothing was there.
    pub(super) fn receive(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let read = loop {
            match recv(&self.socket, self.reader.space(), RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Ok((count, _)) => break Ok(count),
                Err(errno) => break Err(errno),
            }
        };
        match read {
            Ok(count) if count > 0 => self.reader.filled(count),
            Err(Errno::AGAIN) => return false,
            Ok(_) | Err(_) => self.end(),
        }
        true
    }

    /// The next whole frame of what was read.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, WireError> {
        self.reader.next()
    }

    /// Reads no more: the stream has ended, or nothing behind this point can be believed.
    pub(super) fn end(&mut self) {
        self.ended.get_or_insert_with(now);
    }

    /// Since when nothing more comes, if so.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.ended
    }

    /// What the end of the stream cut off, if it did.
    pub(super) fn cut_off(&self) -> Option<WireError> {
        self.reader.finish().err()
    }

    /// What to wait for; nothing once the stream has ended, because it would be ready for ever.
    pub(super) fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        if self.ended.is_none() {
            interest |= PollFlags::IN;
            if !self.unsent.is_empty() {
                interest |= PollFlags::OUT;
            }
        }
        interest
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
