//! Memory that runs out: of one worker's allowance, and of a whole cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use slither::dispatch::Retry;
use slither::{Death, ErrorKind, OnError, Phase, Slither, Value};

use super::{alone, counting_runtime, pids};
use crate::support::{behave, pool, runtime, until, within};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_memory_limit_a_batch_fails_and_its_worker_survives() {
    within(async {
        let slither = runtime(pool(1).memory_limit(512 * MIB)).await;
        let before = pids(&slither);
        let items = [Value::from(1), "devour".into(), 3.into()];
        let call = behave("act").batch_size(1).on_error(OnError::Skip);
        let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
        assert_eq!((done.ledger.emitted, done.ledger.failed), (2, 1));
        let error = &done.failures[0].error;
        assert_eq!((error.kind(), &*error.exception()[0]), (ErrorKind::OutOfMemory, "MemoryError"));
        assert!(error.traceback().unwrap().contains("in _deed"), "{}", error.report());
        assert_eq!(pids(&slither), before, "the worker survives");

        let refused = Slither::builder().pool(pool(1).memory_limit(MIB)).start().await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "pool `default`: memory_limit is 1048576 bytes, expected at least 134217728\n  \
             hint: it counts what is mapped, Python itself included"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_want_of_memory_is_tried_again_and_not_for_ever() {
    within(async {
        let slither = runtime(pool(1).memory_limit(512 * MIB)).await;
        let retry = Retry::new(3).backoff(std::time::Duration::from_millis(1)).then(OnError::Skip);
        let call = behave("act").on_error(OnError::Retry(retry));
        let done = slither.dispatch::<Value, Value>(["mutter".into(), "devour".into()], call).await.unwrap();
        assert_eq!((done.ledger.emitted, done.ledger.failed), (0, 2));
        assert_eq!(done.failures[0].error.kind(), ErrorKind::OutOfMemory);
        assert_eq!(slither.stats("default").unwrap().deaths, 0);
    })
    .await;
}

/// A memory cgroup within this process's own, which this process is in until the end.
struct Group {
    path: PathBuf,
    outer: PathBuf,
}

impl Group {
    /// None where the machine does not let one be made, with the reason.
    fn join(limit: u64) -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let (root, path, file) = own
            .lines()
            .find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                match controllers {
                    "memory" => Some(("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes")),
                    "" => Some(("/sys/fs/cgroup", path, "memory.max")),
                    _ => None,
                }
            })
            .ok_or("there is no memory cgroup")?;
        let outer = Path::new(root).join(path.trim_start_matches('/'));
        let path = outer.join(format!("slither-test-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::create_dir(&path).map_err(failed)?;
        let group = Self { path: path.clone(), outer };
        fs::write(path.join(file), limit.to_string()).map_err(failed)?;
        group.enter(&group.path).map_err(failed)?;
        Ok(group)
    }

    fn enter(&self, path: &Path) -> std::io::Result<()> {
        fs::write(path.join("cgroup.procs"), std::process::id().to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.enter(&self.outer);
        let _ = fs::remove_dir(&self.path);
    }
}

#[test]
fn a_worker_that_the_kernel_kills_for_want_of_memory_is_told_from_one_that_is_killed() {
    if !alone("memory::a_worker_that_the_kernel_kills_for_want_of_memory_is_told_from_one_that_is_killed") {
        return;
    }
    let group = match Group::join(256 * MIB) {
        Ok(group) => group,
        Err(reason) => {
            println!("not run, no memory cgroup can be made here: {reason}");
            return;
        }
    };
    counting_runtime().block_on(within(async {
        let slither = runtime(pool(2)).await;
        let run = async |deed: &str| {
            let call = behave("act").on_error(OnError::Skip);
            let done = slither.dispatch::<Value, Value>([Value::from(1), deed.into()], call).await.unwrap();
            assert_eq!(done.ledger.failed, 2, "{deed}: {}", done.ledger);
            done.failures[0].error.clone()
        };
        let error = run("devour").await;
        println!("{}", error.report());
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{}", error.report());
        assert_eq!(
            error.message(),
            "the worker ran out of memory while it ran user code: the kernel killed it by SIGKILL (signal 9)\n\
             hint: a smaller batch_size or fewer workers take less memory; or give the process more"
        );
        let report = error.worker().unwrap();
        assert_eq!((report.death, report.phase), (Some(Death::Signal(9)), Some(Phase::User)));
        let peak = report.peak_rss.unwrap();
        assert!((128 * MIB..=300 * MIB).contains(&peak), "{peak}");
        assert_eq!(error.traceback(), None, "nothing can be had of it");

        until(|| pids(&slither).len() == 2).await;
        let error = run("kill").await;
        assert_eq!(error.kind(), ErrorKind::Crash);
        let plain = "the worker was killed by SIGKILL (signal 9) while it ran user code";
        assert_eq!(error.message(), plain, "what was counted before is not put down to it");
        slither.shutdown(std::time::Duration::from_secs(5)).await;
    }));
    drop(group);
}
