//! Sessions are bounded, and what goes wrong in opening one leaves none behind.

use std::time::Duration;

use slither::ErrorKind;

use super::{kept, put};
use crate::support::{Folder, behave, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_as_the_pool_allows() {
    within(async {
        let slither = runtime(pool(1).max_sessions(2)).await;
        let first = slither.open_session("default").await.unwrap();
        let _second = slither.open_session("default").await.unwrap();
        let error = slither.open_session("default").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SessionLimit);
        assert_eq!(
            error.message(),
            "pool `default` has 2 sessions, as many as it may have\nhint: close some, or raise `Pool::max_sessions`"
        );
        drop(first);
        slither.open_session("default").await.unwrap();
        let unknown = slither.open_session("defualt").await.unwrap_err();
        assert_eq!(unknown.message(), "unknown pool `defualt`\n  hint: did you mean `default`?");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_is_given_up_leaves_no_session() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let gate = folder.path("gate");
        let blocking = slither.dispatch::<_, String>([gate.clone()], behave("wait_for_file"));
        let giving_up = async {
            until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
            let opening = slither.open_session("default").into_future();
            let gone = tokio::time::timeout(Duration::from_millis(50), opening).await;
            assert!(gone.is_err(), "its worker is busy");
            assert_eq!(slither.stats("default").unwrap().sessions, 0);
            std::fs::write(&gate, "").unwrap();
        };
        let (blocked, ()) = tokio::join!(blocking, giving_up);
        blocked.unwrap();
        let session = slither.open_session("default").await.unwrap();
        put(&session, 1).await;
        assert_eq!(kept(&session).await, [1]);
        session.close().await.unwrap();
        assert_eq!(slither.stats("default").unwrap().queued, 0);
    })
    .await;
}
