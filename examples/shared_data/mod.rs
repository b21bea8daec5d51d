//! `shared_data`: values of several sizes, read by Python from a store, carried with the items, and shared by Python's
//! own threads under a lock; what a read costs in each, and of what it consists.

mod store;
mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use include_dir::{Dir, include_dir};
use serde::Serialize;
use slither::{Call, ConfigError, Pool, Slither};

use crate::Settings;
use crate::comparison::Ground;
use crate::observe::{Observer, Provision, Stop};
use crate::report::Report;

use store::{SIZES, Shared};

/// What it is called on the command line.
pub const NAME: &str = "shared_data";

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/shared_data/python");

const POOL: &str = "default";
/// Values that are asked for in one exchange, or that make a batch.
const TOGETHER: usize = 64;
/// Threads that share a dict.
const THREADS: usize = 2;
/// Reads or writes of each kind; of large values fewer.
const TIMES: usize = 2000;
/// How long workers may take to finish when the example ends.
const GRACE: Duration = Duration::from_secs(5);

/// What a value of one size costs, in seconds for one.
#[derive(Debug, Clone, Copy, Serialize)]
struct Costs {
    size: usize,
    /// Asked for alone; and of that what the store took to find it.
    view: f64,
    lookup: f64,
    /// Asked for with others.
    view_many: f64,
    /// Sent with its item.
    carried: f64,
    /// Read from a dict of threads, and written to it.
    dict_read: f64,
    dict_write: f64,
    /// Written to the store by Rust.
    store_write: f64,
}

/// Runs the example.
///
/// # Errors
/// If there is an input or chaos, if the environment is not as it must be, or if `stop` was requested before the end.
pub async fn run(settings: Settings, observer: Arc<dyn Observer>, stop: Stop) -> Result<Report, ConfigError> {
    let because = "it measures values of its own";
    let ground = Ground::prepare(NAME, because, &PYTHON, &settings, &*observer).await?;
    let pool =
        ground.free.iter().fold(Pool::processes(POOL).size(1), |pool, free| pool.python(&free.executable));
    let slither = Slither::builder()
        .pool(pool.python_path(ground.path()).call_timeout(Duration::from_secs(120)))
        .store(Shared::default())
        .progress(Provision::new(observer.clone(), stop.clone()))
        .start()
        .await?;
    let begun = Instant::now();
    let mut costs = Vec::new();
    for (key, size) in SIZES.into_iter().enumerate() {
        observer.step(&format!("values of {size} bytes"), None);
        costs.push(tokio::select! {
            measured = measure(&slither, key, size) => measured?,
            () = stop.clone().requested() => return Err(ConfigError::new("stopped in the middle of a comparison")),
        });
    }
    let report = summary::report(ground.free.as_ref(), &costs, begun.elapsed());
    slither.shutdown(GRACE).await;
    Ok(report)
}

async fn measure(slither: &Slither, key: usize, size: usize) -> Result<Costs, ConfigError> {
    let unable = |error: &dyn std::fmt::Display| ConfigError::new(format!("{size} bytes: {error}"));
    let times = if size > 100_000 { TIMES / 20 } else { TIMES };
    let shared = slither.store::<Shared>()?;
    // Views of sessions are for runs; the store's are open to all.
    let ask = async |function: &str, args: &[usize]| -> Result<f64, ConfigError> {
        let function = format!("shared:{function}");
        slither.execute::<_, f64>(POOL, &function, args).await.map_err(|error| unable(&error.report()))
    };
    shared.store().lookup();
    let view = ask("by_view", &[key, times]).await? / times as f64;
    let lookup = shared.store().lookup().as_secs_f64();
    let many = (times / TOGETHER).max(2);
    let view_many = ask("by_view_many", &[key, many, TOGETHER]).await? / (many * TOGETHER) as f64;

    let begun = Instant::now();
    let items = std::iter::repeat_n("x".repeat(size), times);
    let call = Call::new("shared:carried").batch_size(TOGETHER).max_in_flight(2);
    let done = slither.dispatch::<String, u64>(items, call).await.map_err(|error| unable(&error.cause))?;
    let carried = begun.elapsed().as_secs_f64() / done.results.len() as f64;

    // What is done in threads is done by all of them.
    let each = 50 * times;
    let dict_read = ask("shared_reads", &[size, each, THREADS]).await? / (each * THREADS) as f64;
    let dict_write = ask("shared_writes", &[size, times, THREADS]).await? / (times * THREADS) as f64;
    let value = "x".repeat(size);
    let begun = Instant::now();
    for _ in 0..times {
        shared.put(&store::VALUES, key as u64, value.clone()).map_err(|error| unable(&error))?;
    }
    let store_write = begun.elapsed().as_secs_f64() / times as f64;
    Ok(Costs { size, view, lookup, view_many, carried, dict_read, dict_write, store_write })
}
