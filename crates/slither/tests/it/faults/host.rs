//! No process outlives a host that is killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slither::Value;

use crate::support::{behave, pool, runtime, until, within};

/// Set in a process that is to be a host; its value marks whatever that host starts.
const MARK: &str = "SLITHER_TEST_HOST";

#[test]
fn host() {
    let Ok(mark) = std::env::var(MARK) else { return };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    tokio.block_on(async {
        let slither = runtime(pool(2).env(MARK, mark)).await;
        slither.call_each::<_, Vec<u32>>("default", "behave:offspring", &()).await.unwrap();
        println!("\nready");
        let call = behave("act").batch_size(1).max_in_flight(4);
        let _ = slither.dispatch::<Value, Value>(["hang"; 8].map(Value::from), call).await;
    });
}

fn start(mark: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::host::host", "--nocapture"])
        .env(MARK, mark)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whatever has the mark in its environment: the host, its nursery, the workers and what those started.
fn marked(mark: &str) -> usize {
    let mark = format!("{MARK}={mark}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let environs = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environs.filter(|environ| environ.windows(mark.len()).any(|part| part == mark.as_bytes())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outlives_a_killed_host() {
    within(async {
        let mut worst = Duration::ZERO;
        for round in 0..10u32 {
            let mark = format!("{}-{round}", std::process::id());
            let mut host = start(&mark);
            let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
            let moment = Duration::from_millis(u64::from(round.wrapping_mul(2_654_435_761) >> 23));
            if round % 2 == 0 {
                let ready = tokio::task::spawn_blocking(move || lines.any(|line| line.unwrap() == "ready"));
                assert!(ready.await.unwrap());
                // The host, the nursery, two workers, and two children of each; one that is just becoming its
                // program has no environment to read for a moment.
                until(|| marked(&mark) == 8).await;
            } else {
                // sleep: the moment is chosen at random, whatever the host does then
                tokio::time::sleep(moment).await;
            }
            host.kill().unwrap();
            host.wait().unwrap();
            let begun = Instant::now();
            until(|| marked(&mark) == 0).await;
            worst = worst.max(begun.elapsed());
        }
        println!("after ten killed hosts the last process was gone within {worst:?}");
        assert!(worst < Duration::from_secs(5), "{worst:?}");
    })
    .await;
}
