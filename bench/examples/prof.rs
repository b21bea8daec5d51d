//! prof
use futures_util::StreamExt;
use slither::*;
use std::time::Instant;
fn cpu(pid: u32) -> (u64, u64, u64) {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    let mut cs = 0;
    for t in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let st = std::fs::read_to_string(t.unwrap().path().join("status")).unwrap();
        for l in st.lines() {
            if let Some(v) = l.strip_prefix("voluntary_ctxt_switches:") {
                cs += v.trim().parse::<u64>().unwrap();
            }
        }
    }
    (f[11].parse().unwrap(), f[12].parse().unwrap(), cs)
}
fn main() {
    let threads: usize = std::env::args().nth(1).map_or(2, |a| a.parse().unwrap());
    let rt =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    rt.block_on(async {
        let slither = Slither::builder()
            .pool(Pool::processes("default").size(2).python_path("bench/python"))
            .start()
            .await
            .unwrap();
        let workers: Vec<u32> = slither.stats("default").unwrap().workers.iter().map(|w| w.1).collect();
        for mif in [2usize, 4, 8, 16] {
            for _ in 0..2 {
                let n = 40_000u64;
                let pids: Vec<u32> =
                    std::iter::once(std::process::id()).chain(workers.iter().copied()).collect();
                let before: Vec<_> = pids.iter().map(|p| cpu(*p)).collect();
                let call: Call<u64> = Call::new("echo:echo").max_in_flight(mif);
                let source = futures_util::stream::iter((0..n * 64).map(|i| Item::new(i, i % 64)));
                let begun = Instant::now();
                let mut stream = slither.dispatch_stream::<u64, u64>(source, call).await.unwrap();
                while let Some(_) = stream.next().await {}
                let took = begun.elapsed();
                print!("mif {mif}: {:.2} us/batch |", took.as_secs_f64() * 1e6 / n as f64);
                for (p, b) in pids.iter().zip(before) {
                    let a = cpu(*p);
                    print!(
                        " u {:.2} s {:.2} cs {:.2} |",
                        (a.0 - b.0) as f64 * 1e4 / n as f64,
                        (a.1 - b.1) as f64 * 1e4 / n as f64,
                        (a.2 - b.2) as f64 / n as f64
                    );
                }
                println!();
            }
        }
    });
}
