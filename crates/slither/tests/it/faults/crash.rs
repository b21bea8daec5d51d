//! What a crash costs when it comes from outside, and what looks like an exit and is none. The deaths in each phase are in
//! `matrix`, what is said of them in `stories`.

use slither::{Death, ErrorKind, ItemId, OnError, Value};

use super::{kill, pids};
use crate::support::{Folder, behave, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn exit_and_interrupt_in_user_code_fail_the_batch_and_the_worker_survives() {
    within(async {
        let slither = runtime(pool(2)).await;
        let before = pids(&slither);
        for (deed, class, message) in [
            ("raise", "ValueError", "as asked"),
            ("sys-exit", "SystemExit", "4"),
            ("interrupt", "KeyboardInterrupt", ""),
        ] {
            let items = (0..12u64).map(|number| if number == 5 { deed.into() } else { Value::from(number) });
            let call = behave("act").batch_size(4).on_error(OnError::Skip);
            let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
            assert!(done.ledger.balanced() && done.ledger.emitted == 8, "{deed}: {}", done.ledger);
            let failed: Vec<_> = done.failures.iter().map(|failure| failure.item).collect();
            assert_eq!(failed, [4, 5, 6, 7].map(ItemId), "{deed}");
            let error = &done.failures[0].error;
            assert_eq!((error.kind(), error.message()), (ErrorKind::Exception, message), "{deed}");
            assert_eq!(error.exception()[0], class, "{deed}");
            assert!(error.traceback().unwrap().contains("in _deed"), "{deed}");
            let worker = error.worker().unwrap();
            assert!(before.contains(&worker.pid) && worker.death.is_none() && worker.items.is_empty());
            assert_eq!(pids(&slither), before, "{deed}: the worker survives");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_from_outside_costs_its_batch_alone() {
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
        let (item, error) = (done.failures[0].item, &done.failures[0].error);
        assert_eq!(error.message(), "the worker was killed by SIGKILL (signal 9) while it ran user code");
        assert_eq!(error.traceback(), None, "there is no stack to be had, and nothing is said of one");
        let report = error.worker().unwrap();
        assert_eq!((item, report.pid, report.death), (ItemId(0), victim, Some(Death::Signal(9))));
        until(|| pids(&slither).len() == 2).await;
    })
    .await;
}
