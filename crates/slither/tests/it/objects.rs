//! A `PyRef` is a handle to one object in one worker: it is called there, released once, and lost with it.

use slither::{Call, ErrorKind, OnError, PyRef, Slither, Value};

use crate::faults::kill;
use crate::support::{Folder, pool, runtime, until, within};

async fn held(slither: &Slither) -> u64 {
    let each = slither.call_each::<_, u64>("default", "objects:held", &()).await.unwrap();
    each.replies.into_iter().map(|reply| reply.result.unwrap()).sum()
}

async fn released(slither: &Slither) {
    while held(slither).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_keeps_its_worker_and_what_it_has_learned() {
    within(async {
        let slither = runtime(pool(3)).await;
        let model: PyRef = slither.execute("default", "objects:model", &()).await.unwrap();
        let home: u32 = model.call("who", &()).await.unwrap();
        let calls = (0..30).map(|_| model.call::<_, u64>("train", &(1.0, 3.0)));
        let mut learned: Vec<u64> =
            futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
        learned.sort_unstable();
        assert_eq!(learned, (1..=30).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(model.call::<_, u32>("who", &()).await.unwrap(), home);
        let scaled: f64 =
            model.call("predict", &std::collections::BTreeMap::from([("scale", 10.0)])).await.unwrap();
        assert!((scaled - 20.0).abs() < 1e-9);
        // It is given to functions as the object that it is, wherever they are called from.
        let told: (String, f64) =
            slither.execute("default", "objects:predict", &(&model, 2.0)).await.unwrap();
        assert_eq!(told, ("Model".to_owned(), 4.0));
        let items: Vec<(PyRef, f64)> = (0..40).map(|n| (model.clone(), f64::from(n))).collect();
        let call = Call::new("objects:scores").batch_size(3);
        let scores = slither.dispatch::<_, f64>(items, call).await.unwrap().into_payloads();
        assert_eq!(scores, (0..40).map(|n| 2.0 * f64::from(n)).collect::<Vec<_>>());
        let error = model.call::<_, f64>("no_such", &()).await.unwrap_err();
        assert_eq!(error.exception()[0], "AttributeError");
        assert_eq!(model.get::<Value>().await.unwrap_err().kind(), ErrorKind::Value, "it cannot travel");
        assert_eq!(held(&slither).await, 1);
        drop(model);
        released(&slither).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_and_an_open_connection_live_between_calls() {
    within(async {
        let slither = runtime(pool(2)).await;
        let folder = Folder::new();
        let cache: PyRef = slither.execute("default", "objects:cache", &()).await.unwrap();
        cache.call::<_, ()>("update", &[[("two", 2)]]).await.unwrap();
        assert_eq!(cache.call::<_, u64>("get", &["two"]).await.unwrap(), 2);
        assert_eq!(cache.get::<Value>().await.unwrap(), Value::from([("one", 1u64), ("two", 2u64)]));

        let path = folder.path("numbers.db");
        let connection: PyRef = slither.execute("default", "objects:connect", &[&path]).await.unwrap();
        let _: i64 = slither.execute("default", "objects:insert", &(&connection, [1, 2, 39])).await.unwrap();
        let total: i64 = slither.execute("default", "objects:total", &[&connection]).await.unwrap();
        assert_eq!(total, 42, "the rows are not committed, so no other connection has them");
        connection.call::<_, ()>("rollback", &()).await.unwrap();
        connection.call::<_, ()>("close", &()).await.unwrap();
        let closed = slither.execute::<_, i64>("default", "objects:total", &[&connection]).await.unwrap_err();
        assert_eq!(closed.exception()[0], "sqlite3.ProgrammingError");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_workers_death_an_object_is_lost_and_no_other_takes_its_place() {
    within(async {
        let slither = runtime(pool(2)).await;
        let session = slither.open_session("default").await.unwrap();
        let model: PyRef = session.execute("objects:model", &()).await.unwrap();
        let (worker, pid) = session.worker().unwrap();
        assert_eq!(model.worker(), worker);
        kill(pid);
        until(|| session.worker().is_none() && slither.stats("default").unwrap().workers.len() == 2).await;
        let told = format!(
            "the Python object is lost: its worker {worker} (pid {pid}) was killed by SIGKILL (signal 9)"
        );
        let error = model.call::<_, u32>("who", &()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::SessionLost, &*told));
        let given =
            slither.execute::<_, Value>("default", "objects:predict", &(&model, 1.0)).await.unwrap_err();
        assert_eq!(given.message(), told);
        slither.clone().shutdown(std::time::Duration::from_secs(5)).await;
        assert_eq!(model.call::<_, u32>("who", &()).await.unwrap_err().kind(), ErrorKind::Pool);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_a_handle_to_is_released() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let path = folder.path("notes");
        let gone = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
        let items = [Some(path.clone()), None, Some(path.clone()), Some(path.clone())];
        let call = || Call::new("objects:models").on_error(OnError::Skip);
        let mut made =
            slither.dispatch::<_, (PyRef, u64)>(items.clone(), call()).await.unwrap().into_payloads();
        assert_eq!(made.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [0, 2, 3]);
        let (kept, _) = made.remove(1);
        let copy = kept.clone();
        drop((made, kept));
        until(|| gone() == 2).await;
        assert_eq!(copy.call::<_, u64>("train", &[1.0]).await.unwrap(), 1, "the last clone keeps it");
        drop(copy);
        until(|| gone() == 3).await;
        // A result that does not fit its type, one that is read by a type without handles, and one nobody waits for.
        slither.dispatch::<_, (u64, PyRef)>(items.clone(), call()).await.unwrap();
        until(|| gone() == 6).await;
        slither.dispatch::<_, (serde::de::IgnoredAny, u64)>(items, call()).await.unwrap();
        until(|| gone() == 9).await;
        let gate = folder.path("gate");
        let args = (&path, &gate);
        let making = slither.execute::<_, PyRef>("default", "objects:wait_and_make", &args);
        let begun = until(|| std::fs::exists(format!("{gate}.begun")).unwrap());
        tokio::select! {
            _ = making => panic!("the gate is shut"),
            () = begun => {}
        }
        std::fs::write(&gate, "").unwrap();
        until(|| gone() == 10).await;
        assert_eq!(held(&slither).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_two_workers_do_not_meet_in_one_call() {
    within(async {
        let slither = runtime(pool(2)).await;
        let (first, second) = (slither.open_session("default").await, slither.open_session("default").await);
        let (first, second) = (first.unwrap(), second.unwrap());
        let mine: PyRef = first.execute("objects:model", &()).await.unwrap();
        let yours: PyRef = second.execute("objects:model", &()).await.unwrap();
        let both =
            slither.execute::<_, Value>("default", "objects:predict", &(&mine, &yours)).await.unwrap_err();
        assert_eq!(both.kind(), ErrorKind::Value);
        assert!(both.message().starts_with("one call was given Python objects of two workers"), "{both}");
        let foreign = second.execute::<_, Value>("objects:predict", &(&mine, 1.0)).await.unwrap_err();
        assert_eq!(
            (foreign.kind(), foreign.message()),
            (ErrorKind::Decode, "a reference to an object that another worker holds")
        );
        assert!(serde_json::to_string(&mine).unwrap().contains("PyRef"));
        assert!(serde_json::from_str::<PyRef>("1").is_err());
    })
    .await;
}
