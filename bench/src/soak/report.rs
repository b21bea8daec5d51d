//! What is told: a line a period while it runs, and a page at the end.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Baseline;
use super::account::Account;
use super::verdict::{self, Line, Sample};

const MIB: f64 = 1024.0;

/// The head of the lines.
pub(super) fn head() -> String {
    "    time   items/s  p99 ms  busy  RSS MiB  fds  threads  children  nursery MiB/fds  worker MiB  deaths  recycled  lost/doubled/wrong"
        .into()
}

/// A period in a line.
pub(super) fn line(number: u32, period: Duration, sample: &Sample, account: &Account) -> String {
    let time = (period * number).as_secs();
    let [lost, doubled, wrong] = account.faults();
    let nursery = format!("{:.1}/{:.0}", sample.nursery_rss / MIB, sample.nursery_fds);
    format!(
        "{:>5}:{:02}  {:>8.0}  {:>6.1}  {:>3.0}%  {:>7.1}  {:>3.0}  {:>7.0}  {:>8.0}  {nursery:>15}  {:>10.1}  {:>6.0}  {:>8.0}  {lost}/{doubled}/{wrong}",
        time / 60,
        time % 60,
        sample.rate,
        sample.p99,
        sample.busy * 100.0,
        sample.host_rss / MIB,
        sample.host_fds,
        sample.host_threads,
        sample.children,
        sample.worker_rss / MIB,
        sample.deaths,
        sample.recycled,
    )
}

/// What a page is made of.
pub(super) struct Told<'a> {
    pub(super) machine: String,
    pub(super) minutes: f64,
    pub(super) samples: &'a [Sample],
    pub(super) account: &'a Account,
    pub(super) lines: &'a [Line],
    /// Whether it ran for long enough that its figures count.
    pub(super) judged: bool,
    pub(super) baseline: Baseline,
    pub(super) after: Baseline,
    pub(super) broken: &'a [String],
}

/// The page.
pub(super) fn page(told: &Told<'_>) -> String {
    let Told { machine, minutes, samples, account, lines, judged, baseline, after, broken } = told;
    let of = |count: &AtomicU64| count.load(Relaxed);
    let [lost, doubled, wrong] = account.faults();
    let recycled = samples.last().map_or(0.0, |sample| sample.recycled);
    let deaths = samples.last().map_or(0.0, |sample| sample.deaths);
    let busy = samples.iter().map(|sample| sample.busy).sum::<f64>() / samples.len().max(1) as f64;
    let p99 = crate::table::median(&samples.iter().map(|sample| sample.p99).collect::<Vec<_>>());
    let mut text = format!(
        "# A soak of {minutes} minutes\n\n{machine}; a mixed load at a fixed pace through the public API, {:.0} % of the machine; made by `cargo xtask soak`.\n\n",
        busy * 100.0
    );
    text.push_str(if broken.is_empty() { "Every bar holds.\n\n" } else { "**Broken:**\n\n" });
    for what in *broken {
        let _ = writeln!(text, "- {what}");
    }
    if !broken.is_empty() {
        text.push('\n');
    }
    text.push_str("| accounts | |\n|---|---|\n");
    let rows = [
        ("items that came back", of(&account.items)),
        ("of these, failed", of(&account.failed)),
        ("items lost", lost),
        ("items doubled", doubled),
        ("wrong answers, ledgers or errors", wrong),
        ("runs, cancelled and halted ones among them", of(&account.runs)),
        ("items that these gave up, and counted", of(&account.cancelled)),
        ("calls; sessions, references and progress among them", of(&account.calls)),
        ("of these, taken by a mishap", of(&account.hurt)),
        ("reports of progress", of(&account.reports)),
        ("writes to the store", of(&account.writes)),
        ("mishaps: kills, crashes, hangs, exceptions, floods", of(&account.mishaps)),
        ("deaths of workers", deaths as u64),
        ("workers recycled", recycled as u64),
        ("dead letters, as many as failed in their run", of(&account.letters)),
    ];
    for (name, count) in rows {
        let _ = writeln!(text, "| {name} | {count} |");
    }
    let _ = writeln!(text, "| p99 of a plain call, median of the periods | {p99:.1} ms |");
    let _ = writeln!(
        text,
        "| descriptors, threads, children before and after | {}, {}, {} and {}, {}, {} |",
        baseline.fds, baseline.threads, baseline.children, after.fds, after.threads, after.children
    );
    text.push_str("\nMedians of the first and of the last sixth");
    text.push_str(if *judged { ":\n\n" } else { "; too short to be judged:\n\n" });
    text.push_str("| | first | last | bar | |\n|---|---|---|---|---|\n");
    for Line { name, first, last, bar, holds } in *lines {
        let holds = if *holds { "holds" } else { "**broken**" };
        let _ = writeln!(text, "| {name} | {first} | {last} | {bar} | {holds} |");
    }
    let _ = write!(text, "\nA column a period, from 0 upwards:\n\n```text\n{}```\n", verdict::chart(samples));
    text
}
