//! The host's peak memory when a million short documents stream through, against fifty thousand.

use std::fmt::Write as _;
use std::process::Command;

use futures_util::{StreamExt, stream};
use slither::python::{Environment, EnvironmentSpec, Traced};
use slither::{Call, Item, Outcome, Pool, Slither};

use crate::table::{median, note, print};
use crate::{Fallible, machine, python_folder};

const SIZES: [u64; 2] = [50_000, 1_000_000];
const RUNS: usize = 3;

/// Runs both sizes in turn, each in a process of its own, and makes the table.
pub(crate) fn run() -> Fallible<String> {
    let environment = Environment::prepare(&EnvironmentSpec::default(), &Traced)?;
    let mut peaks = [Vec::new(), Vec::new()];
    for run in 0..RUNS {
        for (size, peaks) in SIZES.into_iter().zip(&mut peaks) {
            let output =
                Command::new(std::env::current_exe()?).args(["memory-run", &size.to_string()]).output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            let peak: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
            note(&format!("run {run}: {size} documents: peak {peak} KiB"));
            peaks.push(peak);
        }
    }
    let medians = peaks.each_ref().map(|peaks| median(peaks));
    let mut text = format!(
        "# The host's peak memory, by documents streamed\n\n{}; {RUNS} runs each, in turn; documents of about 90 bytes, 64 a batch, 8 in flight, 2 workers. `VmHWM` of the host.\n\n",
        machine::line(&environment.interpreter)
    );
    text.push_str("| documents | peak, median | all runs, KiB |\n|---|---|---|\n");
    for ((size, peaks), middle) in SIZES.iter().zip(&peaks).zip(medians) {
        let all: Vec<_> = peaks.iter().map(f64::to_string).collect();
        writeln!(text, "| {size} | {:.1} MiB | {} |", middle / 1024.0, all.join(", "))?;
    }
    writeln!(text, "\nRatio of the medians: {:.3} (bar: at most 1.2).", medians[1] / medians[0])?;
    Ok(text)
}

/// Streams so many documents and prints the process's peak memory in KiB.
pub(crate) fn once(documents: u64) -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let pool = Pool::processes("default").size(2).python_path(python_folder());
        let slither = Slither::builder().pool(pool).start().await?;
        let source = stream::iter((0..documents).map(|number| {
            Item::new(
                number,
                format!(
                    "Document {number} says a few words about number {}, and then it ends.",
                    number * 7919 % 10_007
                ),
            )
        }));
        let mut results = slither.dispatch_stream::<String, String>(source, Call::new("echo:echo")).await?;
        let mut done = 0;
        while let Some(outcome) = results.next().await {
            match outcome? {
                Outcome::Done(_) => done += 1,
                Outcome::Failed(failure) => return Err(failure.into()),
            }
        }
        assert_eq!(done, documents, "every document comes back");
        Fallible::Ok(())
    })?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    print(peak.trim().trim_end_matches(" kB"));
    Ok(())
}
