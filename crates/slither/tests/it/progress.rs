//! What Python says of its progress is seen where it is asked for, and nowhere once the call is over.

use slither::Call;

use crate::support::{Folder, pool, runtime, until, within};

#[tokio::test(flavor = "multi_thread")]
async fn progress_shows_in_the_statistics_and_comes_to_who_asked() {
    within(async {
        let slither = runtime(pool(1)).await;
        let folder = Folder::new();
        let gate = folder.path("gate");
        let mut feed = slither.progress("default").unwrap();
        let call = Call::new("yields:reports");
        let run = slither.dispatch::<_, String>(["a".to_owned(), gate.clone()], call);
        let watch = async {
            let first = feed.next().await.unwrap();
            assert_eq!((first.done, first.total), (0, Some(2)));
            let stats = slither.stats("default").unwrap();
            assert_eq!(first.worker, stats.workers[0].0);
            assert!(first.run.is_some() && first.stage.is_none());
            assert_eq!(
                stats.progress,
                std::slice::from_ref(&first),
                "the second report came too soon to be sent"
            );
            std::fs::write(&gate, "").unwrap();
            let last = feed.next().await.unwrap();
            assert_eq!((last.done, last.total, last.call), (2, Some(2), first.call));
        };
        let (done, ()) = tokio::join!(run, watch);
        assert_eq!(done.unwrap().ledger.emitted, 2);
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
