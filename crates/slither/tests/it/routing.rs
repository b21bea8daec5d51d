//! Promise: a call that leaves the choice to Slither goes where its reason says, and elsewhere when the pools change.

use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use slither::{Breaker, BreakerState, Call, ErrorKind, Item, OnError, Outcome, Pipe, Pool, Slither};

use crate::several::extension::extension;
use crate::several::free_threaded;
use crate::several::gil::with_gil;
use crate::support::{Folder, until, within};

fn pool(name: &str, size: usize) -> Pool {
    Pool::processes(name).size(size).python_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
}

fn in_threads(python: &Path) -> Pool {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
    Pool::threads("threads").threads_per_worker(4).python(python).python_path(path)
}

async fn runtime(pools: impl IntoIterator<Item = Pool>) -> Slither {
    let builder = pools.into_iter().fold(Slither::builder(), slither::Builder::pool);
    builder.start().await.unwrap_or_else(|error| panic!("{error}"))
}

fn pids(slither: &Slither, pool: &str) -> Vec<u32> {
    slither.stats(pool).unwrap().workers.into_iter().map(|(_, pid)| pid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_call_goes_where_the_decision_says() {
    within(async {
        let slither = runtime([pool("small", 1), pool("large", 2)]).await;
        let decision = slither.route(&Call::<u64>::new("routed:safe")).await.unwrap();
        assert_eq!(
            decision.to_string(),
            "routed:safe goes to pool `large` (processes): each of its processes runs one call at a time\n  \
             not to `small` (processes): it would do as well: each of its processes runs one call at a time"
        );
        let there = pids(&slither, "large");
        let done =
            slither.dispatch::<u64, u32>(0..10, Call::new("routed:safe").auto().batch_size(1)).await.unwrap();
        assert!(done.results.iter().all(|item| there.contains(&item.payload)));
        let pid: u32 = slither.execute("auto", "routed:pid", &()).await.unwrap();
        assert!(there.contains(&pid));
        let declared = Call::new("routed:stateful").auto();
        let pipe: Pipe<u64, u32> = Pipe::builder("routed").python("place", declared).build().unwrap();
        for _ in 0..2 {
            let outputs = slither.run_pipe(&pipe, 0..3u64).await.unwrap();
            assert!(outputs.payloads("default").iter().all(|pid| there.contains(pid)));
        }

        let routes = slither.routes();
        let told: Vec<_> = routes
            .iter()
            .map(|route| {
                (&*route.function, route.stage.as_deref(), &*route.pool, route.decided, route.changed)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("routed:pid", None, "large", 1, 0),
                ("routed:safe", None, "large", 1, 0),
                ("routed:stateful", Some("place"), "large", 2, 0),
            ]
        );
        assert_eq!(routes[0].reason, "each of its processes runs one call at a time");
        assert_eq!(routes[2].reason, "it keeps state in its process, and calls there run one at a time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deciding_imports_nothing_and_what_is_not_there_is_an_error() {
    within(async {
        let folder = Folder::new();
        let log = folder.path("imported");
        let slither = runtime([pool("default", 1).env("IMPORTED", &log)]).await;
        let decision = slither.route(&Call::<u64>::new("routed:safe").unsafe_native()).await.unwrap();
        assert!(decision.reason.contains("native code"), "{decision}");
        assert!(!std::path::Path::new(&log).exists(), "the module was imported");
        slither.dispatch::<u64, u32>([1], Call::new("routed:safe").auto()).await.unwrap();
        assert!(std::path::Path::new(&log).exists());

        let error = slither.dispatch::<u64, u32>([1], Call::new("routed:sage").auto()).await.unwrap_err();
        assert!(error.cause.to_string().contains("did you mean 'safe'"), "{}", error.cause);
        let error = slither.execute::<_, u32>("auto", "routed", &()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Import);
        let error = Slither::builder().pool(pool("auto", 1)).start().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no pool may be named `auto`\n  hint: it stands for the pool that the router chooses"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_session_all_goes_to_its_pool() {
    within(async {
        let slither = runtime([pool("small", 1), pool("large", 2)]).await;
        let session = slither.open_session("small").await.unwrap();
        let there = pids(&slither, "small");
        let done = session.dispatch::<u64, u32>(0..4, Call::new("routed:safe").auto()).await.unwrap();
        assert!(done.results.iter().all(|item| there.contains(&item.payload)));
        assert_eq!(slither.routes()[0].reason, "it is called in a session of this pool");
        session.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_moves_when_its_pool_fails_calls() {
    within(async {
        let cooldown = Duration::from_secs(600);
        let breaker = Breaker { deaths: 1, cooldown, max_cooldown: cooldown };
        let slither = runtime([pool("first", 2).breaker(breaker), pool("spare", 1)]).await;
        let (started, input) = tokio::sync::mpsc::channel::<&str>(1);
        let source = stream::unfold((input, 0u64), |(mut input, at)| async move {
            let payload = input.recv().await?.to_owned();
            Some((Item::new(at, payload), (input, at + 1)))
        });
        let call = Call::new("routed:fragile").auto().batch_size(1).on_error(OnError::Skip);
        let mut results = Box::pin(slither.dispatch_stream::<String, u32>(source, call).await.unwrap());
        let first = pids(&slither, "first");
        started.send("go").await.unwrap();
        let outcome = results.next().await.unwrap().unwrap();
        assert!(matches!(outcome, Outcome::Done(item) if first.contains(&item.payload)));
        started.send("kill").await.unwrap();
        assert!(matches!(results.next().await.unwrap().unwrap(), Outcome::Failed(_)));
        until(|| slither.stats("first").unwrap().breaker == BreakerState::Open).await;

        let spare = pids(&slither, "spare");
        // Until the function is imported in the other pool calls still fail here.
        loop {
            started.send("go").await.unwrap();
            match results.next().await.unwrap().unwrap() {
                Outcome::Done(item) => break assert!(spare.contains(&item.payload)),
                Outcome::Failed(failure) => assert_eq!(failure.error.kind(), ErrorKind::Unavailable),
            }
        }
        let route = slither.routes().remove(0);
        assert_eq!((&*route.pool, route.changed), ("spare", 1));
        drop(started);
        assert!(results.next().await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_function_has_its_pool_and_none_computes_behind_a_gil() {
    within(async {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
        let coroutines = Pool::coroutines("coroutines").python_path(path);
        let waiting = Pool::threads("waiting").threads_per_worker(8).io_bound(true).python(with_gil());
        let pools = [pool("processes", 1), in_threads(&with_gil()), coroutines, waiting.python_path(path)];
        let slither = runtime(pools).await;
        let goes = async |call: Call<u64>| {
            let decision = slither.route(&call).await.unwrap();
            (decision.pool.to_string(), decision.reason)
        };
        let (place, why) = goes(Call::new("routed:safe")).await;
        assert_eq!(place, "processes");
        assert!(
            why.ends_with("this Python has a GIL, behind which its threads would compute one at a time"),
            "{why}"
        );
        assert_eq!(goes(Call::new("routed:safe").io_bound()).await.0, "waiting");
        assert_eq!(goes(Call::new("routed:safe").io_bound().unsafe_native()).await.0, "processes");
        assert_eq!(
            goes(Call::new("routed:pid").io_bound()).await.0,
            "processes",
            "nothing says that it is safe"
        );
        assert_eq!(goes(Call::new("several:meet_in_loop")).await.0, "coroutines");
        let call = Call::new("several:meet_in_loop").auto().batch_size(1).max_in_flight(4);
        assert_eq!(slither.dispatch::<u64, u32>([4; 4], call).await.unwrap().results.len(), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_turns_the_gil_on_sends_the_rest_of_a_run_elsewhere() {
    let Some(python) = free_threaded() else { return };
    within(async {
        let folder = Folder::new();
        let library = extension(&python, &folder.path(""));
        let slither = runtime([pool("processes", 1), in_threads(&python)]).await;
        let (started, input) = tokio::sync::mpsc::channel::<u64>(1);
        let source = stream::unfold(input, |mut input| async move {
            let payload = input.recv().await?;
            Some((Item::new(payload, payload), input))
        });
        let call = Call::new("routed:safe").auto().batch_size(1);
        let mut results = Box::pin(slither.dispatch_stream::<u64, u32>(source, call).await.unwrap());
        let (threads, processes) = (pids(&slither, "threads"), pids(&slither, "processes"));
        started.send(0).await.unwrap();
        let outcome = results.next().await.unwrap().unwrap();
        assert!(matches!(outcome, Outcome::Done(item) if threads.contains(&item.payload)));
        assert!(slither.routes()[0].reason.starts_with("it computes, it is declared as safe in threads"));

        let on: bool = slither.execute("threads", "several:load", &[&library]).await.unwrap();
        assert!(on, "it was made to turn the GIL on");
        // Until the function is imported in the other pool batches still go to the threads, one at a time.
        for number in 1.. {
            started.send(number).await.unwrap();
            let Outcome::Done(item) = results.next().await.unwrap().unwrap() else { panic!("nothing fails") };
            if processes.contains(&item.payload) {
                break;
            }
        }
        let route = slither.routes().remove(0);
        assert_eq!((&*route.pool, route.changed), ("processes", 1));
        assert!(
            route.reason.contains("importing `needy` turned the GIL on, behind which"),
            "{}",
            route.reason
        );
    })
    .await;
}
