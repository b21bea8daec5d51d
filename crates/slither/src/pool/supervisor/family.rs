//! What a nursery has below it, for the case that it does not end it itself.
//!
//! Whatever a worker starts, in a session of its own too, is below the nursery as long as that lives, and nobody's
//! afterwards: so it is ended first.

use std::collections::HashMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;

/// What SIGKILL has not ended by then is left.
const PATIENCE: Duration = Duration::from_secs(1);
/// But so often it is sent, with so much time to die, also where this process does not run for a while: each time to
/// what had come up meanwhile.
const ROUNDS: u32 = 8;
const MOMENT: Duration = Duration::from_millis(20);

/// Kills every process below that one, until none is left.
pub(super) fn kill_below(root: u32) {
    kill_until(root, Instant::now() + PATIENCE);
}

fn kill_until(root: u32, until: Instant) {
    for round in 0.. {
        let family = below(root, &processes());
        if family.is_empty() || (round >= ROUNDS && Instant::now() >= until) {
            return;
        }
        let killed: Vec<OwnedFd> = family.into_iter().filter_map(kill).collect();
        let until = until.max(Instant::now() + MOMENT);
        // When they are dead, those that they had started have come up to the nursery.
        for pidfd in killed {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left));
        }
    }
}

/// Kills a process; none if it is gone already.
fn kill(pid: u32) -> Option<OwnedFd> {
    let pidfd = pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()?;
    pidfd_send_signal(&pidfd, Signal::KILL).ok()?;
    Some(pidfd)
}

/// The processes that live, with their parents.
fn processes() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The parent, from a line of `stat`; none for a zombie, which is dead and waits to be reaped. The name stands in
/// brackets, and may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    match words.next()? {
        "Z" | "X" => None,
        _ => words.next()?.parse().ok(),
    }
}

/// Those below one of them.
fn below(root: u32, processes: &[(u32, u32)]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (pid, parent) in processes {
        children.entry(*parent).or_default().push(*pid);
    }
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        let below = children.remove(&pid).unwrap_or_default();
        found.extend(&below);
        open.extend(below);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_what_is_below_is_found_and_at_any_depth() {
        let processes = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 2)];
        let mut found = below(2, &processes);
        found.sort_unstable();
        assert_eq!(found, [3, 4, 7]);
        assert!(below(6, &processes).is_empty());
    }

    #[test]
    fn who_has_not_run_until_the_time_is_over_kills_all_the_same() {
        let script = "setsid sh -c 'setsid sleep 300 & wait' & wait; echo alone";
        let shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let family = || below(shell.id(), &processes());
        while family().len() < 2 {
            std::thread::yield_now();
        }
        kill_until(shell.id(), Instant::now());
        assert!(family().is_empty());
        // Its last child was the one to wait for.
        assert_eq!(shell.wait_with_output().unwrap().stdout, b"alone\n");
    }

    #[test]
    fn a_name_may_hold_brackets_and_a_zombie_is_nobody() {
        assert_eq!(parent("7 (a) b) (c) S 42 7 7 0"), Some(42));
        assert_eq!(parent("7 (python3) Z 42 7 7 0"), None);
        assert_eq!(parent("7"), None);
    }
}
