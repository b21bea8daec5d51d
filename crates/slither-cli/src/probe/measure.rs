//! What pools make of a function: calls a second, latency and memory, round by round, so that what else the machine
//! does meets all of them alike.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use slither::routing::Profile;
use slither::{ConfigError, Pool, Slither};

/// In how many rounds the time for each pool is divided.
const ROUNDS: u32 = 3;
/// Beyond it calls are counted, and their latency is not.
const LATENCIES: usize = 1 << 20;

/// What a pool made of it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    /// How its workers run calls.
    pub(crate) profile: Profile,
    /// How many workers.
    pub(crate) workers: usize,
    /// How many calls each of them is given at once.
    pub(crate) at_once: usize,
    /// Calls that were made.
    pub(crate) calls: usize,
    /// Of those that failed.
    pub(crate) failed: usize,
    /// Items a second, in the best round.
    pub(crate) per_second: f64,
    /// The same, without the time in which its threads waited for a processor: what it would be where nothing else
    /// runs, as far as that can be told.
    pub(crate) undisturbed: f64,
    /// The same of each round.
    #[serde(skip)]
    pub(super) rounds: Vec<f64>,
    /// The time of a call, in seconds: half of them took less.
    pub(crate) p50: f64,
    /// The same for 99 of 100.
    pub(crate) p99: f64,
    /// Resident memory of its workers, in bytes.
    pub(crate) memory: u64,
}

impl Measured {
    #[cfg(test)]
    pub(super) fn nothing() -> Self {
        Self {
            profile: Profile::Processes,
            workers: 1,
            at_once: 1,
            calls: 0,
            failed: 0,
            per_second: 0.0,
            undisturbed: 0.0,
            rounds: Vec::new(),
            p50: 0.0,
            p99: 0.0,
            memory: 0,
        }
    }
}

/// A pool to be measured.
pub(super) struct Contender {
    pub(super) pool: Pool,
    pub(super) name: &'static str,
    pub(super) profile: Profile,
    pub(super) workers: usize,
    pub(super) at_once: usize,
    /// How many processors its calls can keep busy together.
    pub(super) processors: usize,
}

#[derive(Default)]
struct Tally {
    calls: usize,
    failed: usize,
    best: f64,
    undisturbed: f64,
    rounds: Vec<f64>,
    latencies: Vec<f64>,
    memory: u64,
}

/// Runs the batches through each pool, for so long each.
pub(super) async fn measure(
    function: &str,
    batches: &[Vec<Value>],
    contenders: Vec<Contender>,
    time: Duration,
) -> Result<Vec<Measured>, ConfigError> {
    let builder = contenders.iter().fold(Slither::builder(), |builder, it| builder.pool(it.pool.clone()));
    let slither = builder.start().await?;
    let mut tallies: Vec<Tally> = contenders.iter().map(|_| Tally::default()).collect();
    for round in 0..=ROUNDS {
        for (contender, tally) in contenders.iter().zip(&mut tallies) {
            // In round 0 each worker imports the function, and meets its caches cold.
            let time = if round == 0 { Duration::ZERO } else { time / ROUNDS };
            let mut fresh = Tally::default();
            play(&slither, function, batches, contender, time, &mut fresh).await;
            if round > 0 {
                tally.calls += fresh.calls;
                tally.failed += fresh.failed;
                tally.best = tally.best.max(fresh.best);
                tally.undisturbed = tally.undisturbed.max(fresh.undisturbed);
                tally.rounds.push(fresh.undisturbed);
                tally.latencies.append(&mut fresh.latencies);
                tally.memory = tally.memory.max(fresh.memory);
            }
        }
    }
    slither.shutdown(Duration::from_secs(5)).await;
    let measured = |(contender, mut tally): (Contender, Tally)| {
        tally.latencies.sort_by(f64::total_cmp);
        Measured {
            profile: contender.profile,
            workers: contender.workers,
            at_once: contender.at_once,
            calls: tally.calls,
            failed: tally.failed,
            per_second: tally.best,
            undisturbed: tally.undisturbed,
            rounds: tally.rounds,
            p50: quantile(&tally.latencies, 0.5),
            p99: quantile(&tally.latencies, 0.99),
            memory: tally.memory,
        }
    };
    Ok(contenders.into_iter().zip(tallies).map(measured).collect())
}

/// As many callers as it takes calls at once, each with one call at a time, until the time is over.
async fn play(
    slither: &Slither,
    function: &str,
    batches: &[Vec<Value>],
    contender: &Contender,
    time: Duration,
    tally: &mut Tally,
) {
    let usage = || slither.stats(contender.name).map(|stats| stats.usage).unwrap_or_default();
    // While the host waits for a processor so do its callers.
    let scheduled = || {
        let pids = usage().iter().map(|worker| worker.pid).chain([std::process::id()]).collect::<Vec<_>>();
        Scheduled::sum(pids.into_iter().map(scheduled))
    };
    let (callers, before, began) = (contender.workers * contender.at_once, scheduled(), Instant::now());
    let caller = |number: usize| async move {
        let (mut latencies, mut failed, mut items) = (Vec::new(), 0, 0);
        for at in (number..).step_by(callers) {
            let batch = &batches[at % batches.len()];
            let asked = Instant::now();
            let answer = slither.execute::<_, IgnoredAny>(contender.name, function, &(batch,)).await;
            latencies.push(asked.elapsed().as_secs_f64());
            failed += usize::from(answer.is_err());
            items += batch.len();
            if began.elapsed() >= time || latencies.len() >= LATENCIES {
                break;
            }
        }
        (latencies, failed, items)
    };
    let done = join_all((0..callers).map(caller)).await;
    let elapsed = began.elapsed().as_secs_f64().max(f64::EPSILON);
    let mut items = 0;
    for (mut latencies, failed, count) in done {
        tally.calls += latencies.len();
        tally.latencies.append(&mut latencies);
        tally.failed += failed;
        items += count;
    }
    tally.best = items as f64 / elapsed;
    let spent = scheduled().since(&before);
    tally.undisturbed = items as f64 / undisturbed(elapsed, &spent, callers, contender.processors);
    tally.memory = usage().iter().filter_map(|worker| worker.rss).sum();
}

/// How long it would have taken where nothing else runs, in seconds.
///
/// Each of the callers lost its share of what threads waited. But threads wait side by side, and behind one another:
/// what they ran takes its time on the processors that they can keep busy, whatever they waited.
fn undisturbed(elapsed: f64, spent: &Scheduled, callers: usize, processors: usize) -> f64 {
    let lost = (spent.queued / callers as f64).min(0.9 * elapsed);
    let least = spent.ran / processors as f64;
    (elapsed - lost).max(least.min(elapsed))
}

/// What the threads of processes had of processors, in seconds.
#[derive(Default)]
struct Scheduled {
    ran: f64,
    queued: f64,
}

impl Scheduled {
    fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, it| Self { ran: sum.ran + it.ran, queued: sum.queued + it.queued })
    }

    fn since(&self, before: &Self) -> Self {
        let (ran, queued) = (self.ran - before.ran, self.queued - before.queued);
        Self { ran: ran.max(0.0), queued: queued.max(0.0) }
    }
}

/// For how long the threads of a process have run, and waited for a processor; 0 where the kernel does not say.
fn scheduled(pid: u32) -> Scheduled {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
    Scheduled::sum(stats.map(|text| {
        let mut seconds = text.split_whitespace().map(|field| field.parse::<f64>().unwrap_or(0.0) / 1e9);
        Scheduled { ran: seconds.next().unwrap_or(0.0), queued: seconds.next().unwrap_or(0.0) }
    }))
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::{Scheduled, quantile, undisturbed};

    #[test]
    fn waiting_is_left_out_and_running_never_is() {
        let spent = |ran, queued| Scheduled { ran, queued };
        // Alone on the machine; with half of it; where threads waited far longer than there was time.
        assert_eq!(undisturbed(2.0, &spent(4.0, 0.0), 2, 2), 2.0);
        assert_eq!(undisturbed(2.0, &spent(2.0, 2.0), 2, 2), 1.0);
        assert_eq!(undisturbed(2.0, &spent(1.8, 90.0), 2, 2), 0.9);
        // Behind a GIL two threads keep one processor busy.
        assert_eq!(undisturbed(2.0, &spent(1.8, 2.0), 2, 1), 1.8);
        // What the host does beside its workers makes nothing slower than it was.
        assert_eq!(undisturbed(2.0, &spent(2.5, 0.0), 1, 1), 2.0);
    }

    #[test]
    fn quantiles_are_of_what_is_there() {
        let hundred: Vec<f64> = (1..=101).map(f64::from).collect();
        assert_eq!((quantile(&hundred, 0.5), quantile(&hundred, 0.99)), (51.0, 100.0));
        assert_eq!((quantile(&[7.0], 0.99), quantile(&[], 0.5)), (7.0, 0.0));
    }
}
