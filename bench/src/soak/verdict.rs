//! From a sample a period to a verdict: what has to be flat, by how much it may grow, and what has to be nothing.

use std::fmt::Write as _;
use std::time::Duration;

use crate::table::median;

/// How many periods a soak has: for an hour, a minute each.
pub(super) fn periods(time: Duration) -> u32 {
    if time >= JUDGED_FROM { 60 } else { 12 }
}

/// The first and the last sixth are compared.
const PART: usize = 6;
/// A soak of at least this time is judged by its figures; a shorter one is still warming up.
pub(super) const JUDGED_FROM: Duration = Duration::from_secs(600);
/// By how much throughput may differ.
const THROUGHPUT: f64 = 0.05;

/// What was seen in one period; of what was sampled each second, the medians.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Items that came back, a second.
    pub(super) rate: f64,
    /// The 99th percentile of a plain call, in ms.
    pub(super) p99: f64,
    /// Share of the machine that host, nurseries and workers used.
    pub(super) busy: f64,
    /// KiB.
    pub(super) host_rss: f64,
    pub(super) host_fds: f64,
    pub(super) host_threads: f64,
    /// Slither's own among them.
    pub(super) own_threads: f64,
    pub(super) children: f64,
    pub(super) nursery_rss: f64,
    pub(super) nursery_fds: f64,
    pub(super) worker_rss: f64,
    /// Workers recycled so far.
    pub(super) recycled: f64,
    /// Deaths of workers so far.
    pub(super) deaths: f64,
}

/// One figure of a sample.
type Figure = fn(&Sample) -> f64;

/// What has to be flat: its name, where it stands, how it is shown, and by how much it may grow, as a share and in its
/// unit, whichever is more.
struct Flat {
    name: &'static str,
    of: Figure,
    unit: &'static str,
    scale: f64,
    share: f64,
    least: f64,
}

const MIB: f64 = 1024.0;

const FLAT: [Flat; 8] = [
    Flat {
        name: "RSS of the host",
        of: |s| s.host_rss,
        unit: " MiB",
        scale: MIB,
        share: 0.05,
        least: 2.0 * MIB,
    },
    Flat {
        name: "descriptors of the host",
        of: |s| s.host_fds,
        unit: "",
        scale: 1.0,
        share: 0.0,
        least: 1.0,
    },
    Flat {
        name: "threads of Slither in the host",
        of: |s| s.own_threads,
        unit: "",
        scale: 1.0,
        share: 0.0,
        least: 1.0,
    },
    // Tokio keeps a thread for blocking work as long as it finds some each 200 ms: after a burst there are more of them.
    Flat {
        name: "threads of the host, tokio's among them",
        of: |s| s.host_threads,
        unit: "",
        scale: 1.0,
        share: 0.0,
        least: 8.0,
    },
    Flat { name: "children of the host", of: |s| s.children, unit: "", scale: 1.0, share: 0.0, least: 0.0 },
    Flat {
        name: "RSS of the rough pool's nursery",
        of: |s| s.nursery_rss,
        unit: " MiB",
        scale: MIB,
        share: 0.05,
        least: MIB,
    },
    Flat {
        name: "descriptors of that nursery",
        of: |s| s.nursery_fds,
        unit: "",
        scale: 1.0,
        share: 0.0,
        least: 1.0,
    },
    Flat { name: "RSS of a worker", of: |s| s.worker_rss, unit: " MiB", scale: MIB, share: 0.05, least: MIB },
];

/// One line of the verdict.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) bar: String,
    pub(super) holds: bool,
}

/// The medians of the first and the last sixth.
fn ends(samples: &[Sample], of: Figure) -> (f64, f64) {
    let part = (samples.len() / PART).max(1).min(samples.len());
    let middle = |samples: &[Sample]| median(&samples.iter().map(of).collect::<Vec<_>>());
    (middle(&samples[..part]), middle(&samples[samples.len() - part..]))
}

/// Judges what was sampled.
pub(super) fn judge(samples: &[Sample]) -> Vec<Line> {
    let mut lines: Vec<Line> = FLAT
        .iter()
        .map(|flat| {
            let (first, last) = ends(samples, flat.of);
            let allowed = (first * flat.share).max(flat.least);
            let shown = |value: f64| {
                let places = usize::from(flat.scale > 1.0);
                format!("{:.places$}{}", value / flat.scale, flat.unit)
            };
            Line {
                name: flat.name.into(),
                first: shown(first),
                last: shown(last),
                bar: format!("at most {} more", shown(allowed)),
                // What could not be sampled has not held.
                holds: last - first <= allowed,
            }
        })
        .collect();
    let (first, last) = ends(samples, |sample| sample.rate);
    lines.push(Line {
        name: "items a second".into(),
        first: format!("{first:.0}"),
        last: format!("{last:.0}"),
        bar: format!("within {:.0} %", THROUGHPUT * 100.0),
        holds: (last - first).abs() <= first * THROUGHPUT,
    });
    lines
}

/// A line of blocks, from the least to the greatest value, with both beside it.
pub(super) fn chart(samples: &[Sample]) -> String {
    let rows: [(&str, Figure); 7] = [
        ("items/s", |s| s.rate),
        ("p99 of a call, ms", |s| s.p99),
        ("host RSS, MiB", |s| s.host_rss / MIB),
        ("worker RSS, MiB", |s| s.worker_rss / MIB),
        ("host descriptors", |s| s.host_fds),
        ("host threads", |s| s.host_threads),
        ("those of Slither", |s| s.own_threads),
    ];
    let mut text = String::new();
    for (name, of) in rows {
        let values: Vec<f64> = samples.iter().map(of).collect();
        let greatest = values.iter().copied().fold(0.0, f64::max);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        // From nothing upwards, so that what is flat looks flat.
        let blocks: String = values.iter().map(|value| block(*value, greatest)).collect();
        let _ = writeln!(text, "{name:<18} {blocks} {least:.1} to {greatest:.1}");
    }
    text
}

fn block(value: f64, greatest: f64) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let eighth = if greatest > 0.0 { (value / greatest * 8.0).ceil() as usize } else { 1 };
    BLOCKS[eighth.clamp(1, 8) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(change: impl Fn(usize, &mut Sample)) -> Vec<Sample> {
        let steady = Sample {
            rate: 1000.0,
            host_rss: 50.0 * MIB,
            host_fds: 40.0,
            host_threads: 9.0,
            own_threads: 5.0,
            children: 3.0,
            ..Sample::default()
        };
        let mut samples = vec![steady; 60];
        samples.iter_mut().enumerate().for_each(|(at, sample)| change(at, sample));
        samples
    }

    fn broken(samples: &[Sample]) -> Vec<String> {
        judge(samples).into_iter().filter(|line| !line.holds).map(|line| line.name).collect()
    }

    #[test]
    fn what_is_flat_holds_and_one_odd_minute_is_no_trend() {
        assert!(broken(&samples(|_, _| {})).is_empty());
        assert!(
            broken(&samples(|at, sample| sample.host_fds += if at == 57 { 30.0 } else { 0.0 })).is_empty()
        );
    }

    #[test]
    fn a_leak_is_seen() {
        let leak = samples(|at, sample| sample.host_fds += at as f64 / 20.0);
        assert_eq!(broken(&leak), ["descriptors of the host"]);
        let leak = samples(|at, sample| sample.host_rss += at as f64 * 60.0);
        assert_eq!(broken(&leak), ["RSS of the host"]);
        let slower = samples(|at, sample| sample.rate -= at as f64);
        assert_eq!(broken(&slower), ["items a second"]);
    }

    #[test]
    fn what_was_never_sampled_has_not_held() {
        assert_eq!(broken(&samples(|_, sample| sample.worker_rss = f64::NAN)), ["RSS of a worker"]);
    }

    #[test]
    fn a_chart_begins_at_nothing() {
        let line = chart(&samples(|at, sample| sample.rate = if at < 30 { 500.0 } else { 1000.0 }));
        assert!(line.starts_with(&format!(
            "items/s            {}{} 500.0 to 1000.0\n",
            "▄".repeat(30),
            "█".repeat(30)
        )));
    }
}
