//! Workers are replaced in time: by the number of their calls, by age, by memory; and it costs nothing.

use slither::{PoolStats, Slither, WorkerUsage};

use crate::support::{pool, runtime, until, within};

const MEGABYTE: u64 = 1 << 20;

fn stats(slither: &Slither) -> PoolStats {
    slither.stats("default").unwrap()
}

fn usage(slither: &Slither, pid: u32) -> Option<WorkerUsage> {
    stats(slither).usage.into_iter().find(|usage| usage.pid == pid)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_that_a_worker_takes_is_seen() {
    within(async {
        let slither = runtime(pool(2)).await;
        let grown: u32 = slither.execute("default", "leaky:leak", &[64]).await.unwrap();
        until(|| usage(&slither, grown).unwrap().growth > 50 * MEGABYTE).await;
        for usage in stats(&slither).usage {
            assert!(usage.rss.unwrap() > usage.growth, "{usage:?}");
            assert!(usage.sampled.is_some(), "{usage:?}");
            assert_eq!(usage.growth > 20 * MEGABYTE, usage.pid == grown, "{usage:?}");
        }
    })
    .await;
}
