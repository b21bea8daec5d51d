//! A crash fails only its batch.

use slither::{Death, ErrorKind, ItemId, OnError, Value};

use super::{kill, pids};
use crate::support::{Folder, behave, pool, runtime, until, within};

struct Deed {
    name: &'static str,
    death: Death,
    says: &'static str,
}

const DEADLY: [Deed; 5] = [
    Deed { name: "segfault", death: Death::Signal(11), says: "was killed by SIGSEGV (signal 11)" },
    Deed { name: "abort", death: Death::Signal(6), says: "was killed by SIGABRT (signal 6)" },
    Deed { name: "exit", death: Death::Code(0), says: "exited with code 0" },
    Deed { name: "libc-exit", death: Death::Code(3), says: "exited with code 3" },
    Deed { name: "kill", death: Death::Signal(9), says: "was killed by SIGKILL (signal 9)" },
];

/// Forty numbers, of which the batch from 16 to 19 does something else.
fn items(deed: &str) -> Vec<Value> {
    let item = |number: u64| match number {
        16 => Value::from("mutter"),
        17 => Value::from(deed),
        other => Value::from(other),
    };
    (0..40).map(item).collect()
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<ItemId> {
    ids.into_iter().map(ItemId).collect()
}

async fn only_the_batch_fails(size: usize) {
    let slither = runtime(pool(size)).await;
    let run = async |deed: &str| {
        let call = behave("act").batch_size(4).max_in_flight(4).on_error(OnError::Skip);
        let done = slither.dispatch::<Value, Value>(items(deed), call).await.unwrap();
        assert!(done.ledger.balanced() && done.ledger.emitted == 36, "{deed}: {}", done.ledger);
        let results: Vec<_> = done.results.iter().map(|item| item.id).collect();
        assert_eq!(results, ids((0..16).chain(20..40)), "{deed}: order is kept");
        let failed: Vec<_> = done.failures.iter().map(|failure| failure.item).collect();
        assert_eq!(failed, ids(16..20), "{deed}");
        assert!(done.failures.iter().all(|failure| failure.batch[..] == ids(16..20)), "{deed}");
        done.failures[0].error.clone()
    };
    for Deed { name, death, says } in &DEADLY {
        let before = pids(&slither);
        let error = run(name).await;
        let report = error.worker().unwrap_or_else(|| panic!("{name}: {error:?}"));
        assert_eq!(error.kind(), ErrorKind::Crash, "{name}");
        assert!(error.message().contains(says), "{name}: {error}");
        assert_eq!(report.death, Some(*death), "{name}");
        assert_eq!(report.phase, Some(slither::Phase::User), "{name}");
        assert!(report.running.is_some());
        assert!(before.contains(&report.pid) && report.worker.starts_with("default/"), "{name}");
        assert_eq!(report.stderr, [r"about to \u{1b}[31mdie"], "{name}");
        if *name == "segfault" {
            let stack = error.traceback().unwrap_or("");
            assert!(stack.contains("Segmentation fault") && stack.contains("in _deed"), "{stack}");
        }
        until(|| pids(&slither).len() == size && !pids(&slither).contains(&report.pid)).await;
        assert!(!crate::support::alive(report.pid));
    }
    for (name, class) in
        [("raise", "ValueError"), ("sys-exit", "SystemExit"), ("interrupt", "KeyboardInterrupt")]
    {
        let before = pids(&slither);
        let error = run(name).await;
        assert_eq!((error.kind(), &*error.exception()[0]), (ErrorKind::Exception, class));
        assert!(error.traceback().unwrap().contains("in _deed"), "{name}");
        assert!(before.contains(&error.worker().unwrap().pid));
        assert_eq!(pids(&slither), before, "{name}: the worker survives");
    }
    assert_eq!(slither.stats("default").unwrap().deaths, DEADLY.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_one() {
    within(only_the_batch_fails(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_two() {
    within(only_the_batch_fails(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_of_five() {
    within(only_the_batch_fails(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_from_outside() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        let gates = ["a", "b", "c"].map(|name| folder.path(name));
        let call = behave("wait_for_file").batch_size(1).on_error(OnError::Skip);
        let running = tokio::spawn({
            let (slither, gates) = (slither.clone(), gates.clone());
            async move { slither.dispatch::<String, String>(gates, call).await.unwrap() }
        });
        let begun = |gate: &str| std::fs::read_to_string(format!("{gate}.begun"));
        until(|| begun(&gates[0]).is_ok() && begun(&gates[1]).is_ok()).await;
        let victim: u32 = begun(&gates[0]).unwrap().parse().unwrap();
        kill(victim);
        for gate in &gates {
            std::fs::write(gate, "").unwrap();
        }
        let done = running.await.unwrap();
        assert_eq!((done.ledger.emitted, done.ledger.failed), (2, 1));
        let failure = &done.failures[0];
        assert_eq!((failure.item, failure.error.worker().unwrap().pid), (ItemId(0), victim));
        until(|| pids(&slither).len() == 2).await;
    })
    .await;
}
