//! What the tests share: a pool with the test module, a limit on time.

use std::future::Future;
use std::time::Duration;

use slither::{Pool, Slither};

/// Ends a test that hangs.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ran into its time limit")
}

/// A pool that finds `tests/python/behave.py`.
pub(crate) fn pool(size: usize) -> Pool {
    Pool::processes("default").size(size).python_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
}

/// A runtime with only that pool.
pub(crate) async fn runtime(pool: Pool) -> Slither {
    Slither::builder().pool(pool).start().await.unwrap()
}
