//! Chaos: what a pool injects is real, counted, the same again for the same seed, and healed by the policies.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use slither::{
    Call, Chaos, ChaosStats, Dispatched, ErrorKind, Item, Ledger, OnError, Outcome, Pipe, Retry, Slither,
    Value,
};

use crate::support::{behave, pool, runtime, until, within};

async fn chaotic(spec: &str) -> Slither {
    // Where nothing hangs no deadline is wanted, which a machine that stands still for a while could miss.
    runtime(pool(2).chaos(spec.parse().unwrap()).call_timeout(Duration::MAX)).await
}

fn echo(batches: usize, policy: OnError) -> Call<u64> {
    behave("echo").batch_size(4).max_in_flight(batches).on_error(policy)
}

async fn run(slither: &Slither, items: u64, policy: OnError) -> Dispatched<u64> {
    let done = slither.dispatch::<u64, u64>(0..items, echo(4, policy)).await.unwrap();
    whole(&done, &(0..items).collect::<Vec<_>>());
    done
}

/// Runs the items of these ids one batch at a time: a worker that has sent garbage may have begun the batch behind it, which
/// then fails as well.
async fn run_in_turn(slither: &Slither, ids: &[u64], deadline: Duration) -> Dispatched<u64> {
    let source = stream::iter(ids.to_vec()).map(|id| Item::new(id, id));
    let call = echo(1, OnError::Skip).timeout(deadline);
    let mut outcomes = slither.dispatch_stream::<u64, u64>(source, call).await.unwrap();
    let mut done = Dispatched { results: Vec::new(), failures: Vec::new(), ledger: Ledger::default() };
    while let Some(outcome) = outcomes.next().await {
        match outcome.unwrap() {
            Outcome::Done(item) => done.results.push(item),
            Outcome::Failed(failure) => done.failures.push(*failure),
        }
    }
    done.ledger = outcomes.ledger();
    whole(&done, ids);
    done
}

/// What came of the items of these ids is complete and in order.
fn whole(done: &Dispatched<u64>, ids: &[u64]) {
    assert!(done.ledger.balanced() && done.ledger.pulled == ids.len() as u64 && done.ledger.cancelled == 0);
    assert!(done.results.iter().all(|item| item.payload == item.id.0));
    let mut came: Vec<_> = done.results.iter().map(|item| item.id.0).collect();
    assert!(came.is_sorted());
    came.extend(failed(done));
    came.sort_unstable();
    assert_eq!(came, ids, "each item is there once");
}

fn failed(done: &Dispatched<u64>) -> Vec<u64> {
    done.failures.iter().map(|failure| failure.item.0).collect()
}

fn stats(slither: &Slither) -> ChaosStats {
    slither.stats("default").unwrap().chaos.unwrap()
}

fn deaths(slither: &Slither) -> u64 {
    slither.stats("default").unwrap().deaths as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_what_it_is_called_and_fails_only_its_batch() {
    within(async {
        let all: Vec<u64> = (0..120).collect();
        let mut struck = Vec::new();
        for (fault, kind) in [
            ("raise", ErrorKind::Exception),
            ("kill", ErrorKind::Crash),
            ("garbage", ErrorKind::Protocol),
            ("hang", ErrorKind::Timeout),
        ] {
            let slither = chaotic(&format!("{fault}=20%,seed=3")).await;
            let done = if fault == "hang" {
                // A deadline only for those that hang, as others could miss it on a machine that stands still for a while.
                let spared: Vec<_> = all.iter().copied().filter(|id| !struck.contains(id)).collect();
                let done = run_in_turn(&slither, &spared, Duration::MAX).await;
                assert!(done.failures.is_empty(), "{:?}", done.failures);
                run_in_turn(&slither, &struck, Duration::from_secs(1)).await
            } else {
                run_in_turn(&slither, &all, Duration::MAX).await
            };
            if struck.is_empty() {
                struck = failed(&done);
            }
            assert_eq!(failed(&done), struck, "{fault}: a seed strikes the same batches, whatever with");
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
            let expected = if fault == "raise" { 0 } else { stats.injected() };
            // A call whose answer makes no sense has failed before its worker is dead.
            until(|| deaths(&slither) >= expected).await;
            assert_eq!(deaths(&slither), expected, "{fault}");
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
            let done = run_in_turn(&slither, &(0..200).collect::<Vec<_>>(), Duration::MAX).await;
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
        // Far longer than a batch can take that does not hang, and only one of them does.
        let pool = pool(2).chaos("kill=10%,hang=1%,raise=10%,seed=1".parse().unwrap());
        let slither = runtime(pool.call_timeout(Duration::from_secs(10))).await;
        let done = run(&slither, 400, retry.into()).await;
        assert!(done.failures.is_empty(), "{:?}", done.failures);
        let stats = stats(&slither);
        assert!(stats.injected() > 10, "{stats:?}");
        assert!(stats.again >= stats.injected(), "each batch that failed ran again: {stats:?}");
        until(|| deaths(&slither) >= stats.kill + stats.hang).await;
        assert_eq!(deaths(&slither), stats.kill + stats.hang);
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
