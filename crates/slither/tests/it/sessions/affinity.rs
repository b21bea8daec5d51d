//! A strict session never moves; one that fails fast does not wait; a hint moves.

use std::collections::HashSet;

use slither::{Affinity, ErrorKind, ItemError, OnError, Retry};

use super::{keep, kept, pid, put};
use crate::support::{Folder, behave, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_session_never_moves_under_load() {
    within(async {
        let slither = runtime(pool(3)).await;
        let session = slither.open_session("default").await.unwrap();
        let others = (0..4).map(|_| {
            let slither = slither.clone();
            tokio::spawn(async move {
                let call = behave("pids").batch_size(4).max_in_flight(8);
                slither.dispatch::<u64, u32>(0..2000, call).await.unwrap().into_payloads()
            })
        });
        let others: Vec<_> = others.collect();
        let call = keep("put").batch_size(1).max_in_flight(16);
        let done = session.dispatch::<u64, (u32, u64)>(0..1000, call).await.unwrap().into_payloads();
        let pids: HashSet<u32> = done.iter().map(|(pid, _)| *pid).collect();
        assert_eq!(pids, HashSet::from([pid(&session)]));
        let order: Vec<u64> = done.iter().map(|(_, count)| *count).collect();
        assert_eq!(order, (1..=1000).collect::<Vec<_>>(), "one state, in the order of the calls");
        let mut everywhere = HashSet::new();
        for other in others {
            everywhere.extend(other.await.unwrap());
        }
        // As long as the session had calls, its worker may have had time for none of the others.
        while everywhere.len() < 3 {
            let call = behave("pids").batch_size(4).max_in_flight(8);
            everywhere.extend(slither.dispatch::<u64, u32>(0..2000, call).await.unwrap().into_payloads());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_take_two_workers_and_keep_their_states_apart() {
    within(async {
        let slither = runtime(pool(2)).await;
        let (first, second) = (slither.open_session("default").await, slither.open_session("default").await);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_ne!(pid(&first), pid(&second));
        let third = slither.open_session("default").await.unwrap();
        for (session, number) in [(&first, 1), (&second, 2), (&third, 3), (&first, 4)] {
            assert_eq!(put(session, number).await, pid(session));
        }
        assert_eq!(
            (kept(&first).await, kept(&second).await, kept(&third).await),
            (vec![1, 4], vec![2], vec![3])
        );
        let gap = pid(&second);
        second.close().await.unwrap();
        assert_eq!(pid(&slither.open_session("default").await.unwrap()), gap, "the emptiest worker is taken");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_fails_fast_does_not_wait_for_whoever_has_its_worker() {
    within(async {
        let slither = runtime(pool(1)).await;
        let session = slither.open_session("default").affinity(Affinity::StrictFailFast).await.unwrap();
        for number in 0..200 {
            put(&session, number).await;
        }
        let folder = Folder::new();
        let gate = folder.path("gate");
        let other = tokio::spawn({
            let (slither, gate) = (slither.clone(), gate.clone());
            async move { slither.dispatch::<_, String>([gate], behave("wait_for_file")).await.unwrap() }
        });
        until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
        let refused = session.execute::<_, Vec<u64>>("keep:kept", &()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::SessionBusy);
        assert_eq!(refused.message(), "the session of pool `default` is busy: its worker has another call");
        // Another attempt may find it free.
        let retry = Retry::new(u32::MAX).max_backoff(std::time::Duration::from_millis(5));
        let retried = session.dispatch::<u64, (u32, u64)>([200], keep("put").on_error(OnError::Retry(retry)));
        let open = async { std::fs::write(&gate, "").unwrap() };
        let (retried, ()) = tokio::join!(retried, open);
        assert_eq!(retried.unwrap().into_payloads(), [(pid(&session), 201)]);
        other.await.unwrap();
        session.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_prefers_its_worker_and_moves_when_that_is_busy() {
    within(async {
        let slither = runtime(pool(2)).await;
        let strict = slither.open_session("default").await.unwrap();
        let hint = slither.open_session("default").affinity(Affinity::Hint).await.unwrap();
        assert_eq!(hint.worker(), None);
        let who = async || -> Result<u32, ItemError> { hint.execute("behave:who", &()).await };
        // The emptiest worker is preferred when it is idle, as it is a moment after its answer: calls in a row go to it alone.
        let mut row = 0;
        while row < 20 {
            row = if who().await.unwrap() == pid(&strict) { 0 } else { row + 1 };
        }
        let folder = Folder::new();
        let gate = folder.path("gate");
        let holding = hint.dispatch::<_, String>([gate.clone()], behave("wait_for_file"));
        let meanwhile = async {
            until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
            let begun: u32 = std::fs::read_to_string(format!("{gate}.begun")).unwrap().parse().unwrap();
            assert_ne!(who().await.unwrap(), begun, "the other worker has it");
            std::fs::write(&gate, "").unwrap();
        };
        let (held, ()) = tokio::join!(holding, meanwhile);
        held.unwrap();
        let state = hint.dispatch::<u64, String>([1], keep("state")).await.unwrap().into_payloads();
        assert_eq!(state, ["NotInSession"], "it has none");
        hint.close().await.unwrap();
    })
    .await;
}
