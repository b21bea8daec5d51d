//! What workers start dies with them.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use slither::{ErrorKind, Value};

use super::stories::plain;
use super::{kill, pids};
use crate::support::{Folder, alive, pool, runtime, until, within};

/// What is left behind lives for 300 s, and so does the socket that it holds; this is less, however slow the machine is.
const BOUND: Duration = Duration::from_secs(60);

async fn gone(what: &str, pids: &[u32]) {
    let begun = Instant::now();
    until(|| !pids.iter().any(|pid| alive(*pid))).await;
    assert!(begun.elapsed() < BOUND, "{what}: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn children_die_with_their_worker_in_their_own_session_too() {
    within(async {
        let slither = runtime(pool(1)).await;
        // The forked child holds a copy of the socket, which hides its end.
        let family: Vec<u32> = slither.execute("default", "behave:offspring", &()).await.unwrap();
        assert!(family.iter().all(|pid| alive(*pid)));
        let folder = Folder::new();
        let gate = folder.path("gate");
        let args = [[&gate]];
        let running = slither.execute::<_, Value>("default", "behave:wait_for_file", &args);
        let killer = async {
            until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
            kill(family[1]);
            Instant::now()
        };
        let (answer, killed) = tokio::join!(running, killer);
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Crash);
        assert_snapshot!("death_beside_a_living_child", plain(&error.report()));
        assert!(killed.elapsed() < BOUND, "{:?}", killed.elapsed());
        gone("after the worker's death", &family[1..]).await;
        assert!(alive(family[0]), "the nursery lives");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_die_with_the_pool() {
    within(async {
        let slither = runtime(pool(2)).await;
        let each = slither.call_each::<_, Vec<u32>>("default", "behave:offspring", &()).await.unwrap();
        let family: Vec<u32> = each.replies.into_iter().flat_map(|reply| reply.result.unwrap()).collect();
        slither.shutdown(Duration::from_secs(10)).await;
        gone("after shutdown", &family).await;

        let slither = runtime(pool(2)).await;
        let each = slither.call_each::<_, Vec<u32>>("default", "behave:offspring", &()).await.unwrap();
        let family: Vec<u32> = each.replies.into_iter().flat_map(|reply| reply.result.unwrap()).collect();
        assert_eq!(pids(&slither).len(), 2);
        drop(slither);
        gone("after the drop", &family).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_die_with_the_pool_also_when_its_nursery_does_not_answer() {
    within(async {
        let slither = runtime(pool(2)).await;
        let each = slither.call_each::<_, Vec<u32>>("default", "behave:offspring", &()).await.unwrap();
        let family: Vec<u32> = each.replies.into_iter().flat_map(|reply| reply.result.unwrap()).collect();
        let stopped = std::process::Command::new("kill").args(["-STOP", &family[0].to_string()]).status();
        assert!(stopped.unwrap().success());
        slither.shutdown(Duration::from_millis(100)).await;
        gone("after shutdown", &family).await;
    })
    .await;
}
