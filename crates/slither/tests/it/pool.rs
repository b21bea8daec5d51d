//! A pool runs Python: calls, batches, views, each worker, and every way of ending.

use std::time::Duration;

use slither::{Call, ErrorKind, Item, OnError, Order, Pool, Slither, Value};

use crate::support::{pool, runtime, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_to_python_and_comes_back() {
    within(async {
        let slither = runtime(pool(2)).await;
        let call = Call::new("behave:echo").batch_size(7);
        let done = slither.dispatch::<u64, u64>(0..100, call).await.unwrap();
        assert_eq!(done.results.iter().map(|item| item.payload).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        assert!(done.ledger.balanced());
    })
    .await;
}
