//! How batches are gathered and paced: by key, by age, by the executor's slots, by a rate.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use slither::dispatch::{Batch, Executor, InProcess, KeyPartition, Limits, Reply, dispatch, dispatch_stream};
use slither::{
    AutoBatch, Batching, Context, ErrorKind, FixedBatch, Item, MaxInFlight, OnError, Order, Outcome,
    WeightedBatch,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::support::{pool, runtime, within};

/// Notes each batch and when it came; holds batches until its gate lets them go.
struct Noting {
    seen: Mutex<Vec<(Instant, Vec<u64>)>>,
    gate: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
    slots: AtomicUsize,
}

impl Noting {
    fn open() -> Arc<Self> {
        Self::gated(Semaphore::MAX_PERMITS)
    }

    fn gated(open: usize) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            gate: Arc::new(Semaphore::new(open)),
            inside: Arc::default(),
            slots: AtomicUsize::new(1),
        })
    }

    fn batches(&self) -> Vec<Vec<u64>> {
        self.seen.lock().unwrap().iter().map(|(_, batch)| batch.clone()).collect()
    }
}

impl Executor<u64, u64> for Noting {
    fn execute(&self, batch: &Batch<u64>, _: &Context) -> BoxFuture<'static, Reply<u64>> {
        let payloads: Vec<u64> = batch.payloads().copied().collect();
        self.seen.lock().unwrap().push((Instant::now(), payloads.clone()));
        self.inside.fetch_add(1, SeqCst);
        let (gate, inside) = (self.gate.clone(), self.inside.clone());
        Box::pin(async move {
            gate.acquire().await.expect("the gate is never closed").forget();
            inside.fetch_sub(1, SeqCst);
            Ok(payloads.into_iter().map(Ok).collect())
        })
    }

    fn name(&self) -> &str {
        "noting"
    }

    fn slots(&self) -> usize {
        self.slots.load(SeqCst)
    }
}

/// An endless source that counts what was pulled.
fn counted() -> (Arc<AtomicUsize>, impl futures_core::Stream<Item = Item<u64>> + Send) {
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = pulled.clone();
    let items = (0..).map(move |n| {
        count.fetch_add(1, SeqCst);
        Item::new(n, n)
    });
    (pulled, stream::iter(items))
}

#[tokio::test]
async fn a_batch_holds_one_key_and_the_order_of_the_input_is_kept() {
    let noting = Noting::open();
    let limits = Limits::new().batching(KeyPartition::new(|n: &u64| n % 3).batch_size(4)).max_in_flight(2);
    let done = within(dispatch(noting.clone(), 0..30, &limits, Context::run())).await.unwrap();
    assert_eq!(done.into_payloads(), (0..30).collect::<Vec<_>>());
    let batches = noting.batches();
    assert!(batches.iter().all(|batch| batch.iter().all(|n| n % 3 == batch[0] % 3)), "{batches:?}");
    assert_eq!(batches.len(), 9, "two full batches and a partial one for each of three keys");
}

#[tokio::test]
async fn keys_of_any_number_are_bounded_on_endless_input() {
    for order in [Order::Preserve, Order::AsCompleted] {
        // Every item has a key of its own, and the first key never comes again.
        for keys in [u64::MAX, 1000, 5] {
            let noting = Noting::open();
            let by_key = KeyPartition::new(move |n: &u64| n % keys).batch_size(4).max_open_keys(8);
            let limits = Limits::new().batching(by_key).max_in_flight(2).window(6).order(order);
            let (pulled, source) = counted();
            let mut outcomes = dispatch_stream(noting, source, &limits, Context::run()).unwrap();
            let mut seen = BTreeSet::new();
            for n in 0..3000u64 {
                let Some(Ok(Outcome::Done(item))) = within(outcomes.next()).await else { panic!() };
                assert!(seen.insert(item.payload));
                assert!(order == Order::AsCompleted || item.payload == n);
                assert!(pulled.load(SeqCst) <= n as usize + 6 * 4 + 1);
            }
            assert!(outcomes.cancel().balanced());
        }
    }
}

#[tokio::test]
async fn a_rare_key_does_not_stall_the_order() {
    // Item 0 is alone with its key; all others wait for it in a window that is soon full.
    let by_key = KeyPartition::new(|n: &u64| *n == 0).batch_size(8);
    let noting = Noting::open();
    let limits = Limits::new().batching(by_key).max_in_flight(2).window(3);
    let (_, source) = counted();
    let mut outcomes = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
    for n in 0..100 {
        let Some(Ok(Outcome::Done(item))) = within(outcomes.next()).await else { panic!() };
        assert_eq!(item.payload, n);
    }
    let lonely = noting.batches().iter().position(|batch| batch == &[0]);
    assert!(lonely.is_some_and(|at| at <= 3), "the batch of item 0 is closed when space runs out");
}

#[tokio::test]
async fn a_key_that_panics_fails_its_item_alone() {
    let by_key = KeyPartition::new(|n: &u64| if *n == 5 { panic!("no key") } else { n % 2 }).batch_size(3);
    let limits = Limits::new().batching(by_key);
    let done = within(dispatch(Noting::open(), 0..10, &limits, Context::run())).await.unwrap();
    assert_eq!(done.results.len(), 9);
    assert!(done.results.is_sorted_by_key(|item| item.id));
    assert_eq!(done.failures[0].to_string(), "item 5: handler: panicked: no key");
}

#[tokio::test]
async fn policies_hold_for_batches_of_a_key() {
    let picky =
        Arc::new(InProcess::new(
            "local",
            |payloads: Vec<u64>| {
                if payloads.contains(&7) { Err("no good") } else { Ok(payloads) }
            },
        ));
    let by_key = KeyPartition::new(|n: &u64| n % 4).batch_size(5);
    let limits = Limits::new().batching(by_key).on_error(OnError::Isolate);
    let done = within(dispatch(picky.clone(), 0..100, &limits, Context::run())).await.unwrap();
    assert_eq!((done.results.len(), done.failures.len(), done.failures[0].item.0), (99, 1, 7));
    assert!(done.results.is_sorted_by_key(|item| item.id));

    let halted = within(dispatch(picky, 0..100, &limits.on_error(OnError::Halt), Context::run())).await;
    let ledger = halted.unwrap_err().finished.ledger;
    assert!(ledger.balanced(), "{ledger}");
}

#[tokio::test(start_paused = true)]
async fn a_partial_batch_waits_no_longer_than_it_may() {
    let wait = Duration::from_secs(2);
    let strategies: [Batching<u64>; 3] = [
        FixedBatch(10).max_wait(wait),
        WeightedBatch::new(10, |_| 1).max_wait(wait).into(),
        KeyPartition::new(|_| ()).batch_size(10).max_wait(wait).into(),
    ];
    for batching in strategies {
        let noting = Noting::open();
        let limits = Limits::new().batching(batching);
        // Three items at once, and never another one.
        let source = stream::iter((0..3).map(|n| Item::new(n, n))).chain(stream::pending());
        let began = Instant::now();
        let mut outcomes = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
        for n in 0..3 {
            let Some(Ok(Outcome::Done(item))) = outcomes.next().await else { panic!() };
            assert_eq!(item.payload, n);
        }
        let took = began.elapsed();
        assert!((wait..wait + Duration::from_millis(10)).contains(&took), "{took:?}");
        assert_eq!(noting.batches(), [[0, 1, 2]]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_partial_batch_gathers_on_while_there_is_no_permit() {
    let noting = Noting::gated(0);
    let limits = Limits::new().max_in_flight(1).batching(FixedBatch(4).max_wait(Duration::from_secs(1)));
    // One item every 700 ms.
    let source = stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Some((Item::new(n, n), n + 1))
    });
    let source = Box::pin(source);
    let mut outcomes = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
    let reading = tokio::spawn(async move { outcomes.by_ref().take(6).collect::<Vec<_>>().await });
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(noting.batches(), [[0, 1]], "the only permit is taken");
    noting.gate.add_permits(100);
    reading.await.unwrap();
    assert_eq!(noting.batches()[1], [2, 3, 4, 5], "meanwhile the next batch has filled");
}

#[tokio::test]
async fn auto_follows_the_slots_and_pays_its_debt() {
    let noting = Noting::gated(0);
    noting.slots.store(3, SeqCst);
    let limits = Limits::new().batch_size(1).max_in_flight(MaxInFlight::Auto).order(Order::AsCompleted);
    let (_, source) = counted();
    let mut outcomes = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
    let mut poll = || outcomes.next().now_or_never();
    assert!(poll().is_none());
    assert_eq!(noting.inside.load(SeqCst), 6);
    noting.slots.store(5, SeqCst);
    assert!(poll().is_none());
    assert_eq!(noting.inside.load(SeqCst), 10);

    noting.slots.store(1, SeqCst);
    for left in (2..10).rev() {
        noting.gate.add_permits(1);
        assert!(poll().is_some());
        assert_eq!(noting.inside.load(SeqCst), left, "no batch starts before the debt is paid");
    }
    noting.gate.add_permits(1);
    assert!(poll().is_some());
    assert_eq!(noting.inside.load(SeqCst), 2);
    noting.slots.store(0, SeqCst);
    noting.gate.add_permits(1);
    assert!(poll().is_some());
    assert!(noting.inside.load(SeqCst) > 0, "a pool that has no worker at the moment gets work all the same");
}

#[tokio::test]
async fn batches_share_the_input_among_the_slots_also_when_these_change() {
    for (slots, lengths) in [(1, vec![48, 48, 4]), (5, vec![10; 10]), (200, vec![1; 100])] {
        let noting = Noting::open();
        noting.slots.store(slots, SeqCst);
        let limits = Limits::new().batching(AutoBatch::new().max_items(48));
        let done = within(dispatch(noting.clone(), 0..100, &limits, Context::run())).await.unwrap();
        assert_eq!(done.into_payloads(), (0..100).collect::<Vec<_>>());
        assert_eq!(noting.batches().iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{slots} slots");
    }

    let noting = Noting::gated(0);
    noting.slots.store(10, SeqCst);
    let limits = Limits::new().batching(AutoBatch::new()).max_in_flight(2);
    let source = stream::iter((0..200u64).map(|id| Item::new(id, id)));
    let mut outcomes = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
    assert!(outcomes.next().now_or_never().is_none());
    // One more has been gathered, and waits for a permit.
    noting.slots.store(2, SeqCst);
    noting.gate.add_permits(100);
    let done = within(outcomes.collect::<Vec<_>>()).await;
    assert_eq!(done.len(), 200);
    let lengths: Vec<usize> = noting.batches().iter().map(Vec::len).collect();
    assert_eq!(lengths, [10, 10, 10, 43, 43, 43, 41], "the 170 that are left, among 2 slots");

    // A source that does not say how much is left.
    let noting = Noting::open();
    noting.slots.store(10, SeqCst);
    let source = stream::unfold(0u64, async |id| (id < 200).then_some((Item::new(id, id), id + 1)));
    let source = Box::pin(source);
    let limits = Limits::new().batching(AutoBatch::new());
    let stream = dispatch_stream(noting.clone(), source, &limits, Context::run()).unwrap();
    within(stream.collect::<Vec<_>>()).await;
    assert_eq!(noting.batches().iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 64, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_works_with_a_pool() {
    within(async {
        let slither = runtime(pool(2)).await;
        let call = crate::support::behave("echo").batch_size(5).max_in_flight(MaxInFlight::Auto);
        let done = slither.dispatch::<u64, u64>(0..500, call).await.unwrap();
        assert_eq!(done.into_payloads(), (0..500).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_over_time_and_lets_so_many_go_at_once() {
    let noting = Noting::open();
    let limits = Limits::new().batch_size(5).rate_limit(10, Duration::from_secs(1));
    let began = Instant::now();
    let done = dispatch(noting.clone(), 0..100, &limits, Context::run()).await.unwrap();
    assert_eq!(done.into_payloads(), (0..100).collect::<Vec<_>>());
    let at: Vec<u128> =
        noting.seen.lock().unwrap().iter().map(|(at, _)| at.duration_since(began).as_millis()).collect();
    assert!(at[..2].iter().all(|at| *at < 5), "{at:?}");
    for (n, at) in at[2..].iter().enumerate() {
        let due = (n as u128 + 1) * 500;
        assert!((due..due + 10).contains(at), "batch {} came after {at} ms", n + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_rate_is_paid_for_afterwards() {
    let noting = Noting::open();
    let limits = Limits::new().batch_size(30).rate_limit(10, Duration::from_secs(1));
    let began = Instant::now();
    dispatch(noting.clone(), 0..90, &limits, Context::run()).await.unwrap();
    let at: Vec<u64> =
        noting.seen.lock().unwrap().iter().map(|(at, _)| at.duration_since(began).as_secs()).collect();
    assert_eq!(at, [0, 3, 6]);
}

#[tokio::test(start_paused = true)]
async fn what_is_run_again_counts_towards_the_rate() {
    let executed = Arc::new(AtomicUsize::new(0));
    let count = executed.clone();
    let picky = InProcess::new("local", move |payloads: Vec<u64>| {
        count.fetch_add(payloads.len(), SeqCst);
        if payloads.contains(&0) { Err("no good") } else { Ok(payloads) }
    });
    let limits = Limits::new().batch_size(8).rate_limit(8, Duration::from_secs(8)).on_error(OnError::Isolate);
    let began = Instant::now();
    let done = dispatch(Arc::new(picky), 0..8, &limits, Context::run()).await.unwrap();
    assert_eq!((done.results.len(), done.failures[0].error.kind()), (7, ErrorKind::Handler));
    let executed = executed.load(SeqCst);
    assert_eq!(executed, 8 + 8 + 4 + 2);
    assert!(began.elapsed() >= Duration::from_secs(executed as u64 - 8));
}

#[tokio::test]
async fn a_dispatch_without_times_needs_no_timer() {
    let same = InProcess::new("local", |payloads: Vec<u64>| Ok::<_, Infallible>(payloads));
    let done = within(dispatch(Arc::new(same), 0..10, &Limits::new(), Context::run())).await.unwrap();
    assert_eq!(done.results.len(), 10);
}
