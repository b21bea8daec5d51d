//! The worker behind an error, and what it was doing when it died: [`WorkerReport`], [`Phase`].

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Death;
use crate::item::ItemId;

/// What a worker was doing, as its black box says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// It was not ready for calls yet.
    Start,
    /// It had nothing to do.
    Idle,
    /// It imported a module for a call; [`WorkerReport::subject`] names the function.
    Import,
    /// It decoded its call.
    Decode,
    /// It ran user code.
    User,
    /// It encoded its answer, or sent it.
    Encode,
    /// Its user code waited for a view; [`WorkerReport::subject`] names it.
    View,
    /// Its coroutine awaited something.
    Await,
}

impl Phase {
    /// What it was doing, as the end of a sentence about its death.
    pub(crate) fn clause(self, subject: Option<&str>) -> String {
        let clause = match self {
            Self::Start => "before it was ready",
            Self::Idle => "while it was idle",
            Self::Import => "while it imported",
            Self::Decode => "while it decoded its call",
            Self::User => "while it ran user code",
            Self::Encode => "while it encoded its answer",
            Self::View => "while it waited for view",
            Self::Await => "while its coroutine awaited something",
        };
        match (self, subject) {
            (Self::Import | Self::View, Some(subject)) => format!("{clause} `{subject}`"),
            (Self::Import | Self::View, None) => format!("{clause} something"),
            _ => clause.to_owned(),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Idle => "idle",
            Self::Import => "import",
            Self::Decode => "decode",
            Self::User => "user code",
            Self::Encode => "encode",
            Self::View => "view",
            Self::Await => "await",
        })
    }
}

/// What is known of the worker that an error came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerReport {
    /// The worker's name: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// How it died, if it did.
    pub death: Option<Death>,
    /// What it was doing when it died.
    pub phase: Option<Phase>,
    /// Which view it waited for, or which function it imported.
    pub subject: Option<String>,
    /// For how long the call had been running.
    pub running: Option<Duration>,
    /// The items that died with it: its batch, of a generator those not yet yielded. Empty for a call that is no
    /// batch, and for a worker that lives.
    pub items: Arc<[ItemId]>,
    /// Bytes of memory that it occupied (RSS) when last looked at.
    pub rss: Option<u64>,
    /// The most bytes of memory that it ever occupied (RSS), as its parent heard at its death.
    pub peak_rss: Option<u64>,
    /// The last lines of its standard error, control characters escaped.
    pub stderr: Vec<String>,
}

impl WorkerReport {
    /// A worker of which no more is known.
    pub(crate) fn new(worker: impl Into<String>, pid: u32) -> Self {
        Self {
            worker: worker.into(),
            pid,
            death: None,
            phase: None,
            subject: None,
            running: None,
            items: Arc::from([]),
            rss: None,
            peak_rss: None,
            stderr: Vec::new(),
        }
    }

    /// Appends a line for each thing that is known.
    pub(super) fn write(&self, text: &mut String) {
        line(text, "worker", &format!("{} (pid {})", self.worker, self.pid));
        if let Some(death) = self.death {
            line(text, "death", &death.cause());
        }
        if !self.items.is_empty() {
            line(text, "items", &ranges(&self.items));
        }
        if let Some(phase) = self.phase {
            let mut doing = phase.to_string();
            if let Some(subject) = &self.subject {
                let _ = write!(doing, " `{subject}`");
            }
            if let Some(running) = self.running {
                let _ = write!(doing, ", {:.3} s into its call", running.as_secs_f64());
            }
            line(text, "doing", &doing);
        }
        let last = self.rss.map(|rss| format!("{} when last looked at", mebibytes(rss)));
        let peak = self.peak_rss.map(|peak| format!("{} at its peak", mebibytes(peak)));
        if let Some(memory) = last.into_iter().chain(peak).reduce(|last, peak| format!("{last}, {peak}")) {
            line(text, "memory", &memory);
        }
        for (number, said) in self.stderr.iter().enumerate() {
            line(text, if number == 0 { "stderr" } else { "" }, said);
        }
    }
}

fn line(text: &mut String, label: &str, value: &str) {
    let _ = write!(text, "\n  {label:<8}{value}");
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// How many stretches of ids are written out.
const STRETCHES: usize = 16;

/// Ids with each unbroken stretch as its ends: `3, 16–19`.
fn ranges(ids: &[ItemId]) -> String {
    let mut text = String::new();
    let stretches: Vec<_> = ids.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)).collect();
    for (number, stretch) in stretches.iter().take(STRETCHES).enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        let _ = match stretch {
            [first, .., last] if stretch.len() > 2 => write!(text, "{comma}{first}–{last}"),
            [first, last] => write!(text, "{comma}{first}, {last}"),
            _ => write!(text, "{comma}{}", stretch[0]),
        };
    }
    let left: usize = stretches.iter().skip(STRETCHES).map(|stretch| stretch.len()).sum();
    if left > 0 {
        let _ = write!(text, " and {left} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_stretches() {
        let ids = |ids: &[u64]| ranges(&ids.iter().copied().map(ItemId).collect::<Vec<_>>());
        assert_eq!(ids(&[16, 17, 18, 19]), "16–19");
        assert_eq!(ids(&[1, 2, 5, 7, 8, 9, 7]), "1, 2, 5, 7–9, 7");
        let odd: Vec<u64> = (0..40).map(|number| number * 2).collect();
        assert_eq!(ids(&odd), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30 and 24 more");
    }
}
