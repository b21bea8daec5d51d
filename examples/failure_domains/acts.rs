//! The acts: a crash, recycling, sessions, a large model; each plays the same in both kinds of pool.

use std::time::{Duration, Instant};

use slither::{Call, ConfigError, Each, ErrorKind, ItemError, MaxInFlight, OnError, PoolStats, Slither};

use super::POOL;
use super::evidence::{Crash, Domain, Memory, Recycling, Sessions};

/// Items of the first two acts, of which the first has one that crashes.
const ITEMS: i64 = 200;
/// Calls until a worker is replaced.
pub(super) const REQUESTS: u64 = 40;
/// Sessions that are opened, and closed.
const OPENED: u64 = 6;
/// The model, in MiB; less where memory is short.
const MODEL: u64 = 200;
const SMALL_MODEL: u64 = 20;
/// Bytes that have to be there for the large one.
const ENOUGH: u64 = 4 << 30;
/// How often something is looked at that changes by itself, and for how long at most.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Items that crash: at once, and as soon as another call runs in the same process.
const ALONE: i64 = -1;
const BESIDE: i64 = -2;

fn work() -> Call<i64> {
    Call::new("domains:work")
        .pool(POOL)
        .batch_size(1)
        .max_in_flight(MaxInFlight::Auto)
        .on_error(OnError::Skip)
}

fn unable(error: impl std::fmt::Display) -> ConfigError {
    ConfigError::new(format!("an act of the example could not be played: {error}"))
}

async fn ask<A: serde::Serialize, T: serde::de::DeserializeOwned>(
    slither: &Slither,
    function: &str,
    args: &A,
) -> Result<Vec<T>, ConfigError> {
    let each: Each<T> =
        slither.call_each(POOL, &format!("domains:{function}"), args).await.map_err(unable)?;
    each.replies.into_iter().map(|reply| reply.result.map_err(unable)).collect()
}

/// Looks again and again until something is so; how long that took.
async fn until(slither: &Slither, is_so: impl Fn(&PoolStats) -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if slither.stats(POOL).is_ok_and(|stats| is_so(&stats)) {
            return Some(begun.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}

/// One item of many crashes in the middle.
pub(super) async fn crash(slither: &Slither, domain: Domain, slots: usize) -> Result<Crash, ConfigError> {
    // Where there is no other call in the process none needs to be waited for.
    let crash = if domain == Domain::Threads && slots > 1 { BESIDE } else { ALONE };
    let items: Vec<i64> = (0..ITEMS).map(|item| if item == ITEMS / 2 { crash } else { item }).collect();
    let watch = async {
        until(slither, |stats| stats.deaths > 0).await?;
        until(slither, |stats| stats.slots == slots).await
    };
    let (done, recovery) = tokio::join!(slither.dispatch::<i64, i64>(items, work()), watch);
    let done = done.map_err(|error| unable(error.cause))?;
    let beside = |error: &ItemError| error.kind() == ErrorKind::Collateral;
    Ok(Crash {
        ledger: done.ledger,
        collateral: done.failures.iter().filter(|failure| beside(&failure.error)).count() as u64,
        recovery,
    })
}

/// Workers reach their limit under load.
pub(super) async fn recycling(slither: &Slither) -> Result<Recycling, ConfigError> {
    let done = slither.dispatch::<i64, i64>(0..ITEMS, work()).await.map_err(|error| unable(error.cause))?;
    until(slither, |stats| stats.recycled > 0).await;
    Ok(Recycling { ledger: done.ledger, recycled: slither.stats(POOL)?.recycled })
}

/// Sessions are opened and closed, and then a worker dies with some of them in it.
pub(super) async fn sessions(slither: &Slither) -> Result<Sessions, ConfigError> {
    let open = async || slither.open_session(POOL).await.map_err(unable);
    for number in 0..OPENED {
        let session = open().await?;
        session.execute::<_, u32>("domains:keep", &[number]).await.map_err(unable)?;
        session.close().await.map_err(unable)?;
    }
    let cleaned = ask::<_, u64>(slither, "ended", &()).await?.into_iter().sum();
    let mut living = Vec::new();
    for number in 0..OPENED {
        let session = open().await?;
        session.execute::<_, u32>("domains:keep", &[number]).await.map_err(unable)?;
        living.push((number, session));
    }
    // The call to blame is no session's.
    let victim = slither.execute::<_, Vec<i64>>(POOL, "domains:work", &([ALONE],)).await;
    if victim.is_ok() {
        return Err(unable("a call survived its crash"));
    }
    until(slither, |stats| stats.deaths > 0).await;
    let (mut told, mut untouched) = (0, 0);
    for (number, session) in living {
        match session.execute::<_, Option<u64>>("domains:kept", &()).await {
            Ok(kept) if kept == Some(number) => untouched += 1,
            Err(error) if error.kind() == ErrorKind::SessionLost => told += 1,
            Ok(other) => return Err(unable(format_args!("session {number} found {other:?}"))),
            Err(error) => return Err(unable(error)),
        }
    }
    Ok(Sessions { opened: OPENED, cleaned, told, untouched })
}

/// Every process loads the model once.
pub(super) async fn memory(slither: &Slither) -> Result<Memory, ConfigError> {
    let stats = slither.stats(POOL)?;
    let model = if available() > ENOUGH { MODEL } else { SMALL_MODEL };
    ask::<_, u64>(slither, "load", &[model]).await?;
    let loaded = |rss: Option<u64>| rss.is_some_and(|bytes| bytes >= model << 20);
    until(slither, |stats| stats.usage.iter().all(|worker| loaded(worker.rss))).await;
    let usage = slither.stats(POOL)?.usage;
    let resident = usage.iter().filter_map(|worker| worker.rss).sum::<u64>() >> 20;
    Ok(Memory { model, resident, workers: stats.workers.len() })
}

/// Bytes of memory that are free for use, as the kernel says.
fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
