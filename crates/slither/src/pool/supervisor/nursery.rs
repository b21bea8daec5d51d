//! The nursery: the process that preloads once and forks workers on request.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};

use super::family;
use crate::error::Death;
use crate::python::Environment;
use crate::wire::{FromNursery, MAX_PACKET, Setup, ToNursery};

/// How a nursery is launched.
#[derive(Debug)]
pub(crate) struct Launch {
    /// The interpreter, the SDK and what the interpreter lacks.
    pub(crate) python: Environment,
    /// The whole environment of the nursery and its workers.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// The first packet.
    pub(crate) setup: Setup,
}

/// A running nursery.
#[derive(Debug)]
pub(super) struct Nursery {
    control: OwnedFd,
    child: Child,
    /// Where packets are received, over and over.
    packet: Box<[u8]>,
}

impl Nursery {
    /// Launches a nursery; returns it with the reading ends of its standard output and error.
    pub(super) fn launch(launch: &Launch) -> io::Result<(Self, OwnedFd, OwnedFd)> {
        let (control, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let (stdout, their_stdout) = pipe()?;
        let (stderr, their_stderr) = pipe()?;
        let child = launch
            .python
            .command("slither._nursery")
            .env_clear()
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::from(their_stdout))
            .stderr(Stdio::from(their_stderr))
            .spawn()?;
        let nursery = Self { control, child, packet: vec![0; MAX_PACKET].into() };
        nursery.send(&ToNursery::Setup(launch.setup.clone()), &[])?;
        Ok((nursery, stdout, stderr))
    }

    /// Sends a packet with descriptors.
    pub(super) fn send(&self, packet: &ToNursery, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = packet.encode().map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(5))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("more than five descriptors"));
        }
        sendmsg(&self.control, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next packet with its descriptor; none if none has come, an error if none will come.
    pub(super) fn receive(&mut self) -> io::Result<Option<(FromNursery, Option<OwnedFd>)>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut packet = [IoSliceMut::new(&mut self.packet)];
        let received = match recvmsg(&self.control, &mut packet, &mut ancillary, flags) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut fd = None;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                fd = fd.or(fds.into_iter().next());
            }
        }
        let packet = FromNursery::decode(&self.packet[..received.bytes]).map_err(io::Error::other)?;
        Ok(Some((packet, fd)))
    }

    /// Kills the nursery, and before it what is below it: its workers, and whatever they have started.
    pub(super) fn kill(&mut self) {
        if !self.ended() {
            family::kill_below(self.child.id());
        }
        let _ = self.child.kill();
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Waits for its end, which was asked for or forced; says how it ended.
    pub(super) fn wait(&mut self) -> Death {
        match self.child.wait() {
            Ok(status) => match (status.code(), status.signal()) {
                (_, Some(signal)) => Death::Signal(signal),
                (Some(code), None) => Death::Code(code),
                (None, None) => Death::Unknown,
            },
            Err(_) => Death::Unknown,
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // Already reaped, in all but the cases in which it could not be set up.
        self.kill();
        self.wait();
    }
}

impl AsFd for Nursery {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

/// A pipe whose reading end does not block and stays in this process.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}
