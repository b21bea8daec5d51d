//! A worker that breaks the protocol costs its batch; one that answers late or twice costs nothing.

use slither::{ErrorKind, OnError, Value};

use super::pids;
use crate::support::{behave, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_breaks_the_protocol_is_killed_and_replaced() {
    within(async {
        let slither = runtime(pool(1)).await;
        let rudeness = [
            ("garbage", "unknown kind of frame 255"),
            ("oversized", "claims 4294967295 bytes"),
            ("cut", "99 bytes before the end of a frame"),
            ("deaf", "closed its connection"),
            ("unknown flag", "flags 0x80"),
            ("wrong direction", "a Call frame was not expected"),
            ("no msgpack", "no msgpack"),
            ("too few", "0 results came for 1 items"),
            ("no error", ""),
            ("refuse", "which was its own"),
            ("second hello", "a Hello frame was not expected"),
            ("log", "a Log frame cannot be read"),
            ("yields unasked", "was not asked to yield"),
        ];
        for (deed, says) in rudeness {
            let before = pids(&slither);
            // One at a time: else the worker may have begun the next before the breach was read, and withheld the answer before.
            let call = behave("rude").batch_size(1).max_in_flight(1).on_error(OnError::Skip);
            let items = [Value::from("fine"), deed.into(), "fine again".into()];
            let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
            let (emitted, failed) = (done.ledger.emitted, done.ledger.failed);
            assert_eq!((emitted, failed), (2, 1), "{deed}: {:?}", done.failures);
            assert_eq!(done.failures[0].item.0, 1, "{deed}");
            let error = &done.failures[0].error;
            assert_eq!(error.kind(), ErrorKind::Protocol, "{deed}: {error:?}");
            assert!(error.message().contains(says), "{deed}: {error}");
            assert!(before.contains(&error.worker().unwrap().pid), "{deed}: {error:?}, {before:?}");
            until(|| pids(&slither).len() == 1 && pids(&slither).is_disjoint(&before)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_or_not_yet_sent_at_a_breach_is_not_believed_and_the_rest_is_done() {
    within(async {
        let slither = runtime(pool(1)).await;
        let call = || behave("rude").batch_size(1).max_in_flight(12).on_error(OnError::Skip);
        for _ in 0..5 {
            let items = (0..200).map(|at| if at == 100 { "oversized" } else { "fine" }.into());
            let done = slither.dispatch::<Value, Value>(items, call()).await.unwrap();
            assert!(done.ledger.balanced());
            let failed: Vec<u64> = done.failures.iter().map(|failure| failure.item.0).collect();
            // Of twelve in flight nine are in the worker at most: eight before the breach, withheld, or behind it, ahead.
            assert!(failed.contains(&100) && failed.iter().all(|id| (92..=116).contains(id)), "{failed:?}");
            assert!(done.failures.iter().all(|failure| failure.error.kind() == ErrorKind::Protocol));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_that_claims_more_than_its_batch_is_killed_and_what_it_yielded_before_stays() {
    within(async {
        let slither = runtime(pool(1)).await;
        for (deed, says) in [
            ("too many", "holds 9 results"),
            ("none", "holds 0 results"),
            ("lies", "no msgpack"),
            ("claims 4g", "holds 4294967295 results"),
        ] {
            let call = behave("rude_generator").batch_size(4).on_error(OnError::Skip);
            let items = ["fine", "fine", deed, "fine"];
            let done = slither.dispatch::<_, Value>(items, call).await.unwrap();
            assert_eq!((done.ledger.emitted, done.ledger.failed), (2, 2), "{deed}: {:?}", done.failures);
            let error = &done.failures[0].error;
            assert_eq!(error.kind(), ErrorKind::Protocol, "{deed}: {error:?}");
            assert!(error.message().contains(says), "{deed}: {error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_given_twice_or_to_nobody_are_counted_and_harmless() {
    within(async {
        let slither = runtime(pool(1)).await;
        let before = pids(&slither);
        for (deed, strays) in [("unknown id", 2), ("double", 3)] {
            let done = slither.dispatch::<Value, Value>([deed.into()], behave("rude")).await.unwrap();
            assert_eq!(done.into_payloads(), [Value::from(deed)]);
            let echo = slither.dispatch::<u64, u64>(0..9, behave("echo").batch_size(1)).await.unwrap();
            assert_eq!(echo.into_payloads(), (0..9).collect::<Vec<_>>());
            until(|| slither.stats("default").unwrap().strays == strays).await;
        }
        assert_eq!(pids(&slither), before);
    })
    .await;
}
