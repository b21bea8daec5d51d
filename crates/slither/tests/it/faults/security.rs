//! What workers are given, and what they are not.

use std::collections::{HashMap, HashSet};
use std::fs;

use super::{parent, pids};
use crate::support::{pool, profile, runtime, within};

/// The inodes of the sockets of a process.
fn sockets(pid: u32) -> Vec<String> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = fds.filter_map(|fd| fs::read_link(fd.path()).ok()?.into_os_string().into_string().ok());
    targets
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.trim_end_matches(']').to_owned()))
        .collect()
}

/// Descriptors above the standard ones that this process was given by whoever started it, and that its children have, too.
fn inherited() -> Vec<String> {
    let names = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let stays_open = |name: &String| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        // O_CLOEXEC, in octal.
        flags.is_some_and(|flags| {
            u32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 0o2_000_000 == 0)
        })
    };
    names.filter(stays_open).filter(|name| !["0", "1", "2"].contains(&name.as_str())).collect()
}

/// The inodes of all sockets that listen.
fn listening() -> HashSet<String> {
    let rows = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut inodes = HashSet::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let rows = rows(file);
        // State 0A is LISTEN.
        let lines =
            rows.lines().skip(1).map(words).filter(|words| words.get(3).is_some_and(|state| state == "0A"));
        inodes.extend(lines.filter_map(|words| words.get(9).cloned()));
    }
    let unix = rows("/proc/net/unix");
    // The flag of a socket that accepts connections.
    let lines =
        unix.lines().skip(1).map(words).filter(|words| words.get(3).is_some_and(|flags| flags == "00010000"));
    inodes.extend(lines.filter_map(|words| words.get(6).cloned()));
    inodes
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_have_one_socket_no_stdin_no_core_and_no_secret() {
    within(async {
        let slither = runtime(pool(2).env("GIVEN_TO_WORKERS", "a secret")).await;
        let told: HashMap<String, Vec<String>> =
            slither.execute("default", "behave:exposure", &()).await.unwrap();
        assert_eq!(told["stdin"], ["/dev/null"]);
        assert_eq!(told["core"], ["1", "1"]);
        let foreign = inherited();
        let own = told["child"].iter().filter(|fd| !foreign.contains(fd));
        assert_eq!(
            own.collect::<Vec<_>>(),
            ["0", "1", "2"],
            "what a worker starts has nothing of the pool's"
        );
        let has = |name: &str| told["environment"].iter().any(|other| other == name);
        assert!(has("PATH") && has("GIVEN_TO_WORKERS"));
        // The tests are run by cargo, whose variables are in no list.
        assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok() && !has("CARGO_MANIFEST_DIR"));
        assert!(!told["arguments"].concat().contains("a secret"), "{:?}", told["arguments"]);
        let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
        assert_eq!(told["oom"], [(own + 300).min(1000).to_string()]);

        let workers = pids(&slither);
        let nursery = parent(*workers.iter().next().unwrap());
        // One is to the host; an event loop has a pair to wake itself by.
        let sockets_each = if profile() == "async" { 3 } else { 1 };
        for worker in &workers {
            assert_eq!(sockets(*worker).len(), sockets_each);
        }
        let ours: Vec<String> = workers.iter().chain([&nursery]).flat_map(|pid| sockets(*pid)).collect();
        assert!(ours.iter().all(|inode| !listening().contains(inode)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_listens_nowhere() {
    within(async {
        let slither = runtime(pool(1)).await;
        assert!(sockets(std::process::id()).iter().all(|inode| !listening().contains(inode)));
        drop(slither);
    })
    .await;
}
