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
use crate::wire::Profile;

/// Bytes of a slot.
const SLOT: u64 = 512;
/// Bytes for the text.
const TEXT: u64 = 60 * 1024;
/// Bytes for the withheld answers of a process, which stand behind its slot: their length, then the frames.
const WITHHELD: u64 = 16 * 1024;
/// Where the subject stands in the one slot of a process, and in a slot of the others.
const SUBJECT: u64 = 2048;
const SUBJECT_OF_SEVERAL: u64 = 32;
/// Bytes of a subject, at most.
const LONGEST_SUBJECT: usize = 256;

/// What a slot of the black box says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) slot: usize,
    /// The running call; 0 when idle.
    pub(super) call: CallId,
    /// Since when.
    pub(super) running: Duration,
    /// In which phase; none if it names one that is not known here.
    pub(super) phase: Option<Phase>,
}

/// The host's end of a worker's black box.
#[derive(Debug)]
pub(super) struct BlackBox {
    fd: OwnedFd,
    profile: Profile,
    /// Where the slots end.
    slots: u64,
    /// Where the text begins.
    text: u64,
}

impl BlackBox {
    /// An empty black box, sealed against shrinking and growing, positioned where the text goes.
    pub(super) fn new(profile: Profile) -> Result<Self, Errno> {
        let fd =
            rustix::fs::memfd_create("slither-black-box", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let slots = (profile.boxes() as u64 * SLOT).next_multiple_of(4096);
        let text = if profile == Profile::Process { slots + WITHHELD } else { slots };
        rustix::fs::ftruncate(&fd, text + TEXT)?;
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        rustix::fs::seek(&fd, SeekFrom::Start(text))?;
        Ok(Self { fd, profile, slots, text })
    }

    /// How the worker runs its calls.
    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// What each slot says; but for those that change faster than they can be read.
    pub(super) fn read(&self) -> Vec<Reading> {
        let mut before = self.raw();
        let mut open: Vec<usize> = (0..before.len()).collect();
        let mut readings = Vec::new();
        for _ in 0..8 {
            let after = self.raw();
            let now = clock_gettime(ClockId::Monotonic);
            let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
            open.retain(|slot| {
                let (Some(was), Some(is)) = (before.get(*slot), after.get(*slot)) else { return false };
                if was == is {
                    readings.push(reading(*slot, *is, now));
                }
                was != is
            });
            if open.is_empty() {
                break;
            }
            before = after;
        }
        readings.sort_by_key(|reading| reading.slot);
        readings
    }

    /// The first words of each slot.
    fn raw(&self) -> Vec<[u64; 3]> {
        let mut bytes = vec![0; self.profile.boxes() * SLOT as usize];
        let read = rustix::io::pread(&self.fd, &mut bytes, 0).unwrap_or(0);
        let words = |slot: &[u8]| {
            let (words, _) = slot.as_chunks::<8>();
            [0, 1, 2].map(|word| u64::from_le_bytes(words[word]))
        };
        bytes[..read].chunks_exact(SLOT as usize).map(words).collect()
    }

    /// What the phase of a slot is about: the view that is waited for, or the function that is imported.
    pub(super) fn subject(&self, slot: usize) -> Option<String> {
        let mut bytes = [0; 2 + LONGEST_SUBJECT];
        let at = match self.profile {
            Profile::Process => SUBJECT,
            _ => slot as u64 * SLOT + SUBJECT_OF_SEVERAL,
        };
        let read = rustix::io::pread(&self.fd, &mut bytes, at).ok()?;
        let (length, text) = bytes[..read].split_first_chunk::<2>()?;
        let text = text.get(..usize::from(u16::from_le_bytes(*length)))?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// The frames that the worker has withheld: as many bytes as it says, whatever they are.
    pub(super) fn withheld(&self) -> Vec<u8> {
        if self.text == self.slots {
            return Vec::new();
        }
        let mut bytes = vec![0; WITHHELD as usize];
        let read = rustix::io::pread(&self.fd, &mut bytes, self.slots).unwrap_or(0);
        bytes.truncate(read);
        let Some((length, frames)) = bytes.split_first_chunk::<8>() else { return Vec::new() };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        frames[..length.min(frames.len())].to_vec()
    }

    /// What `faulthandler` wrote: stacks, or nothing.
    pub(super) fn text(&self) -> Option<String> {
        let mut bytes = vec![0; TEXT as usize];
        let read = rustix::io::pread(&self.fd, &mut bytes, self.text).ok()?;
        let end = bytes[..read].iter().position(|byte| *byte == 0).unwrap_or(read);
        (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}

fn reading(slot: usize, [started, call, phase]: [u64; 3], now: Duration) -> Reading {
    Reading {
        slot,
        call,
        running: now.saturating_sub(Duration::from_nanos(started)),
        phase: match phase as u32 {
            0 => Some(Phase::Idle),
            1 => Some(Phase::Decode),
            2 => Some(Phase::User),
            3 => Some(Phase::Encode),
            4 => Some(Phase::View),
            5 => Some(Phase::Import),
            6 => Some(Phase::Await),
            _ => None,
        },
    }
}

impl AsFd for BlackBox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
