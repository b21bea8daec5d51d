//! quick
use std::time::Instant;
use futures_util::StreamExt;
use slither::*;

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let slither = Slither::builder()
        .pool(Pool::processes("default").size(2).python_path("bench/python"))
        .start().await.unwrap();
    for mif in [4usize, 8, 8, 16] {
    for round in 0..3 {
        let n = 20_000u64;
        let call: Call<u64> = Call::new("echo:echo").max_in_flight(mif);
        let source = futures_util::stream::iter((0..n * 64).map(|i| Item::new(i, i % 64)));
        let begun = Instant::now();
        let mut stream = slither.dispatch_stream::<u64, u64>(source, call).await.unwrap();
        let mut count = 0u64;
        while let Some(out) = stream.next().await { if let Ok(Outcome::Done(_)) = out { count += 1; } }
        let took = begun.elapsed();
        eprintln!("mif {mif} round {round}: {count} items, {:.2} us/batch", took.as_secs_f64() * 1e6 / n as f64);
    }}
}
