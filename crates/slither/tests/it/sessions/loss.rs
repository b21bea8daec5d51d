//! A worker's death ends what it kept, loudly: no call finds fresh state unasked.

use slither::{Call, ErrorKind, OnError, Retry, Session, Value};

use super::{keep, kept, pid, put};
use crate::faults::kill;
use crate::support::{Folder, alive, behave, pool, runtime, until, within};

async fn refused(session: &Session) -> ErrorKind {
    session.execute::<_, Vec<u64>>("keep:kept", &()).await.unwrap_err().kind()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_call_fails_with_the_crash_and_all_others_as_lost_until_it_is_reopened() {
    within(async {
        let slither = runtime(pool(2)).await;
        let session = slither.open_session("default").await.unwrap();
        let other = slither.open_session("default").await.unwrap();
        put(&other, 7).await;
        let victim = put(&session, 1).await;
        let folder = Folder::new();
        let gates = ["a", "b", "c"].map(|name| folder.path(name));
        let call = behave("wait_for_file").batch_size(1).on_error(OnError::Skip);
        let running = session.dispatch::<String, String>(gates.clone(), call);
        let killing = async {
            until(|| std::fs::exists(format!("{}.begun", gates[0])).unwrap()).await;
            kill(victim);
        };
        let (done, ()) = tokio::join!(running, killing);
        let kinds: Vec<_> = done.unwrap().failures.iter().map(|failure| failure.error.kind()).collect();
        assert_eq!(kinds, [ErrorKind::Crash, ErrorKind::SessionLost, ErrorKind::SessionLost]);

        let error = session.execute::<_, Vec<u64>>("keep:kept", &()).await.unwrap_err();
        let told = format!(
            "session {} is lost, with what Python kept in it: its worker {} (pid {victim}) was killed by SIGKILL \
             (signal 9)\nhint: open it anew with `Session::reopen`, and rebuild its state",
            session.id(),
            error.worker().unwrap().worker,
        );
        assert_eq!((error.kind(), error.message()), (ErrorKind::SessionLost, &*told));
        assert_eq!(session.worker(), None);
        until(|| slither.stats("default").unwrap().workers.len() == 2).await;
        assert_eq!(refused(&session).await, ErrorKind::SessionLost, "the replacement changes nothing");
        assert_eq!(kept(&other).await, [7], "the other session is untouched");

        let id = session.id().clone();
        session.reopen().await.unwrap();
        assert_eq!(session.id(), &id);
        assert_eq!(kept(&session).await, [0u64; 0]);
        assert_eq!(put(&session, 2).await, pid(&session));
        session.reopen().await.unwrap();
        assert_eq!(kept(&session).await, [2], "a session that lives is left as it is");
        assert!(!alive(victim));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn isolate_and_retry_leave_a_death_and_still_help_where_the_worker_survives() {
    within(async {
        let slither = runtime(pool(2)).await;
        for policy in [OnError::Isolate, OnError::Retry(Retry::new(5).then(OnError::Isolate))] {
            let session = slither.open_session("default").await.unwrap();
            let act = |deed: &str| {
                let items = [Value::from(1u64), Value::from(deed), Value::from(2u64), Value::from(3u64)];
                session.dispatch::<Value, Value>(items, behave("act").on_error(policy.clone()))
            };
            let done = act("raise").await.unwrap();
            assert_eq!((done.results.len(), done.failures.len()), (3, 1), "{policy}: only the culprit");
            let deaths = slither.stats("default").unwrap().deaths;
            let done = act("kill").await.unwrap();
            assert_eq!(done.failures.len(), 4, "{policy}: the state of the innocent is gone, too");
            assert!(done.failures.iter().all(|failure| failure.error.kind() == ErrorKind::Crash));
            assert_eq!(
                slither.stats("default").unwrap().deaths,
                deaths + 1,
                "{policy}: nothing is tried again"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_costs_the_session_as_a_crash_does() {
    within(async {
        let slither = runtime(pool(1)).await;
        let session = slither.open_session("default").await.unwrap();
        let hang: Call<String> = behave("act").timeout(std::time::Duration::from_secs(3));
        let halted = session.dispatch::<_, Value>(["hang".to_owned()], hang).await.unwrap_err();
        assert!(halted.to_string().contains("ran past its deadline"), "{halted}");
        assert_eq!(refused(&session).await, ErrorKind::SessionLost);
        session.reopen().await.unwrap();
        put(&session, 1).await;
        let done = session.dispatch::<u64, (u32, u64)>([2], keep("put")).await.unwrap();
        assert_eq!(done.into_payloads()[0].1, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_reopened_at_once_still_gets_a_worker_of_its_own() {
    within(async {
        let slither = runtime(pool(2)).await;
        let session = slither.open_session("default").await.unwrap();
        let other = slither.open_session("default").await.unwrap();
        for _ in 0..5 {
            let victim = put(&session, 1).await;
            kill(victim);
            until(|| !alive(victim)).await;
            assert_eq!(refused(&session).await, ErrorKind::SessionLost);
            // The replacement is hardly there yet, and the other session's worker is.
            session.reopen().await.unwrap();
            assert_ne!(pid(&session), pid(&other));
            assert_eq!(kept(&session).await, [0u64; 0]);
        }
    })
    .await;
}
