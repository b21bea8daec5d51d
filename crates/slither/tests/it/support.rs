//! What the tests share: a pool with the test module, a limit on time, waiting for a state.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use slither::{Call, Pool, Slither};

/// Ends a test that hangs.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test ran into its time limit")
}

/// A pool that finds `tests/python/behave.py`.
///
/// With `SLITHER_TEST_PROFILE=thread` its workers are of the profile for several calls, in the interpreter without a GIL where there is
/// one: what is promised of processes is promised of it as well. They have one thread each, as the tests say who is busy.
pub(crate) fn pool(size: usize) -> Pool {
    let pool = match &*profile() {
        "thread" => {
            let pool = Pool::threads("default").threads_per_worker(1);
            match slither::python::Interpreter::find_free_threaded().unwrap() {
                Some(python) => pool.python(python.executable),
                None => pool,
            }
        }
        "async" => Pool::coroutines("default").concurrency(1),
        "process" => Pool::processes("default"),
        other => panic!("SLITHER_TEST_PROFILE={other}: expected process, thread or async"),
    };
    pool.size(size).python_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
}

/// How the workers of [`pool`] run their calls: `process`, `thread` or `async`.
pub(crate) fn profile() -> String {
    std::env::var("SLITHER_TEST_PROFILE").unwrap_or_else(|_| "process".to_owned())
}

/// A runtime with only that pool.
pub(crate) async fn runtime(pool: Pool) -> Slither {
    Slither::builder().pool(pool).start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// A call of the test module.
pub(crate) fn behave<I>(function: &str) -> Call<I> {
    Call::new(format!("behave:{function}"))
}

/// Waits for a state that other threads and processes bring about; the test's time limit ends it.
pub(crate) async fn until(mut state: impl FnMut() -> bool) {
    while !state() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a process is there and not a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("slither-test-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
