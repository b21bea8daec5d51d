//! Thread safety: what a class says of itself, and what the checker sees in a pool.

use futures_util::future::join_all;
use slither::{Pool, Slither, ThreadSafetyCheck};

use super::{free_threaded, meeting, start, with};
use crate::support::{Folder, within};

fn threads(class: &str) -> Pool {
    with(Pool::threads("default").threads_per_worker(4).io_bound(true), class)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_says_nothing_has_one_slot_and_strict_refuses_it() {
    within(async {
        for check in [ThreadSafetyCheck::Off, ThreadSafetyCheck::Warn] {
            let slither = start(threads("Undeclared").thread_safety_check(check)).await;
            assert_eq!(slither.stats("default").unwrap().slots, 1, "{check:?}");
            let folder = Folder::new();
            let calls = (0..3).map(|number| {
                let (slither, args) = (slither.clone(), meeting(&folder, number, 1));
                async move { slither.call::<_, u32>("meet", &args).await.unwrap() }
            });
            assert_eq!(join_all(calls).await.len(), 3);
        }
        for pool in [threads("Undeclared"), with(Pool::processes("default"), "Undeclared")] {
            let pool = pool.thread_safety_check(ThreadSafetyCheck::Strict);
            let error = Slither::builder().pool(pool).start().await.err().unwrap().to_string();
            assert_eq!(
                error,
                "pool `default` cannot be started: a worker could not be given its adapter: 'showcase:Undeclared' does \
                 not say whether several threads may use it, and the pool's thread_safety_check is strict\nhint: set \
                 `__thread_safe__` in Undeclared: True if they may, False if not"
            );
        }
        let strict = threads("Predictions").thread_safety_check(ThreadSafetyCheck::Strict);
        assert_eq!(start(strict).await.stats("default").unwrap().slots, 4);
        let pool = Pool::processes("p").thread_safety_check(ThreadSafetyCheck::Warn);
        let error = Slither::builder().pool(pool).start().await.err().unwrap().to_string();
        assert!(error.starts_with("pool `p`: thread_safety_check is set, and there is no adapter"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_threads_write_without_a_lock_is_in_the_report_of_the_pool() {
    within(async {
        let mut pools = vec![threads("Unlocked")];
        if let Some(python) = free_threaded() {
            pools.push(with(Pool::threads("default").threads_per_worker(4), "Unlocked").python(python));
        }
        for pool in pools {
            let slither = start(pool.thread_safety_check(ThreadSafetyCheck::Warn)).await;
            let folder = Folder::new();
            let calls = (0..4).map(|number| {
                let (slither, args) = (slither.clone(), meeting(&folder, number, 4));
                async move { slither.call::<_, u64>("increment", &args).await.unwrap() }
            });
            join_all(calls).await;
            let report = slither.adapter("default").unwrap().report().await.unwrap();
            let report = report.replies[0].result.as_ref().unwrap();
            let [write] = &report.violations[..] else { panic!("{report:?}") };
            assert_eq!((write.subject.as_str(), write.threads.len()), ("Unlocked.counter", 4));
            assert!(write.places[0].file.ends_with("showcase.py"), "{write:?}");
            assert_eq!(report.warnings.len(), 1);
        }
        // Nobody has asked for it: nothing was watched.
        let slither = start(threads("Unlocked")).await;
        let report = slither.adapter("default").unwrap().report().await.unwrap();
        let report = report.replies[0].result.as_ref().unwrap();
        assert!(!report.enabled && report.adapters.is_empty());
    })
    .await;
}
