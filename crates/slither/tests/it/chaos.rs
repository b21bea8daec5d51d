//! Chaos: what a pool injects is real, counted, the same again for the same seed, and healed by the policies.

use std::collections::BTreeMap;
use std::time::Duration;

use slither::{Call, Chaos, ChaosStats, Dispatched, ErrorKind, OnError, Pipe, Retry, Slither, Value};

use crate::support::{behave, pool, runtime, within};

async fn chaotic(spec: &str) -> Slither {
    let pool = pool(2).chaos(spec.parse().unwrap());
    // Where nothing hangs no deadline is wanted, which a machine that stands still for a while could miss.
    let hangs = spec.contains("hang=");
    runtime(if hangs { pool.call_timeout(Duration::from_secs(1)) } else { pool }).await
}

async fn run(slither: &Slither, items: u64, policy: OnError) -> Dispatched<u64> {
    run_at_once(slither, items, policy, 4).await
}

async fn run_at_once(slither: &Slither, items: u64, policy: OnError, batches: usize) -> Dispatched<u64> {
    let call = behave("echo").batch_size(4).max_in_flight(batches).on_error(policy);
    let done = slither.dispatch::<u64, u64>(0..items, call).await.unwrap();
    assert!(done.ledger.balanced() && done.ledger.pulled == items && done.ledger.cancelled == 0);
    assert!(done.results.iter().all(|item| item.payload == item.id.0));
    let mut ids: Vec<_> = done.results.iter().map(|item| item.id.0).collect();
    assert!(ids.is_sorted());
    ids.extend(done.failures.iter().map(|failure| failure.item.0));
    ids.sort_unstable();
    assert_eq!(ids, (0..items).collect::<Vec<_>>(), "each item is there once");
    done
}

fn stats(slither: &Slither) -> ChaosStats {
    slither.stats("default").unwrap().chaos.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_what_it_is_called_and_fails_only_its_batch() {
    within(async {
        for (fault, kind) in [
            ("kill", ErrorKind::Crash),
            ("hang", ErrorKind::Timeout),
            ("garbage", ErrorKind::Protocol),
            ("raise", ErrorKind::Exception),
        ] {
            let slither = chaotic(&format!("{fault}=20%,seed=3")).await;
            // One at a time: a worker that has sent garbage may have begun the batch behind it, which then fails as well.
            let done = run_at_once(&slither, 120, OnError::Skip, 1).await;
            let failed = done.failures.len() as u64;
            assert!(failed > 0 && failed < 120, "{fault}: {failed}");
            for failure in &done.failures {
                assert_eq!(failure.error.kind(), kind, "{fault}: {}", failure.error.report());
            }
            let stats = stats(&slither);
            assert_eq!(stats.injected() * 4, failed, "{fault}: one fault a batch of four");
            assert_eq!(stats.again, 0, "{fault}");
            let counts = BTreeMap::from([
                ("kill", stats.kill),
                ("hang", stats.hang),
                ("garbage", stats.garbage),
                ("raise", stats.raise),
            ]);
            assert_eq!(counts[fault], stats.injected());
            let deaths = slither.stats("default").unwrap().deaths as u64;
            assert_eq!(deaths, if fault == "raise" { 0 } else { stats.injected() }, "{fault}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_meets_the_same_batches_with_the_same_faults() {
    within(async {
        let mut fates = Vec::new();
        for seed in [5, 5, 6] {
            let slither = chaotic(&format!("kill=15%,garbage=5%,raise=10%,slow=10%:1ms,seed={seed}")).await;
            // One at a time, for the same reason.
            let done = run_at_once(&slither, 200, OnError::Skip, 1).await;
            let failed: Vec<_> =
                done.failures.iter().map(|failure| (failure.item.0, failure.error.kind().as_str())).collect();
            fates.push((failed, stats(&slither)));
        }
        assert_eq!(fates[0], fates[1]);
        assert_ne!(fates[0], fates[2]);
        assert!(fates[0].1.slow > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_and_isolate_heal() {
    within(async {
        let retry =
            Retry::new(6).backoff(Duration::from_millis(1)).on("slither.ChaosError").then(OnError::Isolate);
        let slither = chaotic("kill=10%,hang=1%,raise=10%,seed=1").await;
        let done = run(&slither, 400, retry.into()).await;
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        let stats = stats(&slither);
        assert!(stats.injected() > 10, "{stats:?}");
        assert!(stats.again >= stats.injected(), "each batch that failed ran again: {stats:?}");
        assert_eq!(slither.stats("default").unwrap().deaths as u64, stats.kill + stats.hang);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_generator_had_yielded_before_its_worker_was_killed_stays() {
    within(async {
        let slither = chaotic("kill=30%,seed=2").await;
        let call = Call::new("yields:one_by_one").batch_size(6).on_error(OnError::Skip);
        let done = slither.dispatch::<u64, Value>(0..240, call).await.unwrap();
        assert!(done.ledger.balanced() && done.ledger.failed > 0);
        let killed = stats(&slither).kill;
        assert!(done.ledger.failed < killed * 6, "{} of {killed} batches", done.ledger.failed);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_meet_it_and_single_calls_are_left_alone() {
    within(async {
        let slither = chaotic("raise=100%,seed=1").await;
        let pipe: Pipe<u64, u64> = Pipe::builder("echo")
            .python("echo", behave("echo").batch_size(5))
            .on_error("echo", OnError::Skip)
            .build()
            .unwrap();
        let outputs = slither.run_pipe(&pipe, 0..20u64).await.unwrap();
        assert_eq!((outputs.ledger().failed, stats(&slither).raise), (20, 4));
        assert_eq!(outputs.failures()[0].error.exception()[0], "slither.ChaosError");
        for _ in 0..20 {
            slither.execute::<_, u32>("default", "behave:who", &()).await.unwrap();
        }
        let each = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap();
        assert!(each.replies.iter().all(|reply| reply.result.is_ok()));
        assert_eq!(stats(&slither).raise, 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_chaos_there_is_none_and_shares_that_make_no_sense_are_refused() {
    within(async {
        let slither = runtime(pool(1)).await;
        run(&slither, 40, OnError::Halt).await;
        assert_eq!(slither.stats("default").unwrap().chaos, None);
        let error = Slither::builder().pool(pool(1).chaos(Chaos::seeded(1).kill(0.7).raise(0.7))).start().await;
        assert_eq!(
            error.unwrap_err().to_string(),
            "chaos: the faults are 140% together, expected at most 100%\n  hint: a batch meets one fault at most"
        );
    })
    .await;
}
