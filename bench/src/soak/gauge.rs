//! What processes hold: memory, descriptors, threads and children, as `/proc` says it.

use std::fs;

/// What one process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    /// Resident memory in KiB.
    pub(super) rss: u64,
    pub(super) fds: u64,
    pub(super) threads: u64,
    /// Of these, Slither's own. The others are the runtime's: its workers, and those for blocking work, of which a
    /// burst leaves as many as it needed until they have been idle for a while.
    pub(super) own_threads: u64,
}

impl Holdings {
    /// None if the process is gone, or going.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(Self {
            rss: rss.trim().trim_end_matches(" kB").parse().ok()?,
            fds: entries(&format!("/proc/{pid}/fd"))?,
            threads: entries(&format!("/proc/{pid}/task"))?,
            own_threads: own_threads(pid)?,
        })
    }
}

fn entries(folder: &str) -> Option<u64> {
    Some(fs::read_dir(folder).ok()?.count() as u64)
}

/// Its threads whose names begin as Slither's do.
fn own_threads(pid: u32) -> Option<u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    // The main thread is named after the program, `slither-bench`.
    Some(names.filter(|name| name.starts_with("slither") && !name.starts_with("slither-bench")).count() as u64)
}

/// A process's parent; none if it is gone or a zombie.
pub(super) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    if words.next()? == "Z" { None } else { words.next()?.parse().ok() }
}

/// The live children of a process.
pub(super) fn children(pid: u32) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|child| parent(*child) == Some(pid)).count() as u64
}

/// Seconds of processor time that a process and its descendants have used: those that were reaped by a parent which
/// lives among them, too.
pub(super) fn busy(root: u32) -> f64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0.0 };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<(u32, u32, u64)> = pids.filter_map(times).collect();
    let mut family = vec![root];
    let mut at = 0;
    while let Some(one) = family.get(at).copied() {
        family.extend(all.iter().filter(|(_, parent, _)| *parent == one).map(|(pid, ..)| *pid));
        at += 1;
    }
    let ticks: u64 = all.iter().filter(|(pid, ..)| family.contains(pid)).map(|(_, _, ticks)| ticks).sum();
    // The kernel shows times in hundredths of a second.
    ticks as f64 / 100.0
}

/// A process, its parent, and its time in ticks, that of its reaped children included.
fn times(pid: u32) -> Option<(u32, u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| words.get(at)?.parse::<u64>().ok();
    let ticks = (11..15).map(number).sum::<Option<u64>>()?;
    Some((pid, u32::try_from(number(1)?).ok()?, ticks))
}
