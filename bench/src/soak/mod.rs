//! The soak: a mixed load at a fixed pace through the public API, under mishaps, for an hour; nothing may be lost,
//! and nothing may grow.
//!
//! The pace is well below what the machine can do, so that throughput stays the same unless something gets stuck or
//! so slow that it falls behind. How near it is to that, the times of the plain calls and the share of the machine say.

mod account;
mod errands;
mod flows;
mod gauge;
mod report;
mod state;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{Chaos, ErrorKind, ItemError, Pool, RestartBudget, Slither};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use crate::table::{median, note};
use crate::{Fallible, Page, machine, python_folder};
use account::Account;
use gauge::{Holdings, children, parent};
use state::Rows;
use verdict::Sample;

/// Beyond it what the rough pool runs is a hang.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the end may take: flows that drain, pools that stop, descriptors that close.
const END: Duration = Duration::from_secs(30);

/// What every part of the load has.
#[derive(Debug, Clone)]
struct Soak {
    slither: Slither,
    account: Arc<Account>,
    over: watch::Receiver<bool>,
}

impl Soak {
    /// Waits for the next turn; false when the soak is over.
    async fn tick(&self, every: &mut Interval) -> bool {
        let mut over = self.over.clone();
        tokio::select! {
            _ = every.tick() => !*self.over.borrow(),
            _ = over.wait_for(|over| *over) => false,
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut every = tokio::time::interval(period);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every
}

/// Whether a mishap to the worker may cause such an error: its death, its hang, its garbage, the loss of what it kept.
fn by_mishap(error: &ItemError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Crash | ErrorKind::Timeout | ErrorKind::Protocol | ErrorKind::SessionLost
    )
}

/// Runs for so many minutes, and judges.
pub(crate) fn run(minutes: f64) -> Fallible<Page> {
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Traced)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Threads for blocking work end soon after it, so that there is a baseline to come back to.
        .thread_keep_alive(Duration::from_millis(200))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let time = Duration::from_secs_f64(minutes * 60.0);
        warm_up().await?;
        let baseline = settled().await?;
        let (outcome, account) = soak(time).await?;
        let mut broken = account.complaints();
        let after = back(baseline).await?;
        if !after.within(&baseline) {
            broken
                .push(format!("after the shutdown there are {after:?}, and {baseline:?} were there before"));
        }
        let judged = time >= verdict::JUDGED_FROM;
        let lines = verdict::judge(&outcome);
        if judged {
            let missed = lines.iter().filter(|line| !line.holds);
            broken
                .extend(missed.map(|line| {
                    format!("{}: {} became {} ({})", line.name, line.first, line.last, line.bar)
                }));
        }
        let text = report::page(&report::Told {
            machine: machine::line(&environment.interpreter),
            minutes,
            samples: &outcome,
            account: &account,
            lines: &lines,
            judged,
            baseline,
            after,
            broken: &broken,
        });
        Ok(Page { name: "soak", text, bars_hold: broken.is_empty() })
    })
}

/// Opens what stays open in this process: a runtime like the soak's, and the thread that frees versions of stores.
async fn warm_up() -> Fallible<()> {
    let slither = start(growth(Duration::MAX)).await?;
    let rows = slither.store::<Rows>()?;
    rows.reload()?;
    slither.execute::<_, u64>("steady", "soak:echo", &[1]).await?;
    drop(rows);
    slither.shutdown(END).await;
    Ok(())
}

/// What has to be back at the end: descriptors, threads and children of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Baseline {
    fds: u64,
    threads: u64,
    children: u64,
}

impl Baseline {
    /// Whether nothing is more than it was. Less is no leak: a thread may have been about to end.
    fn within(&self, before: &Self) -> bool {
        self.fds <= before.fds && self.threads <= before.threads && self.children <= before.children
    }
}

fn baseline() -> Fallible<Baseline> {
    let me = std::process::id();
    let Holdings { fds, threads, .. } = Holdings::of(me).ok_or("this process is not in /proc")?;
    Ok(Baseline { fds, threads, children: children(me) })
}

/// The baseline when it no longer changes.
async fn settled() -> Fallible<Baseline> {
    let mut last = baseline()?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = baseline()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
}

/// Waits until the baseline is there again, and gives what is there in the end.
async fn back(wanted: Baseline) -> Fallible<Baseline> {
    let begun = Instant::now();
    loop {
        let now = baseline()?;
        if now.within(&wanted) || begun.elapsed() > END {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How much a worker of the aging pool may grow: in a short soak less, or none might be recycled on a busy machine.
fn growth(time: Duration) -> u64 {
    if time < verdict::JUDGED_FROM { 1 << 20 } else { 8 << 20 }
}

async fn start(growth: u64) -> Fallible<Slither> {
    let soon = Duration::from_millis(1);
    let pool = |name: &str| Pool::processes(name).python_path(python_folder());
    // Never recycled: its workers would have shown a leak.
    let steady = pool("steady").size(2);
    let rough = pool("rough")
        .size(3)
        .call_timeout(CALL_TIMEOUT)
        .max_requests(2_000)
        .ttl(Duration::from_secs(60))
        .max_rss(256 << 20)
        // Kills of idle workers are meant, and more than a budget should bear.
        .restart_budget(RestartBudget { deaths: usize::MAX, period: soon, backoff: soon })
        .breaker(None)
        .chaos(Chaos::seeded(7).kill(0.0005).garbage(0.0005).slow(0.001, Duration::from_millis(20)));
    let aging = pool("aging").size(2).max_requests(2_000).ttl(Duration::from_secs(45)).max_rss(growth);
    let slither = Slither::builder().pool(steady).pool(rough).pool(aging).store(Rows::default());
    Ok(slither.start().await?)
}

/// The load and its end: the samples and the accounts.
async fn soak(time: Duration) -> Fallible<(Vec<Sample>, Arc<Account>)> {
    let slither = start(growth(time)).await?;
    let rows = slither.store::<Rows>()?;
    let account = Arc::new(Account::default());
    let (end, over) = watch::channel(false);
    let soak = Soak { slither: slither.clone(), account: account.clone(), over };
    let mut load = JoinSet::new();
    load.spawn(flows::numbers(soak.clone()));
    load.spawn(flows::words(soak.clone()));
    load.spawn(flows::blobs(soak.clone()));
    load.spawn(flows::features(soak.clone(), rows.clone()));
    load.spawn(flows::aged(soak.clone()));
    load.spawn(flows::cancelled(soak.clone()));
    load.spawn(flows::halted(soak.clone()));
    load.spawn(state::churn(soak.clone(), rows));
    load.spawn(errands::probe(soak.clone()));
    load.spawn(errands::sessions(soak.clone()));
    load.spawn(errands::references(soak.clone()));
    load.spawn(errands::progress(soak.clone()));
    load.spawn(errands::kills(soak.clone()));
    load.spawn(errands::mishaps(soak.clone()));
    load.spawn(errands::passing(soak));
    let mut samples = Vec::new();
    note(&report::head());
    let periods = verdict::periods(time);
    let period = time / periods;
    for number in 1..=periods {
        samples.push(sample(&slither, &account, period).await?);
        note(&report::line(number, period, &samples[samples.len() - 1], &account));
        if let Some(ended) = load.try_join_next() {
            ended??;
            return Err("a part of the load has ended before its time".into());
        }
    }
    end.send_replace(true);
    let drained = tokio::time::timeout(END, async {
        while let Some(ended) = load.join_next().await {
            ended??;
        }
        Fallible::Ok(())
    });
    match drained.await {
        Ok(ended) => ended?,
        Err(_) => account.wrong(format!("{} parts of the load did not end within {END:?}", load.len())),
    }
    load.shutdown().await;
    slither.shutdown(END).await;
    Ok((samples, account))
}

/// Watches for a period.
async fn sample(slither: &Slither, account: &Account, period: Duration) -> Fallible<Sample> {
    let me = std::process::id();
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let (begun, items, busy) = (Instant::now(), account.items.load(Relaxed), gauge::busy(me));
    let mut looks: Vec<[f64; 8]> = Vec::new();
    let mut every = every(period.min(Duration::from_secs(1)));
    // The first tick is at once.
    every.tick().await;
    while begun.elapsed() < period {
        every.tick().await;
        let of = |pid: Option<u32>| pid.and_then(Holdings::of);
        let worker = |pool: &str| slither.stats(pool).ok().and_then(|stats| Some(stats.workers.first()?.1));
        let (host, steady) = (of(Some(me)), of(worker("steady")));
        let nursery = of(worker("rough").and_then(parent));
        // A worker that is just dying has none.
        let (Some(host), Some(steady), Some(nursery)) = (host, steady, nursery) else { continue };
        let Holdings { rss, fds, threads, own_threads } = host;
        let look = [rss, fds, threads, children(me), nursery.rss, nursery.fds, steady.rss, own_threads];
        looks.push(look.map(|value| value as f64));
    }
    let middle = |at: usize| median(&looks.iter().map(|look| look[at]).collect::<Vec<_>>());
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Sample {
        rate: (account.items.load(Relaxed) - items) as f64 / seconds,
        p99: account.p99(),
        busy: (gauge::busy(me) - busy).max(0.0) / seconds / cores,
        host_rss: middle(0),
        host_fds: middle(1),
        host_threads: middle(2),
        children: middle(3),
        nursery_rss: middle(4),
        nursery_fds: middle(5),
        worker_rss: middle(6),
        own_threads: middle(7),
        recycled: slither.stats("aging").map_or(0, |stats| stats.recycled) as f64,
        deaths: ["steady", "rough", "aging"]
            .map(|pool| slither.stats(pool).map_or(0, |stats| stats.deaths))
            .iter()
            .sum::<usize>() as f64,
    })
}
