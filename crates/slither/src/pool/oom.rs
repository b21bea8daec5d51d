//! Whether a worker that SIGKILL ended was killed by the kernel because memory had run out.
//!
//! The kernel leaves no note with the process. It counts, for each memory cgroup, the processes of it that it has
//! killed so: a count that rose between a worker's start and its death, and that no other death has been put down to,
//! is taken as evidence.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use super::station::lock;

/// Where the count stands: cgroup v2, of the group alone and with its descendants; and v1.
const COUNTERS: [&str; 3] = ["memory.events.local", "memory.events", "memory.oom_control"];
/// Where the count of the whole machine stands.
const MACHINE: &str = "/proc/vmstat";
/// Where the limit stands: cgroup v2 and v1.
const LIMITS: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];
/// From this share of the limit on, memory counts as nearly spent.
const NEARLY: f64 = 0.8;

/// What is to be thought of a SIGKILL that nobody here sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// Memory had not run out, as far as can be seen.
    None,
    /// There is no count to tell, or it has not risen; but memory was nearly spent, or the kernel has killed
    /// some process of this machine.
    Possible,
    /// The kernel has killed a process of the worker's cgroup, and no other death accounts for it.
    Certain,
}

/// Whose deaths the counts have been put down to, in one pool. Bounded by the cgroups that its workers are in.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<PathBuf, u64>>);

/// What was counted when a worker started.
#[derive(Debug)]
pub(super) struct Watch {
    /// The counter of its cgroup, and what it said.
    counter: Option<(PathBuf, u64)>,
    /// Without a counter: how often the kernel had killed on the whole machine.
    machine: Option<u64>,
    /// The tightest of the limits that it is under, the machine's own included.
    limit: Option<u64>,
}

impl Watch {
    /// Looks at the counts for a process that has just been started.
    pub(super) fn begin(pid: u32) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let groups = groups(&read(&format!("/proc/{pid}/cgroup")), &read("/proc/self/mountinfo"));
        let counter = groups.first().and_then(|group| {
            COUNTERS.iter().map(|name| group.join(name)).find_map(|path| Some((count(&path)?, path)))
        });
        let limits = groups.iter().flat_map(|group| LIMITS.map(|name| group.join(name)));
        let limits = limits.filter_map(|path| limit(&fs::read_to_string(path).ok()?));
        Self {
            machine: if counter.is_none() { count(Path::new(MACHINE)) } else { None },
            counter: counter.map(|(count, path)| (path, count)),
            limit: limits.chain(machine_memory(&read("/proc/meminfo"))).min(),
        }
    }

    /// What is to be thought of its death by a SIGKILL that nobody here sent, when it occupied at most `peak` bytes.
    pub(super) fn judge(&self, peak: Option<u64>, claims: &Claims) -> Suspicion {
        if let Some((path, at_start)) = &self.counter
            && let Some(now) = count(path)
        {
            let mut claimed = lock(&claims.0);
            let known = claimed.get(path).copied().unwrap_or(0).max(*at_start);
            if now > known {
                claimed.insert(path.clone(), known + 1);
                return Suspicion::Certain;
            }
        } else if self.machine.zip(count(Path::new(MACHINE))).is_some_and(|(then, now)| now > then) {
            return Suspicion::Possible;
        }
        let nearly = |(peak, limit)| peak as f64 >= limit as f64 * NEARLY;
        match peak.zip(self.limit).is_some_and(nearly) {
            true => Suspicion::Possible,
            false => Suspicion::None,
        }
    }
}

fn count(path: &Path) -> Option<u64> {
    kills(&fs::read_to_string(path).ok()?)
}

/// The folders of a process's memory cgroup and of those around it, innermost first.
///
/// `cgroup` is its `/proc/…/cgroup`; `mounts` is this process's `mountinfo`, which says where cgroups are mounted, and
/// from which of them on.
fn groups(cgroup: &str, mounts: &str) -> Vec<PathBuf> {
    let member = |wanted: fn(&str) -> bool| {
        cgroup.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            wanted(controllers).then_some(path)
        })
    };
    let has_memory = |options: &str| options.split(',').any(|option| option == "memory");
    // Where both are mounted, a controller of v1 is not in v2.
    let (path, kind) = match member(|controllers| controllers.split(',').any(|one| one == "memory")) {
        Some(path) => (path, "cgroup"),
        None => match member(str::is_empty) {
            Some(path) => (path, "cgroup2"),
            None => return Vec::new(),
        },
    };
    let mount = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let (root, point) = {
            let mut fields = left.split(' ').skip(3);
            (fields.next()?, fields.next()?)
        };
        let mut right = right.split(' ');
        let fits = right.next()? == kind && (kind == "cgroup2" || right.nth(1).is_some_and(has_memory));
        fits.then_some((root, point))
    });
    let Some((root, point)) = mount else { return Vec::new() };
    // In a container the path may be the host's, of which only the part below the mount's root is to be seen.
    let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let point = Path::new(point);
    let outside = below.components().any(|part| part == Component::ParentDir);
    let inner = if outside || below.as_os_str().is_empty() { point.to_owned() } else { point.join(below) };
    inner.ancestors().take_while(|folder| folder.starts_with(point)).map(Path::to_owned).collect()
}

/// How many processes the kernel has killed for want of memory, as any of the counters says.
fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// A limit in bytes; none if there is no limit, which v1 writes as a number near 2⁶³.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 62)
}

fn machine_memory(text: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kibibytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests;
