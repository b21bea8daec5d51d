//! The nursery's death costs the batches in flight, and is itself bounded.

use std::time::Duration;

use slither::{Breaker, ErrorKind, RestartBudget, Value};

use super::{kill, parent, pids};
use crate::support::{Folder, alive, behave, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nursery_is_replaced_until_the_budget_is_spent() {
    within(async {
        // Deaths count together however far apart they are.
        let period = Duration::from_secs(600);
        let budget = RestartBudget { deaths: 2, period, ..RestartBudget::default() };
        let breaker = Breaker { cooldown: Duration::from_secs(3), ..Breaker::default() };
        let slither = runtime(pool(2).restart_budget(budget).breaker(breaker)).await;
        let folder = Folder::new();
        for round in 0..3 {
            let old = pids(&slither);
            let nursery = parent(*old.iter().next().unwrap());
            let gates = [0, 1].map(|gate| folder.path(&format!("{round}-{gate}")));
            let running = tokio::spawn({
                let (slither, gates) = (slither.clone(), gates.clone());
                async move {
                    let call = behave("wait_for_file").batch_size(1).on_error(slither::OnError::Skip);
                    slither.dispatch::<String, String>(gates, call).await.unwrap()
                }
            });
            until(|| gates.iter().all(|gate| std::fs::exists(format!("{gate}.begun")).unwrap())).await;
            // It waits when the budget is spent, and so has the cause however soon there is a new nursery.
            let waiting = (round == 2).then(|| {
                let slither = slither.clone();
                tokio::spawn(async move { slither.execute::<_, Value>("default", "behave:who", &()).await })
            });
            let waits = usize::from(waiting.is_some());
            until(|| slither.stats("default").unwrap().queued == waits).await;
            kill(nursery);
            let done = running.await.unwrap();
            assert_eq!(done.ledger.failed, 2, "round {round}");
            for failure in &done.failures {
                assert_eq!(
                    failure.error.kind(),
                    ErrorKind::Crash,
                    "round {round}: {}",
                    failure.error.report()
                );
            }
            until(|| !old.iter().any(|pid| alive(*pid))).await;
            if round < 2 {
                let echo = slither.dispatch::<u64, u64>(0..10, behave("echo")).await.unwrap();
                assert_eq!(echo.ledger.emitted, 10, "round {round}: the pool goes on");
                until(|| pids(&slither).len() == 2).await;
                assert!(pids(&slither).is_disjoint(&old));
            }
            if let Some(waiting) = waiting {
                let error = waiting.await.unwrap().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.message().contains("its nursery was killed by SIGKILL"), "{error}");
            }
        }

        // After the cooldown there is a new one.
        until(|| pids(&slither).len() == 2).await;
        let echo = slither.dispatch::<u64, u64>(0..10, behave("echo")).await.unwrap();
        assert_eq!(echo.ledger.emitted, 10);
    })
    .await;
}
