//! What a worker is doing, in memory that outlives it.
//!
//! The host never maps it: it reads the memfd with `pread`, so that no worker can hurt it by truncating.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::worker::CallId;
use crate::error::Phase;

const SIZE: u64 = 64 * 1024;
const SUBJECT: u64 = 2048;
const TEXT: u64 = 4096;

/// What the black box says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// The running call; 0 when idle.
    pub(super) call: CallId,
    /// Since when.
    pub(super) running: Duration,
    /// In which phase; none if it names one that is not known here.
    pub(super) phase: Option<Phase>,
}

/// The host's end of a worker's black box.
#[derive(Debug)]
pub(super) struct BlackBox(OwnedFd);

impl BlackBox {
    /// An empty black box, sealed against shrinking and growing, positioned where the text goes.
    pub(super) fn new() -> Result<Self, Errno> {
        let fd =
            rustix::fs::memfd_create("slither-black-box", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, SIZE)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        rustix::fs::seek(&fd, SeekFrom::Start(TEXT))?;
        Ok(Self(fd))
    }

    /// What the worker is doing; none if it changes faster than it can be read.
    pub(super) fn read(&self) -> Option<Reading> {
        let mut before = self.raw()?;
        for _ in 0..8 {
            let after = self.raw()?;
            if before == after {
                let [started, call, phase] = after;
                let now = clock_gettime(ClockId::Monotonic);
                let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
                return Some(Reading {
                    call,
                    running: now.saturating_sub(Duration::from_nanos(started)),
                    phase: match phase as u32 {
                        0 => Some(Phase::Idle),
                        1 => Some(Phase::Decode),
                        2 => Some(Phase::User),
                        3 => Some(Phase::Encode),
                        4 => Some(Phase::View),
                        5 => Some(Phase::Import),
                        _ => None,
                    },
                });
            }
            before = after;
        }
        None
    }

    fn raw(&self) -> Option<[u64; 3]> {
        let mut bytes = [0; 24];
        (rustix::io::pread(&self.0, &mut bytes, 0) == Ok(24)).then(|| {
            let (words, _) = bytes.as_chunks::<8>();
            [0, 1, 2].map(|word| u64::from_le_bytes(words[word]))
        })
    }

    /// What the phase is about: the view that is waited for, or the function that is imported.
    pub(super) fn subject(&self) -> Option<String> {
        let mut bytes = [0; (TEXT - SUBJECT) as usize];
        let read = rustix::io::pread(&self.0, &mut bytes, SUBJECT).ok()?;
        let (length, text) = bytes[..read].split_first_chunk::<2>()?;
        let text = text.get(..usize::from(u16::from_le_bytes(*length)))?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// What `faulthandler` wrote: a stack, or nothing.
    pub(super) fn text(&self) -> Option<String> {
        let mut bytes = vec![0; (SIZE - TEXT) as usize];
        let read = rustix::io::pread(&self.0, &mut bytes, TEXT).ok()?;
        let end = bytes[..read].iter().position(|byte| *byte == 0).unwrap_or(read);
        (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

impl AsFd for BlackBox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
