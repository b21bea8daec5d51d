//! Streaming tools: values as they are made, errors in their places, and generators that wait for who takes them.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use slither::{ErrorKind, Pool, Slither, ToolStream, Value};

use super::{profiles, start, with};
use crate::support::{Folder, until, within};

async fn all<T: serde::de::DeserializeOwned>(stream: ToolStream<T>) -> Vec<T> {
    stream.map(|value| value.unwrap_or_else(|error| panic!("{error}"))).collect().await
}

fn running(slither: &Slither) -> usize {
    slither.stats("default").unwrap().running
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_value_of_a_stream_arrives_before_the_last_is_made() {
    within(async {
        for (profile, _, pool) in profiles("Predictions") {
            let slither = start(pool).await;
            let adapter = slither.adapter("default").unwrap();
            for tool in ["gated", "gated_later"] {
                let folder = Folder::new();
                let gate = folder.path("gate");
                let mut stream = adapter.stream::<_, String>(tool, &[&gate]);
                assert_eq!(stream.next().await.unwrap().unwrap(), "first", "{profile}, {tool}");
                assert!(stream.next().now_or_never().is_none(), "the last has not been made");
                std::fs::write(&gate, "").unwrap();
                assert_eq!(stream.next().await.unwrap().unwrap(), "last", "{profile}, {tool}");
                assert!(stream.next().await.is_none());
                assert!(stream.next().await.is_none(), "it has ended for good");
            }
            // What is no stream has one value, and what is one has all of them for a plain call.
            assert_eq!(all(adapter.stream::<_, u64>("logged", &())).await, [0]);
            assert_eq!(adapter.call::<_, Vec<u64>>("count", &[3]).await.unwrap(), [0, 1, 2]);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_comes_whole_and_in_its_order() {
    within(async {
        for (profile, _, pool) in profiles("Predictions") {
            let slither = start(pool).await;
            let adapter = slither.adapter("default").unwrap();
            let values: Vec<u64> = all(adapter.stream("count", &[10_000])).await;
            assert!(values.iter().copied().eq(0..10_000), "{profile}: {} values", values.len());
            assert_eq!(all(adapter.stream::<_, u64>("count", &[0])).await, [0; 0]);
            until(|| running(&slither) == 0).await;
            assert_eq!(slither.stats("default").unwrap().strays, 0, "{profile}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_dropped_closes_its_generator_and_leaves_a_pool_that_answers() {
    within(async {
        for (profile, _, pool) in profiles("Predictions") {
            let slither = start(pool.call_timeout(Duration::from_secs(60))).await;
            let adapter = slither.adapter("default").unwrap();
            // At once, while values come, when it waits for room, and before its worker has begun it.
            for taken in [0, 1, 40] {
                let folder = Folder::new();
                let marker = folder.path("closed");
                let mut stream = adapter.stream::<_, u64>("count", &(1_000_000, &marker));
                for value in 0..taken {
                    assert_eq!(stream.next().await.unwrap().unwrap(), value, "{profile}");
                }
                if taken == 0 {
                    // Polled once, it makes the call; on a busy machine a value may be there already.
                    let _ = stream.next().now_or_never();
                }
                drop(stream);
                until(|| running(&slither) == 0).await;
                if taken > 0 {
                    assert!(std::path::Path::new(&marker).exists(), "{profile}: its `finally` has run");
                }
            }
            assert_eq!(slither.call::<_, u64>("logged", &()).await.unwrap(), 0);
            assert_eq!(slither.stats("default").unwrap().deaths, 0, "{profile}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_waits_for_who_takes_its_values() {
    within(async {
        let each = profiles("Predictions").into_iter().map(async |(profile, _, pool)| {
            let slither = start(pool).await;
            // Ample, as the first value is to be there before it is over.
            let adapter = slither.adapter("default").unwrap().timeout(Duration::from_secs(5));
            let mut stream = adapter.stream::<_, u64>("count", &[1_000_000]);
            assert_eq!(stream.next().await.unwrap().unwrap(), 0);
            // Nobody takes anything: the generator stands still, and its deadline ends it.
            until(|| running(&slither) == 0).await;
            let (mut values, mut error) = (1, None);
            while let Some(value) = stream.next().await {
                match value {
                    Ok(value) => {
                        assert_eq!(value, values);
                        values += 1;
                    }
                    Err(late) => error = Some(late),
                }
            }
            assert!(values <= 64, "{profile}: {values} values were on their way");
            assert_eq!(error.unwrap().kind(), ErrorKind::Timeout, "{profile}");
        });
        join_all(each).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_fails_fails_alone_and_a_call_behind_its_values() {
    within(async {
        for (profile, _, pool) in profiles("Predictions") {
            let slither = start(pool).await;
            let adapter = slither.adapter("default").unwrap();
            let kinds = async |tool: &str| {
                let stream = adapter.stream::<_, u64>(tool, &());
                let values: Vec<_> = stream.map(|value| value.map_err(|error| error.kind())).collect().await;
                values
            };
            let expected = [Ok(1), Err(ErrorKind::Failed), Ok(3), Err(ErrorKind::Exception)];
            assert_eq!(kinds("mixed").await, expected, "{profile}");
            let died = kinds("die").await;
            assert_eq!(died.last(), Some(&Err(ErrorKind::Crash)), "{profile}: {died:?}");
            assert_eq!(kinds("no_such_tool").await, [Err(ErrorKind::Import)], "{profile}");
            assert_eq!(kinds("predict").await, [Err(ErrorKind::Exception)], "without its argument");
            let misfit: Vec<_> = adapter.stream::<_, String>("count", &[2]).collect().await;
            assert_eq!(misfit.len(), 2, "each is read alone");
            assert!(misfit.iter().all(|value| value.as_ref().unwrap_err().kind() == ErrorKind::Decode));
            let unfit = adapter.stream::<_, Value>("predict", &Unfit).next().await.unwrap().unwrap_err();
            assert_eq!(unfit.kind(), ErrorKind::Value);
        }
    })
    .await;
}

struct Unfit;

impl serde::Serialize for Unfit {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it does not want to"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_a_worker_of_threads_run_beside_each_other() {
    within(async {
        let pool = with(Pool::threads("default").threads_per_worker(4).io_bound(true), "Predictions");
        let slither = start(pool).await;
        let adapter = slither.adapter("default").unwrap();
        let mut streams: Vec<_> = (0..3).map(|_| adapter.stream::<_, u64>("count", &[500])).collect();
        for value in 0..500 {
            for stream in &mut streams {
                assert_eq!(stream.next().await.unwrap().unwrap(), value);
            }
            if value == 100 {
                assert_eq!(slither.call::<_, u64>("logged", &()).await.unwrap(), 0, "in the fourth thread");
            }
        }
        for stream in &mut streams {
            assert!(stream.next().await.is_none());
        }
    })
    .await;
}
