//! What Python says of its progress is seen where it is asked for, and nowhere once the call is over.

use slither::Call;

use crate::support::{Folder, pool, runtime, until, within};

/// What is reported within so many seconds of the report before is not sent.
const EVERY: f64 = 0.1;

#[tokio::test(flavor = "multi_thread")]
async fn progress_shows_in_the_statistics_and_comes_to_who_asked() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let gate = folder.path("gate");
        let mut feed = slither.progress("default").unwrap();
        let call = Call::new("yields:reports");
        let run = slither.dispatch::<_, (f64, f64)>(["a".to_owned(), gate.clone()], call);
        let watch = async {
            let first = feed.next().await.unwrap();
            assert_eq!((first.done, first.total), (0, Some(2)));
            let stats = slither.stats("default").unwrap();
            assert_eq!(first.worker, stats.workers[0].0);
            assert!(first.run.is_some() && first.stage.is_none());
            std::fs::write(&gate, "").unwrap();
            let (mut second, mut last) = (None, feed.next().await.unwrap());
            if last.done == 1 {
                second = Some(std::mem::replace(&mut last, feed.next().await.unwrap()));
            }
            assert_eq!((last.done, last.total, last.call), (2, Some(2), first.call));
            // Of a call that says more than once the last that came is shown.
            let [shown] = &stats.progress[..] else { panic!("{:?}", stats.progress) };
            assert!(*shown == first || Some(shown) == second.as_ref(), "{shown:?}");
            second
        };
        let (done, second) = tokio::join!(run, watch);
        let done = done.unwrap();
        assert_eq!(done.ledger.emitted, 2);
        let (least, most) = done.into_payloads()[1];
        // Between them it cannot be told.
        if most < EVERY {
            assert_eq!(second, None, "the second report came too soon to be sent");
        } else if least >= EVERY {
            assert_eq!(second.map(|second| (second.done, second.total)), Some((1, Some(2))));
        }
        until(|| slither.stats("default").unwrap().running == 0).await;
        assert!(slither.stats("default").unwrap().progress.is_empty());
        drop(slither);
        assert_eq!(feed.next().await, None, "the pool has ended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_there_has_no_progress() {
    within(async {
        let slither = runtime(pool(1)).await;
        let error = slither.progress("defaults").unwrap_err().to_string();
        assert!(error.contains("default"), "{error}");
    })
    .await;
}
