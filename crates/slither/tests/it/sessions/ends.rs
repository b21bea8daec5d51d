//! A session ends once, however its owner does: Python's hooks run, its state is gone, the host's hook is called.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use slither::{ErrorKind, OpenSession, Session, SessionEnd, Slither};

use super::{kept, pid, put};
use crate::faults::kill;
use crate::support::{Folder, behave, pool, runtime, until, within};

/// What the host's hook was told, each time.
type Told = Arc<Mutex<Vec<SessionEnd>>>;

fn watched(slither: &Slither) -> (OpenSession, Told) {
    let told = Told::default();
    let note = told.clone();
    (slither.open_session("default").on_end(move |how| note.lock().unwrap().push(how)), told)
}

/// A session that keeps a number, and whose end Python notes in a file.
async fn noted(slither: &Slither, path: &str) -> (Session, Told, String) {
    let (opening, told) = watched(slither);
    let session = opening.await.unwrap();
    put(&session, 5).await;
    let pid: u32 = session.execute("keep:note_end", &[path]).await.unwrap();
    let line = format!("{pid} {} [5]\n", session.id());
    (session, told, line)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_the_calls_before_it_and_for_the_hooks() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let (notes, gate) = (folder.path("notes"), folder.path("gate"));
        let (session, told, line) = noted(&slither, &notes).await;
        let before = session.dispatch_stream::<String, String>(
            futures_util::stream::iter([slither::Item::new(0, gate.clone())]),
            behave("wait_for_file"),
        );
        let mut before = before.await.unwrap();
        let before = tokio::spawn(async move { futures_util::StreamExt::next(&mut before).await });
        until(|| std::fs::exists(format!("{gate}.begun")).unwrap()).await;
        let closing = tokio::spawn(session.close());
        until(|| slither.stats("default").unwrap().sessions == 0).await;
        assert!(!closing.is_finished() && text(&notes).is_empty() && told.lock().unwrap().is_empty());
        std::fs::write(&gate, "").unwrap();
        closing.await.unwrap().unwrap();
        assert_eq!(text(&notes), line);
        assert_eq!(*told.lock().unwrap(), [SessionEnd::Closed]);
        before.await.unwrap().unwrap().unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_its_owner_is_its_end() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        for way in ["dropped", "aborted", "panicked"] {
            let notes = folder.path(way);
            let (session, told, line) = noted(&slither, &notes).await;
            match way {
                "dropped" => drop(session),
                "aborted" => {
                    let owner = tokio::spawn(async move {
                        let _session = session;
                        std::future::pending::<()>().await;
                    });
                    owner.abort();
                    assert!(owner.await.unwrap_err().is_cancelled());
                }
                _ => {
                    let owner = tokio::spawn(async move {
                        let _session = session;
                        panic!("as asked");
                    });
                    assert!(owner.await.unwrap_err().is_panic());
                }
            }
            assert_eq!(*told.lock().unwrap(), [SessionEnd::Dropped], "{way}");
            until(|| !text(&notes).is_empty()).await;
            assert_eq!(text(&notes), line, "{way}");
            assert_eq!(slither.stats("default").unwrap().sessions, 0);
        }
        assert_eq!(slither.stats("default").unwrap().deaths, 0);
        let fresh = slither.open_session("default").await.unwrap();
        assert_eq!(kept(&fresh).await, [0u64; 0], "in the same worker, another session");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_ends_without_python_and_the_hosts_hook_is_called_once() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let notes = folder.path("notes");
        let (session, told, _) = noted(&slither, &notes).await;
        kill(pid(&session));
        until(|| session.worker().is_none() && slither.stats("default").unwrap().deaths == 1).await;
        assert!(told.lock().unwrap().is_empty(), "it may be opened anew");
        session.reopen().await.unwrap();
        kill(pid(&session));
        until(|| slither.stats("default").unwrap().deaths == 2).await;
        drop(session);
        assert_eq!(*told.lock().unwrap(), [SessionEnd::Lost]);
        assert_eq!(text(&notes), "");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_expires_and_a_busy_one_does_not() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        // What is imported already takes none of the session's time.
        let notes = folder.path("import");
        std::fs::write(&notes, "").unwrap();
        let import = behave("wait_for_file");
        slither.dispatch::<_, String>([notes], import).await.unwrap();
        let mut ttl = Duration::from_millis(150);
        let (session, told, notes, gate) = loop {
            // Whoever is not run for a while has lost its session before it calls, and needs one that lives longer.
            ttl *= 2;
            let at = |name| folder.path(&format!("{name}-{}", ttl.as_millis()));
            let (notes, gate) = (at("notes"), at("gate"));
            let (opening, told) = watched(&slither);
            let session = opening.ttl(ttl).await.unwrap();
            let noted = session.execute::<_, u32>("keep:note_end", &[&notes]).await;
            // Its caller goes away, and it still runs.
            let abandoned = session.dispatch::<_, String>([gate.clone()], behave("wait_for_file"));
            let begun = until(|| std::fs::exists(format!("{gate}.begun")).unwrap());
            let late = tokio::select! {
                done = abandoned => done.unwrap_err().to_string(),
                () = begun => {
                    noted.unwrap();
                    break (session, told, notes, gate);
                }
            };
            assert!(late.contains("has ended: it was idle for as long as its time to live"), "{late}");
        };
        let long = tokio::time::Instant::now() + 3 * ttl;
        until(|| tokio::time::Instant::now() > long).await;
        assert_eq!(slither.stats("default").unwrap().sessions, 1, "a call of it still runs");
        assert!(text(&notes).is_empty() && told.lock().unwrap().is_empty());
        std::fs::write(&gate, "").unwrap();
        // Python's hook has run before the host is told.
        until(|| !text(&notes).is_empty() && !told.lock().unwrap().is_empty()).await;
        assert_eq!(*told.lock().unwrap(), [SessionEnd::Expired]);
        let late = session.execute::<_, Vec<u64>>("keep:kept", &()).await.unwrap_err();
        let told_late =
            format!("session {} has ended: it was idle for as long as its time to live", session.id());
        assert_eq!((late.kind(), late.message()), (ErrorKind::SessionEnded, &*told_late));
        assert_eq!(session.reopen().await.unwrap_err().kind(), ErrorKind::SessionEnded);
        drop(session);
        assert_eq!(told.lock().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_raise_or_hang_keep_nothing_alive() {
    within(async {
        // Whatever does not hang has time enough.
        let slither = runtime(pool(1).call_timeout(Duration::from_secs(5))).await;
        let session = slither.open_session("default").await.unwrap();
        session.execute::<_, ()>("keep:raise_at_end", &()).await.unwrap();
        session.close().await.unwrap();
        assert_eq!(slither.stats("default").unwrap().deaths, 0, "an exception is logged");
        let session = slither.open_session("default").await.unwrap();
        session.execute::<_, ()>("keep:hang_at_end", &()).await.unwrap();
        assert_eq!(session.close().await.unwrap_err().kind(), ErrorKind::Timeout);
        let (opening, told) = watched(&slither);
        let session = opening.on_end(|_| panic!("as asked")).await.unwrap();
        session.close().await.unwrap();
        assert!(told.lock().unwrap().is_empty(), "the later hook replaces the earlier");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_sessions_in_python_and_their_handles_say_so() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let notes = folder.path("notes");
        let (session, told, line) = noted(&slither, &notes).await;
        slither.shutdown(Duration::from_secs(10)).await;
        assert_eq!(text(&notes), line);
        let late = session.execute::<_, Vec<u64>>("keep:kept", &()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Pool);
        drop(session);
        assert_eq!(*told.lock().unwrap(), [SessionEnd::Pool]);
    })
    .await;
}
