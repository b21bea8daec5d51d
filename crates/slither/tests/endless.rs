//! An endless input: first results at once, memory that does not grow, a cancel that ends at once.
//!
//! A binary of its own, because it looks at the memory of the whole process. The benchmark `endless` does the same
//! for a minute.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use slither::pipe::Event;
use slither::{Call, Context, Pipe, Pool, Router, RunOptions, Slither};

/// How long it runs, how soon the first result comes and a cancel ends, and by how many KiB memory may grow. The input never
/// ends, so that waiting for any part of it to be over would take for ever; how soon is soon, the benchmark measures.
const RUNS: Duration = Duration::from_secs(3);
const AT_ONCE: Duration = Duration::from_secs(20);
const GROWTH: u64 = 4096;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn holds(slither: &Slither, pipe: Pipe<String, String>) {
    let endless = (0u64..).map(|n| Ok::<_, Infallible>(format!("document {n} says a few words, and ends")));
    let began = Instant::now();
    let mut run = slither.stream_pipe(&pipe, stream::iter(endless), RunOptions::new()).await.unwrap();
    let mut next = async || match run.next().await {
        Some(Ok(Event::Emitted { .. })) => {}
        other => panic!("{other:?}"),
    };
    next().await;
    assert!(began.elapsed() < AT_ONCE, "the first result came after {:?}", began.elapsed());
    // Buffers and allocators have their size after some thousand items.
    for _ in 0..20_000 {
        next().await;
    }
    let (before, mut most, mut items) = (resident_kib(), 0, 20_000u64);
    while began.elapsed() < RUNS {
        for _ in 0..1000 {
            next().await;
        }
        items += 1000;
        most = most.max(resident_kib());
    }
    assert!(most <= before + GROWTH, "{before} KiB after 20000 items, {most} KiB within {items}");
    let cancelled = Instant::now();
    let report = run.cancel().await;
    assert!(cancelled.elapsed() < AT_ONCE, "the cancel took {:?}", cancelled.elapsed());
    assert!(report.ledger.balanced() && report.ledger.emitted > items, "{report}");
}

async fn within(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test ran into its time limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_input_flows_in_constant_memory_and_is_cancelled_at_once() {
    within(async {
        let python_path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");
        let pool = Pool::processes("default").size(1).python_path(python_path);
        let slither = Slither::builder().pool(pool).start().await.unwrap();

        let rust = Pipe::builder("rust")
            .filter_map("thin", |text: String, _: &Context| (!text.contains('7')).then_some(text))
            .branch("length", |branches| {
                branches
                    .when(
                        "long",
                        |text: &String| text.len() > 42,
                        |long| {
                            long.map_batch("shout", 16, |texts: Vec<String>, _: &Context| {
                                texts.iter().map(|text| text.to_uppercase()).collect()
                            })
                        },
                    )
                    .otherwise(|short| short)
            })
            .flat_map("twice", |text: String, _: &Context| [text.clone(), text])
            .route("route", Router::new().when("loud", |text: &String| text.starts_with('D')))
            .build()
            .unwrap();
        holds(&slither, rust).await;

        let python = Pipe::builder("python")
            .map("trim", |text: String, _: &Context| text)
            .python::<String>("echo", Call::new("behave:echo"))
            .build()
            .unwrap();
        holds(&slither, python).await;
    })
    .await;
}
