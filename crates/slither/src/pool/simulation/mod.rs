//! A simulation of the whole pool under random faults, on a fake clock, in one thread, without a process.
//!
//! Dispatch, queue, keepers, both state machines, sessions and references to objects are the real ones; workers and the
//! nursery are not, and there are no views, which run on threads of their own. A seed decides everything:
//! `SLITHER_SEED=42 cargo test -p slither --lib simulation -- --nocapture` plays that one schedule again, and prints what
//! happened in it.

mod book;
mod dice;
mod kept;
mod link;
mod objects;
mod overseer;
mod plan;
mod runs;
mod script;
mod tally;
mod visits;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::tally::Tally;
use self::world::World;
use super::station::lock;
use crate::error::panic_text;

/// What has to be met in ten thousand schedules, and how often at least: about half of what it was when written. A
/// schedule that has become trivial says so here.
const MET: [(&str, u64); 53] = [
    ("answers sent late, twice or for nothing", 1200),
    ("batches lost to another call of their worker", 120),
    ("batches of lost sessions", 400),
    ("batches of which items failed alone", 250),
    ("batches refused by an open breaker", 800),
    ("batches refused by the pool", 4000),
    ("answers withheld", 1900),
    ("batches that asked for another attempt", 200),
    ("batches that crashed", 600),
    ("batches that raised", 500),
    ("batches that timed out", 300),
    ("batches whose worker broke the protocol", 450),
    ("breakers that closed", 70),
    ("breakers that opened", 200),
    ("callers dropped", 750),
    ("callers who were answered in the end", 1000),
    ("calls given to another worker", 1300),
    ("calls in sessions", 11_000),
    ("calls let through a breaker", 35),
    ("calls of busy sessions", 1500),
    ("calls of each worker", 800),
    ("calls of lost sessions", 550),
    ("calls of objects", 4000),
    ("calls sent ahead", 11_000),
    ("calls taken back", 400),
    ("deaths that cost budget", 2700),
    ("deaths that cost no budget", 10_000),
    ("deaths with answers withheld", 80),
    ("dispatches", 6800),
    ("imports in each worker", 800),
    ("imports that failed", 100),
    ("nurseries that died", 190),
    ("objects held", 2400),
    ("objects lost", 450),
    ("pools that failed", 500),
    ("processes that SIGKILL did not end", 100),
    ("replacements", 4000),
    ("runs cancelled", 950),
    ("runs halted", 450),
    ("runs of results yielded", 8000),
    ("runs that came to their end", 4500),
    ("sessions opened", 4500),
    ("sessions opened anew", 400),
    ("sessions that expired", 70),
    ("shutdowns cut short", 250),
    ("sources that failed", 800),
    ("withheld answers seen in living workers", 800),
    ("workers not ready in time", 120),
    ("workers recycled", 2000),
    ("workers recycled with all that lived in them", 250),
    ("workers that died by themselves", 2300),
    ("workers that hung", 650),
    ("workers whose slots became fewer", 230),
];

/// Plays the schedule of a seed; returns its counts, and a number that another schedule would not have.
fn play(seed: u64, traced: bool) -> Result<(Tally, u64), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let mut world = World::new(seed, traced);
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world.play())));
    let book = world.book.clone();
    // What a failure has left is in disorder, and may fail once more.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(world)));
    let book = lock(&book);
    if traced {
        println!("{}", book.trace().join("\n"));
    }
    match played {
        Ok(()) => Ok((book.tally.clone(), book.fingerprint())),
        Err(panic) => Err(panic_text(&*panic).unwrap_or("it panicked").to_owned()),
    }
}

/// Plays many seeds on all processors; panics with the seed of the first that fails, and what led to it.
fn play_all(seeds: u64) -> Tally {
    let (next, total, failed) = (AtomicU64::new(0), Mutex::new(Tally::default()), Mutex::new(None));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut tally = Tally::default();
                while lock(&failed).is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    match play(seed, false) {
                        Ok((counts, _)) => tally.add(&counts),
                        Err(cause) => *lock(&failed) = Some((seed, cause)),
                    }
                }
                lock(&total).add(&tally);
            });
        }
    });
    if let Some((seed, cause)) = lock(&failed).take() {
        panic!(
            "seed {seed} fails: {cause}\nto see how: \
             SLITHER_SEED={seed} cargo test -p slither --lib simulation -- --nocapture"
        );
    }
    total.into_inner().unwrap_or_default()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("SLITHER_SEED") {
        let (tally, _) = play(seed, true).unwrap_or_else(|cause| panic!("seed {seed} fails: {cause}"));
        println!("{}", tally.lines());
        return;
    }
    let seeds = number("SLITHER_SEEDS").unwrap_or(10_000);
    let tally = play_all(seeds);
    println!("{}", tally.lines());
    for (what, least) in MET {
        let (times, least) = (tally.of(what), least * seeds / 10_000);
        assert!(times >= least, "{what}: {times} times in {seeds} seeds, {least} are the least");
    }
}

#[test]
fn a_seed_replays_its_schedule() {
    for seed in 0..50 {
        assert_eq!(play(seed, false), play(seed, false), "seed {seed}");
    }
    assert_ne!(play(1, false), play(2, false));
}
