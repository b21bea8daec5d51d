//! The answer to a short call may be sent with that to the next; whatever becomes of the next, it comes, once and soon.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use slither::{Call, Item, OnError, Order, Outcome};

use super::unlimited;
use crate::support::{Folder, behave, pool, runtime, until, within};

type Work = (String, String, String);

/// Calls so short, and so many, that some are always behind others in the worker.
fn brief() -> Call<Work> {
    behave("brief").batch_size(1).max_in_flight(32).order(Order::AsCompleted)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_wait_for_the_end_of_a_long_call_behind_it() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        for round in 0..20 {
            let (log, gate) = (folder.path(&format!("log-{round}")), folder.path(&format!("gate-{round}")));
            let items = (0..201).map(|number| {
                let what = if number == 100 { gate.clone() } else { String::new() };
                (log.clone(), number.to_string(), what)
            });
            let items: Vec<Work> = items.collect();
            let source = stream::iter((0u64..).zip(items).map(|(id, item)| Item::new(id, item)));
            let mut results = slither.dispatch_stream::<Work, String>(source, brief()).await.unwrap();
            for at in 0..201 {
                if at == 100 {
                    std::fs::write(&gate, "").unwrap();
                }
                let Some(Ok(Outcome::Done(item))) = results.next().await else {
                    panic!("{round}: no result")
                };
                assert_eq!(item.id.0 < 100, at < 100, "all before the long one, and then the others");
            }
            assert!(results.next().await.is_none());
        }
        assert_eq!(slither.stats("default").unwrap().strays, 0, "nothing was answered twice");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_costs_no_answer_that_was_ready_and_nothing_runs_twice() {
    within(async {
        let slither = runtime(pool(2).restart_budget(unlimited())).await;
        let folder = Folder::new();
        let log = folder.path("log");
        let deadly = |number: u64| number % 50 == 49;
        let items = (0..2000).map(|number| {
            let what = if deadly(number) { "kill" } else { "" };
            (log.clone(), number.to_string(), what.to_owned())
        });
        let done = slither.dispatch::<Work, String>(items, brief().on_error(OnError::Skip)).await.unwrap();
        let mut failed: Vec<u64> = done.failures.iter().map(|failure| failure.item.0).collect();
        failed.sort_unstable();
        assert_eq!(failed, (0..2000).filter(|number| deadly(*number)).collect::<Vec<_>>());
        let mut runs: HashMap<String, usize> = HashMap::new();
        for name in std::fs::read_to_string(&log).unwrap().lines() {
            *runs.entry(name.to_owned()).or_default() += 1;
        }
        assert_eq!(runs.len(), 2000);
        assert!(runs.values().all(|times| *times == 1), "each ran once: {runs:?}");
        until(|| slither.stats("default").unwrap().deaths == 40).await;
        assert_eq!(slither.stats("default").unwrap().strays, 0);
    })
    .await;
}
