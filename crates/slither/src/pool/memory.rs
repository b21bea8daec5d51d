//! How much memory a worker takes: the last sample of `/proc/<pid>/statm`, for whoever asks.
//!
//! It is the resident set, as `ps` and `top` show it: pages that a fork shares with its nursery count from the start, so
//! that a worker's growth is what it has allocated since. `smaps` would tell shared pages apart, but walks every page
//! under the lock of the address space, which the worker's own page faults wait for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a pool samples the memory of its workers.
pub(super) const EVERY: Duration = Duration::from_millis(250);

/// What a worker took when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// Its resident set, in bytes.
    pub(super) rss: u64,
    /// How long ago that was.
    pub(super) age: Duration,
}

/// The memory of one process. Sampled by its keeper once and then by the supervisor; read by anyone.
#[derive(Debug)]
pub(super) struct Memory {
    /// Opened while the process lives: once it is dead, nothing is read of another one under its number.
    statm: Option<File>,
    born: Instant,
    /// In bytes; 0 before the first sample.
    rss: AtomicU64,
    /// Nanoseconds from `born` to the sample.
    at: AtomicU64,
    /// In bytes; 0 before it is ready.
    baseline: AtomicU64,
}

impl Memory {
    /// The memory of a process that may be gone already.
    pub(super) fn of(pid: u32) -> Self {
        Self {
            statm: File::open(format!("/proc/{pid}/statm")).ok(),
            born: Instant::now(),
            rss: AtomicU64::new(0),
            at: AtomicU64::new(0),
            baseline: AtomicU64::new(0),
        }
    }

    /// When its process was taken on.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Looks again, and keeps what it finds. Of a process that is dead the last sample is left as it is.
    pub(super) fn sample(&self) {
        let Some(rss) = self.statm.as_ref().and_then(resident) else { return };
        let at = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.store(at, Ordering::Relaxed);
        // After the time, so that no sample looks older than it is but by the length of this.
        self.rss.store(rss, Ordering::Release);
    }

    /// Takes what it has now for what a worker needs that has done nothing yet.
    pub(super) fn settle(&self) {
        self.sample();
        self.baseline.store(self.rss.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The last sample, if there is one.
    pub(super) fn last(&self) -> Option<Sample> {
        let rss = self.rss.load(Ordering::Acquire);
        let at = Duration::from_nanos(self.at.load(Ordering::Relaxed));
        (rss > 0).then(|| Sample { rss, age: self.born.elapsed().saturating_sub(at) })
    }

    /// By how many bytes the last sample is over the baseline.
    pub(super) fn growth(&self) -> u64 {
        match self.baseline.load(Ordering::Relaxed) {
            0 => 0,
            baseline => self.rss.load(Ordering::Acquire).saturating_sub(baseline),
        }
    }
}

/// The second number of `statm`, which counts pages; none of a process that has none, because it is dead.
fn resident(statm: &File) -> Option<u64> {
    let mut text = [0; 128];
    let read = statm.read_at(&mut text, 0).ok()?;
    let pages: u64 = std::str::from_utf8(&text[..read]).ok()?.split(' ').nth(1)?.parse().ok()?;
    (pages > 0).then(|| pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::Stdio;

    use super::*;

    #[test]
    fn what_is_allocated_and_touched_is_seen() {
        // In a process of its own: what other tests give back would count against it.
        let script =
            "import sys; print(flush=True); input(); held = b'x' * (64 << 20); print(flush=True); input()";
        let mut child = std::process::Command::new("python3")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut said) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut line = String::new();
        assert_eq!(said.read_line(&mut line).unwrap(), 1);
        let memory = Memory::of(child.id());
        assert_eq!((memory.last(), memory.growth()), (None, 0));
        memory.settle();
        let before = memory.last().unwrap();
        input.write_all(b"\n").unwrap();
        assert_eq!(said.read_line(&mut line).unwrap(), 1);
        assert_eq!(memory.last().unwrap().rss, before.rss, "not before it is sampled");
        memory.sample();
        let grown = memory.growth();
        assert!((60 << 20..72 << 20).contains(&grown), "{grown} bytes");
        assert_eq!(memory.last().unwrap().rss, before.rss + grown);
        input.write_all(b"\n").unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn of_the_dead_the_last_sample_stays() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let memory = Memory::of(child.id());
        memory.sample();
        let last = memory.last().unwrap().rss;
        child.kill().unwrap();
        child.wait().unwrap();
        memory.sample();
        assert_eq!(memory.last().unwrap().rss, last);
        assert_eq!(Memory::of(0).last(), None);
    }
}
