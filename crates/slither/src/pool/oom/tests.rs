//! What is read out of the kernel's files, as they were recorded.

use super::*;

/// A process in a memory cgroup of version 1; version 2 is mounted beside it without controllers.
const V1: &str = "9:name=systemd:/\n4:memory:/batch/job-7\n1:cpu,cpuacct:/\n0::/\n";
const V1_MOUNTS: &str = "\
23 1 0:21 / /proc rw,relatime - proc proc rw
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 24 0:30 / /sys/fs/cgroup/memory rw,relatime shared:11 - cgroup cgroup rw,memory
40 24 0:36 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const V1_OOM_CONTROL: &str = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";

/// A service of systemd under version 2.
const V2: &str = "0::/system.slice/scorer.service\n";
const V2_MOUNTS: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V2_EVENTS: &str = "low 0\nhigh 0\nmax 214\noom 9\noom_kill 2\noom_group_kill 0\n";

fn paths(cgroup: &str, mounts: &str) -> Vec<String> {
    groups(cgroup, mounts).iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn the_memory_cgroup_is_found_in_both_versions_and_inside_containers() {
    assert_eq!(
        paths(V1, V1_MOUNTS),
        ["/sys/fs/cgroup/memory/batch/job-7", "/sys/fs/cgroup/memory/batch", "/sys/fs/cgroup/memory"]
    );
    assert_eq!(
        paths(V2, V2_MOUNTS),
        ["/sys/fs/cgroup/system.slice/scorer.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"]
    );
    // A container with a namespace of its own sees itself as the root.
    assert_eq!(paths("0::/\n", V2_MOUNTS), ["/sys/fs/cgroup"]);
    // One without sees the host's path, and of the host's files only those below its own root.
    let mounts = "34 24 0:30 /docker/4f2a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    assert_eq!(paths("4:memory:/docker/4f2a\n", mounts), ["/sys/fs/cgroup/memory"]);
    assert_eq!(
        paths("4:memory:/docker/4f2a/inner\n", mounts),
        ["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"]
    );
    // What has left its namespace is not to be found below the mount.
    assert_eq!(paths("0::/../other\n", V2_MOUNTS), ["/sys/fs/cgroup"]);
    for (cgroup, mounts) in [("", V2_MOUNTS), (V2, ""), (V2, V1_MOUNTS.lines().next().unwrap()), ("4", "-")] {
        assert_eq!(paths(cgroup, mounts), [""; 0], "{cgroup:?} in {mounts:?}");
    }
}

#[test]
fn counts_and_limits_are_read_as_the_kernel_writes_them() {
    assert_eq!(kills(V1_OOM_CONTROL), Some(3));
    assert_eq!(kills(V2_EVENTS), Some(2), "neither `oom` nor `oom_group_kill`");
    assert_eq!(kills("nr_free_pages 660000\noom_kill 41\n"), Some(41), "/proc/vmstat");
    assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\n"), None, "before Linux 4.13");
    assert_eq!(limit("268435456\n"), Some(256 << 20));
    assert_eq!(limit("max\n"), None);
    assert_eq!(limit("9223372036854771712\n"), None);
    assert_eq!(machine_memory("MemTotal:       24683920 kB\nMemFree: 1 kB\n"), Some(24_683_920 * 1024));
}

/// A cgroup that a test writes itself.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("slither-oom-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn counts(&self, kills: u64) -> PathBuf {
        let path = self.0.join("memory.events");
        fs::write(&path, format!("oom 9\noom_kill {kills}\n")).unwrap();
        path
    }

    fn watch(&self, kills: u64) -> Watch {
        Watch { counter: Some((self.counts(kills), kills)), machine: None, limit: Some(1000) }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_kill_that_was_counted_is_put_down_to_one_death() {
    let (group, claims) = (Group::new("each"), Claims::default());
    let (first, second, third) = (group.watch(4), group.watch(4), group.watch(4));
    assert_eq!(first.judge(None, &claims), Suspicion::None, "somebody else's SIGKILL");
    group.counts(6);
    assert_eq!(first.judge(None, &claims), Suspicion::Certain);
    assert_eq!(second.judge(None, &claims), Suspicion::Certain);
    assert_eq!(third.judge(None, &claims), Suspicion::None, "there were two");
    let fourth = group.watch(6);
    group.counts(7);
    assert_eq!(fourth.judge(None, &claims), Suspicion::Certain);
}

#[test]
fn without_a_count_that_rose_it_is_possible_at_most() {
    let (group, claims) = (Group::new("without"), Claims::default());
    let watch = group.watch(4);
    assert_eq!(watch.judge(Some(799), &claims), Suspicion::None);
    assert_eq!(watch.judge(Some(800), &claims), Suspicion::Possible, "nearly all of 1000");
    let blind = Watch { counter: None, machine: None, limit: None };
    assert_eq!(blind.judge(Some(u64::MAX), &claims), Suspicion::None);
    assert_eq!(Watch { limit: Some(10), ..blind }.judge(Some(9), &claims), Suspicion::Possible);
}
