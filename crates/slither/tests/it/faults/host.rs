//! No process outlives a host that is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slither::{OnError, Slither, Value};

use super::{kill, pids, unlimited};
use crate::support::{behave, pool, runtime, until, within};

/// Set in a process that is to be a host; its value marks whatever that host starts.
pub(super) const MARK: &str = "SLITHER_TEST_HOST";
/// What that host does when it has started.
const PHASE: &str = "SLITHER_TEST_PHASE";

/// What a host is doing when it is killed.
const PHASES: [&str; 6] = ["starting", "importing", "forking", "running", "sending", "stopping"];

#[test]
fn host() {
    let (Ok(mark), Ok(phase)) = (std::env::var(MARK), std::env::var(PHASE)) else { return };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    tokio.block_on(async {
        let pool = pool(2).env(MARK, mark).restart_budget(unlimited());
        let slither = runtime(if phase == "importing" { pool.preload("slow_import") } else { pool }).await;
        offspring(&slither).await;
        println!("\nready");
        match &*phase {
            "forking" => loop {
                let old = pids(&slither);
                old.iter().for_each(|pid| kill(*pid));
                until(|| pids(&slither).len() == 2 && pids(&slither).is_disjoint(&old)).await;
                offspring(&slither).await;
            },
            // Most of the time it is in the middle of a frame.
            "sending" => loop {
                let large = Value::from("x".repeat(20 << 20));
                slither.dispatch::<Value, Value>([large], behave("echo")).await.unwrap();
            },
            "stopping" => {
                tokio::spawn(hang(slither.clone()));
                slither.shutdown(Duration::from_millis(100)).await;
            }
            _ => hang(slither).await,
        }
    });
}

/// Each worker leaves two children behind, one of them in a session of its own.
async fn offspring(slither: &Slither) {
    slither.call_each::<_, Vec<u32>>("default", "behave:offspring", &()).await.unwrap();
}

async fn hang(slither: Slither) {
    let call = behave("act").batch_size(1).max_in_flight(4).on_error(OnError::Skip);
    let _ = slither.dispatch::<Value, Value>(["hang"; 8].map(Value::from), call).await;
}

fn start(mark: &str, phase: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::host::host", "--nocapture"])
        .env(MARK, mark)
        .env(PHASE, phase)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whatever has a mark that begins so in its environment: the host, its nursery, the workers and what those started.
pub(super) fn marked(mark: &str) -> usize {
    let mark = format!("{MARK}={mark}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let environs = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environs.filter(|environ| environ.windows(mark.len()).any(|part| part == mark.as_bytes())).count()
}

/// Starts a host, kills it at a moment of the phase, and says how long something was left of it.
async fn killed(mark: String, phase: &'static str, moment: Duration) -> Duration {
    let mut host = start(&mark, phase);
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    if !["starting", "importing"].contains(&phase) {
        let ready = tokio::task::spawn_blocking(move || lines.any(|line| line.unwrap() == "ready"));
        assert!(ready.await.unwrap(), "the host has started");
    }
    // sleep: the moment is chosen at random, whatever the host does then
    tokio::time::sleep(moment).await;
    host.kill().unwrap();
    host.wait().unwrap();
    let begun = Instant::now();
    // One that is just becoming its program has no environment to read for a moment.
    let mut none = 0;
    while none < 3 {
        none = if marked(&mark) == 0 { none + 1 } else { 0 };
        // sleep: all of /proc is read
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Kills so many hosts, so many of them at a time, and gives the longest that anything was left.
async fn killed_hosts(hosts: u32, at_a_time: u32) -> Duration {
    // Other tests of this process have marks as well.
    let family = format!("{}-host-", std::process::id());
    let lanes = (0..at_a_time).map(|lane| {
        let family = family.clone();
        tokio::spawn(async move {
            let mut worst = [Duration::ZERO; PHASES.len()];
            for round in (lane..hosts).step_by(at_a_time as usize) {
                let at = round as usize / at_a_time as usize % PHASES.len();
                // Up to a second while it starts, and a quarter of it when it has.
                let random = u64::from(round.wrapping_mul(2_654_435_761) >> 22);
                let moment = Duration::from_millis(if at < 2 { random } else { random / 4 });
                let mark = format!("{family}{round}.");
                worst[at] = worst[at].max(killed(mark, PHASES[at], moment).await);
            }
            worst
        })
    });
    let mut worst = [Duration::ZERO; PHASES.len()];
    for lane in futures_util::future::join_all(lanes).await {
        worst.iter_mut().zip(lane.unwrap()).for_each(|(worst, other)| *worst = other.max(*worst));
    }
    println!("{hosts} hosts killed, by phase the last process was gone within {PHASES:?} {worst:?}");
    assert_eq!(marked(&family), 0, "survivors");
    worst.into_iter().max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_host() {
    within(async {
        let worst = killed_hosts(18, 3).await;
        // What outlives its host does so for 30 s at least: an import takes them, a child lives for a minute or five. How
        // soon it is gone on a machine that is not busy, the test of a thousand measures.
        assert!(worst < Duration::from_secs(25), "{worst:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; `cargo xtask soak` runs it"]
async fn nothing_outlives_a_thousand_killed_hosts() {
    let worst = killed_hosts(1000, 6).await;
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}
