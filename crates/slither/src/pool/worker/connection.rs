//! A worker's socket: frames out in one go and without ever blocking, frames in as they become whole.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::pool::clock::now;
use crate::wire::{Frame, FrameReader, WireError};

/// A longer piece is sent from where it is.
const COPIED: usize = 64 * 1024;

/// The host's end of the connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    reader: FrameReader,
    /// What was not sent yet, from `sent` on.
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

    /// Has `bytes` sent by the next [`flush`](Self::flush), with what else comes until then; what is not worth copying
    /// is sent now, as far as the socket takes it.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let mut done = 0;
        if bytes.len() > COPIED {
            self.flush();
            if self.unsent.is_empty() {
                done = self.try_send(bytes);
            }
        }
        self.unsent.extend_from_slice(&bytes[done..]);
    }

    /// Sends what was kept, as far as the socket takes it; false if it takes nothing, or there is nothing.
    ///
    /// It never blocks, because a worker that writes a large answer does not read meanwhile.
    pub(super) fn flush(&mut self) -> bool {
        if self.unsent.is_empty() {
            return false;
        }
        let mut unsent = std::mem::take(&mut self.unsent);
        let done = self.try_send(&unsent[self.sent..]);
        self.sent += done;
        if self.sent == unsent.len() {
            self.sent = 0;
            unsent.clear();
            // The memory is used again, unless a large frame has made it large.
            unsent.shrink_to(COPIED);
        }
        self.unsent = unsent;
        done > 0
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

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// A connection, and its other end; packets show what was sent in one go.
    fn pair(kind: SocketType) -> (Connection, OwnedFd) {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        (Connection::new(ours, 1 << 20), theirs)
    }

    fn read(socket: &OwnedFd) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 20];
        match recv(socket, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((count, _)) => bytes[..count].to_vec(),
            Err(Errno::AGAIN) => Vec::new(),
            Err(errno) => panic!("{errno}"),
        }
    }

    #[test]
    fn what_is_written_between_two_flushes_is_sent_in_one_go() {
        let (mut connection, other) = pair(SocketType::SEQPACKET);
        connection.write(b"a call");
        connection.write(b", and the one ahead");
        assert_eq!(read(&other), b"", "not before the flush");
        assert!(connection.flush());
        assert_eq!(read(&other), b"a call, and the one ahead");
        assert!(!connection.flush(), "nothing is left");
        assert_eq!(read(&other), b"");
    }

    #[test]
    fn a_long_piece_is_sent_at_once_and_overtakes_nothing() {
        let (mut connection, other) = pair(SocketType::SEQPACKET);
        connection.write(b"before");
        connection.write(&[7; COPIED + 1]);
        connection.write(b"behind");
        assert_eq!(read(&other), b"before");
        assert_eq!(read(&other), [7; COPIED + 1]);
        assert!(connection.flush());
        assert_eq!(read(&other), b"behind");
    }

    #[test]
    fn what_the_socket_does_not_take_is_kept_in_order() {
        let (mut connection, other) = pair(SocketType::STREAM);
        let sent: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 1000) as u8).collect();
        for piece in sent.chunks(COPIED + 1000) {
            connection.write(piece);
        }
        assert!(connection.interest().contains(PollFlags::OUT), "the socket is full");
        let mut came = Vec::new();
        loop {
            let bytes = read(&other);
            came.extend_from_slice(&bytes);
            if bytes.is_empty() && !connection.flush() {
                break;
            }
        }
        assert!(came == sent, "{} bytes of {} came", came.len(), sent.len());
        assert!(!connection.interest().contains(PollFlags::OUT));
    }
}
