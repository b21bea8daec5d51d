//! Restarts are bounded, and what waits comes back with the cause.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use slither::{Breaker, Call, ErrorKind, Pool, RestartBudget, Slither, Value};

use super::host::{MARK, marked};
use super::stories::plain;
use super::{kill, pids, unlimited};
use crate::support::{Folder, pool, runtime, until, within};

/// So long that no test comes to its end, however slow the machine is.
const NEVER: Duration = Duration::from_secs(600);

/// Deaths count together however far apart they are, and when they are too many nothing is tried again.
fn deadly(folder: &Folder, deaths: usize) -> Pool {
    let budget = RestartBudget { deaths, period: NEVER, backoff: Duration::from_millis(10) };
    let breaker = Breaker { cooldown: NEVER, max_cooldown: NEVER, ..Breaker::default() };
    pool(1).env("DEADLY", folder.path("imports")).restart_budget(budget).breaker(breaker)
}

fn imports(folder: &Folder) -> usize {
    std::fs::read_to_string(folder.path("imports")).map_or(0, |text| text.lines().count())
}

/// Imports `deadly`, makes it fail to import from now on, and kills the worker; returns what waiting calls got.
async fn doom(slither: &Slither, folder: &Folder, how: &str) -> String {
    let call = Call::new("deadly:echo");
    assert_eq!(slither.dispatch::<u64, u64>(0..3, call).await.unwrap().ledger.emitted, 3);
    assert_eq!(imports(folder), 1);
    std::fs::write(folder.path(&format!("imports.{how}")), "").unwrap();
    let killed = slither.execute::<_, Value>("default", "behave:act", &[["kill"]]).await.unwrap_err();
    assert_eq!(killed.kind(), ErrorKind::Crash);
    let waiting = (0..6).map(|number| {
        let slither = slither.clone();
        async move { slither.execute::<_, Value>("default", "deadly:echo", &[[number]]).await }
    });
    let mut causes = futures_util::future::join_all(waiting).await.into_iter().map(Result::unwrap_err);
    let first = causes.next().unwrap();
    assert_eq!(first.kind(), ErrorKind::Unavailable);
    assert!(causes.all(|cause| cause == first), "each has the cause");
    first.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_at_import_is_started_budget_plus_one_times() {
    within(async {
        let folder = Folder::new();
        let slither = runtime(deadly(&folder, 3)).await;
        let cause = doom(&slither, &folder, "die").await;
        assert!(cause.contains("exited with code 3") && cause.contains("budget of 3 deaths"), "{cause}");
        assert_eq!(imports(&folder) - 1, 3 + 1);
        assert!(pids(&slither).is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_never_ready_counts_as_one_that_dies() {
    within(async {
        let folder = Folder::new();
        let slither = runtime(deadly(&folder, 1).start_timeout(Duration::from_secs(5))).await;
        let cause = doom(&slither, &folder, "hang").await;
        assert!(cause.contains("was not ready after 5 s"), "{cause}");
        assert_eq!(imports(&folder) - 1, 1 + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preload_that_dies_fails_the_start() {
    within(async {
        let folder = Folder::new();
        std::fs::write(folder.path("imports.die"), "").unwrap();
        let pool = deadly(&folder, 2).preload("deadly");
        let error = Slither::builder().pool(pool).start().await.unwrap_err().to_string();
        assert!(error.contains("nursery exited with code 3"), "{error}");
        assert_eq!(imports(&folder), 2 + 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_for_ever_has_a_timeout_of_its_own() {
    within(async {
        let mark = format!("{}-timeout.", std::process::id());
        // Of a call it is the same limit, and not that of its batches.
        let slow = || pool(1).env(MARK, &mark).call_timeout(Duration::from_secs(600));
        let late = slow().start_timeout(Duration::from_millis(400)).preload("slow_import");
        let error = Slither::builder().pool(late).start().await.unwrap_err();
        assert_snapshot!("preload_too_slow", error.to_string());
        let slither = runtime(slow().start_timeout(Duration::from_secs(8))).await;
        let error = slither.dispatch::<u64, u64>(0..3, Call::new("slow_import:echo")).await.unwrap_err();
        assert_snapshot!("import_too_slow", plain(&error.cause.to_string()));
        slither.shutdown(Duration::from_secs(5)).await;
        until(|| marked(&mark) == 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_for_ever_can_be_cancelled() {
    within(async {
        let mark = format!("{}-cancelled.", std::process::id());
        let slow = pool(2).env(MARK, &mark).preload("slow_import");
        let starting = tokio::spawn(Slither::builder().pool(slow).start());
        // The nursery, and the process that the module starts first of all.
        until(|| marked(&mark) == 2).await;
        let begun = Instant::now();
        starting.abort();
        assert!(starting.await.unwrap_err().is_cancelled());
        until(|| marked(&mark) == 0).await;
        // The import takes 30 s, and the process that it has started lives for a minute.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_dies_at_import_fails_its_call_and_not_the_pool() {
    within(async {
        let folder = Folder::new();
        let slither = runtime(deadly(&folder, 5)).await;
        std::fs::write(folder.path("imports.die"), "").unwrap();
        let refused = slither.dispatch::<u64, u64>(0..3, Call::new("deadly:echo")).await.unwrap_err();
        let message = refused.cause.to_string();
        assert!(message.contains("exited with code 3") && message.contains("deadly:echo"), "{message}");
        let done = slither.dispatch::<u64, u64>(0..3, Call::new("behave:echo")).await.unwrap();
        assert_eq!(done.ledger.emitted, 3);
    })
    .await;
}

/// Kills a worker that runs a call thirty times; says how long it was each time until the next had a result, in order of length.
async fn replacements() -> Vec<Duration> {
    let slither = runtime(pool(1).restart_budget(unlimited())).await;
    let folder = Folder::new();
    let mut took = Vec::new();
    for round in 0..30 {
        let victim = *pids(&slither).iter().next().unwrap();
        let gate = folder.path(&round.to_string());
        let waiting = tokio::spawn({
            let (slither, gate) = (slither.clone(), gate.clone());
            async move { slither.execute::<_, Value>("default", "behave:wait_for_file", &[[gate]]).await }
        });
        until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
        kill(victim);
        let begun = Instant::now();
        let next: u32 = slither.execute("default", "behave:who", &()).await.unwrap();
        took.push(begun.elapsed());
        assert_ne!(next, victim);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Crash);
        until(|| pids(&slither).len() == 1).await;
    }
    took.sort_unstable();
    println!("from a kill to the next good result: p50 {:?}, worst {:?}", took[15], took[29]);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_does_the_next_call() {
    within(replacements()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an idle core; `cargo xtask soak` runs it"]
async fn a_replacement_is_soon_at_work() {
    let took = within(replacements()).await;
    assert!(took[15] < Duration::from_secs(1), "{took:?}");
}
