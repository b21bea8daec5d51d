//! What was seen during the run: everything that the checks and the summary are made from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use slither::{Each, Item, Ledger, LostWorker, pipe};

use super::flow::{MAX_WEIGHT, Sheet, Thumbnail, WorkerStats};
use super::output::png_size;
use crate::faults::ChaosReport;
use crate::report::Failures;

/// What a worker may take beside the pixels of its batch: files, rows that are being decoded, thumbnails.
pub(super) const ALLOWANCE: u64 = 16 << 20;

/// A thumbnail that came back, and what stands in its file.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) thumbnail: Thumbnail,
    /// Width and height, if the file is there and is a PNG.
    pub(super) file: Option<(u32, u32)>,
}

/// The same pictures decoded all at once, in one process.
#[derive(Debug, Clone)]
pub(super) struct AtOnce {
    pub(super) pictures: u64,
    pub(super) pixels: u64,
    pub(super) stats: WorkerStats,
    /// Thumbnails that came out otherwise than before.
    pub(super) different: u64,
}

/// What became of something that is only done if the run was not stopped.
#[derive(Debug, Clone)]
pub(super) enum Later<T> {
    Left,
    Failed(String),
    Done(T),
}

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// Pictures in the input.
    pub(super) pictures: u64,
    /// By the numbers of their pictures; none for those that did not arrive.
    pub(super) made: Vec<Option<Made>>,
    /// Thumbnails that arrived again.
    pub(super) twice: u64,
    pub(super) failures: Failures,
    pub(super) outputs: BTreeMap<String, u64>,
    pub(super) ledger: Ledger,
    pub(super) chaos: Option<ChaosReport>,
    /// Why the run ended before its input, if it did.
    pub(super) end: Option<String>,
    /// Whether it was told to stop.
    pub(super) stopped: bool,
    pub(super) elapsed: Duration,
    pub(super) accounts: Vec<WorkerStats>,
    pub(super) lost: Vec<LostWorker>,
    /// Workers that are there and did not answer.
    pub(super) silent: Vec<String>,
    pub(super) at_once: Later<AtOnce>,
    /// With what stands in its file.
    pub(super) sheet: Later<(Sheet, Option<(u32, u32)>)>,
    /// Where everything was written, if it is to be kept.
    pub(super) kept: Option<PathBuf>,
}

impl Evidence {
    pub(super) fn new(pictures: u64) -> Self {
        Self {
            pictures,
            made: vec![None; usize::try_from(pictures).unwrap_or_default()],
            twice: 0,
            failures: Failures::default(),
            outputs: BTreeMap::new(),
            ledger: Ledger::default(),
            chaos: None,
            end: None,
            stopped: false,
            elapsed: Duration::ZERO,
            accounts: Vec::new(),
            lost: Vec::new(),
            silent: Vec::new(),
            at_once: Later::Left,
            sheet: Later::Left,
            kept: None,
        }
    }

    /// Takes in a thumbnail that reached an output.
    pub(super) fn add(&mut self, output: &str, item: Item<Thumbnail>) {
        *self.outputs.entry(output.to_owned()).or_default() += 1;
        let file = png_size(item.payload.picture.thumbnail.as_ref());
        let place = usize::try_from(item.id.0).ok().and_then(|number| self.made.get_mut(number));
        let made = Made { thumbnail: item.payload, file };
        let before = place.map(|place| place.replace(made));
        self.twice += u64::from(!matches!(before, Some(None)));
    }

    /// Takes in the runner's own account.
    pub(super) fn finish(&mut self, report: &pipe::Report) {
        self.ledger = report.ledger;
        self.elapsed = report.elapsed;
        for (output, _) in &report.outputs {
            self.outputs.entry(output.to_string()).or_default();
        }
    }

    /// Takes in what the workers have measured.
    pub(super) fn account(&mut self, each: Each<WorkerStats>) {
        for reply in each.replies {
            match reply.result {
                Ok(stats) => self.accounts.push(stats),
                Err(error) => self.silent.push(format!("{} (pid {}): {error}", reply.worker, reply.pid)),
            }
        }
        self.lost = each.lost;
    }

    /// The thumbnails that arrived.
    pub(super) fn thumbnails(&self) -> impl Iterator<Item = &Thumbnail> {
        self.made.iter().flatten().map(|made| &made.thumbnail)
    }

    /// The batches as they reached the workers, by pid and number.
    pub(super) fn batches(&self) -> BTreeMap<(u32, u64), Vec<&Thumbnail>> {
        let mut batches: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for thumbnail in self.thumbnails() {
            batches.entry((thumbnail.pid, thumbnail.batch)).or_default().push(thumbnail);
        }
        batches
    }

    /// The most batches that were being worked on at one moment.
    pub(super) fn most_in_flight(&self) -> usize {
        let spans = self.batches().into_values().filter_map(|batch| batch.first().copied());
        let spans: Vec<_> = spans.map(|thumbnail| (thumbnail.began_ns, thumbnail.ended_ns)).collect();
        // The most are there at a moment when one begins.
        let at = |moment: u64| spans.iter().filter(|(from, to)| (*from..*to).contains(&moment)).count();
        spans.iter().map(|(from, _)| at(*from)).max().unwrap_or_default()
    }

    /// What a worker may take at most: the pixels of the heaviest batch that the bound allows.
    pub(super) fn bound(&self) -> u64 {
        let pictures = || self.thumbnails().map(|thumbnail| &thumbnail.picture);
        let pixel = pictures().map(|picture| picture.pixel_bytes).max().unwrap_or(4);
        let largest = pictures().map(|picture| picture.pixels() * picture.pixel_bytes).max();
        largest.unwrap_or_default().max(MAX_WEIGHT * pixel) + ALLOWANCE
    }

    /// The most that a bounded worker took.
    pub(super) fn peak(&self) -> u64 {
        self.accounts.iter().map(WorkerStats::growth).max().unwrap_or_default()
    }

    /// What the bounded workers can have taken together: each at its own peak.
    pub(super) fn peak_of_all(&self) -> u64 {
        self.accounts.iter().map(WorkerStats::growth).sum()
    }
}
