//! What goes on beside the flow: a task that publishes one version of the schema after the other, and one that
//! reads the store all the while.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use slither::StoreHandle;
use slither::store::BoxError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::schema::Edition;
use super::store::{self, SchemaStore};

/// How many publications may be outstanding before the source waits. So at least every second version is met.
const BEHIND: u64 = 1;

/// How far the flow and the publisher are, told by each to the other.
///
/// The publisher spreads its versions over the flow. It waits for no reader, and no reader waits for it; but
/// on a busy machine the source may outrun it, and then pulls no more until it has caught up, so that every
/// version falls into the run.
#[derive(Debug)]
pub(super) struct Pace {
    chunks: u64,
    publications: u64,
    prepared: watch::Sender<u64>,
    published: watch::Sender<u64>,
    torn: watch::Sender<u64>,
}

impl Pace {
    /// So many versions over a run of so many chunks.
    pub(super) fn new(chunks: u64, publications: u64) -> Self {
        let zero = || watch::Sender::new(0);
        Self { chunks, publications, prepared: zero(), published: zero(), torn: zero() }
    }

    /// A chunk has read its schema, whole or torn.
    pub(super) fn prepared(&self, whole: bool) {
        self.prepared.send_modify(|count| *count += 1);
        self.torn.send_modify(|count| *count += u64::from(!whole));
    }

    /// Chunks that read a torn schema.
    pub(super) fn torn(&self) -> u64 {
        *self.torn.borrow()
    }

    /// How many chunks are prepared before this publication, counted from 1.
    fn due(&self, publication: u64) -> u64 {
        publication * self.chunks / (self.publications + 1)
    }

    /// Ready when this chunk may be pulled, counted from 0. Nothing is outstanding when the last one is.
    pub(super) async fn pull(&self, chunk: u64) {
        let due = (1..=self.publications).take_while(|publication| self.due(*publication) <= chunk).count();
        let behind = if chunk + 1 == self.chunks { 0 } else { BEHIND };
        let wanted = (due as u64).saturating_sub(behind);
        let mut published = self.published.subscribe();
        // The sender is this very value's, and so never gone.
        let _ = published.wait_for(|count| *count >= wanted).await;
    }
}

/// How a version came into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Put in the place of the one before.
    Put,
    /// Written to the file, and the store reloaded.
    Reload,
}

/// Who brings versions into force.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    pub(super) store: StoreHandle<SchemaStore>,
    pub(super) file: PathBuf,
    pub(super) edition: Edition,
}

impl Publisher {
    /// Brings a version into force: an even one is put, an odd one reloaded.
    pub(super) fn publish(&self, version: u64) -> Result<Way, BoxError> {
        let schema = self.edition.at(version);
        if version.is_multiple_of(2) {
            store::put(&self.store, schema)?;
            return Ok(Way::Put);
        }
        store::save(&self.file, &schema)?;
        self.store.reload()?;
        Ok(Way::Reload)
    }

    /// Brings one version after the other into force, at its place in the flow, and tells `done` of each.
    pub(super) async fn publish_all(
        self,
        versions: RangeInclusive<u64>,
        pace: Arc<Pace>,
        done: Arc<std::sync::Mutex<Vec<Result<Way, String>>>>,
    ) {
        let mut prepared = pace.prepared.subscribe();
        for (number, version) in (1..).zip(versions) {
            let due = pace.due(number);
            if prepared.wait_for(|count| *count >= due).await.is_err() {
                return;
            }
            let publisher = self.clone();
            let way = tokio::task::spawn_blocking(move || {
                publisher.publish(version).map_err(|error| error.to_string())
            });
            let way = way.await.unwrap_or_else(|error| Err(error.to_string()));
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(way);
            pace.published.send_replace(number);
        }
    }
}

/// What a reader has seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Sightings {
    /// Snapshots taken.
    pub(super) reads: u64,
    /// The versions found in them.
    pub(super) versions: BTreeSet<u64>,
    /// Those that were empty, partial or mixed.
    pub(super) torn: u64,
    /// Those that were older than the one before.
    pub(super) backwards: u64,
    /// What was wrong first.
    pub(super) first: Option<String>,
}

impl Sightings {
    /// Takes in what one snapshot held; `number` is the store's own count of its versions.
    pub(super) fn add(&mut self, number: u64, found: Result<u64, store::Torn>) {
        self.reads += 1;
        let wrong = match found {
            // Every change of this store publishes one version, so that both counts go together.
            Ok(version) if version != number => Some(format!("version {version} in snapshot {number}")),
            Ok(version) => {
                if self.versions.last().is_some_and(|last| *last > version) {
                    self.backwards += 1;
                }
                self.versions.insert(version);
                None
            }
            Err(torn) => Some(torn.to_string()),
        };
        self.torn += u64::from(wrong.is_some());
        self.first = self.first.take().or(wrong);
    }
}

/// A reader on a thread of its own, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    over: Arc<AtomicBool>,
    task: Option<JoinHandle<Sightings>>,
}

impl Reader {
    /// Begins to read.
    pub(super) fn start(store: StoreHandle<SchemaStore>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let until = over.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut seen = Sightings::default();
            while !until.load(Acquire) {
                let snapshot = store.snapshot();
                seen.add(snapshot.version(), store::inspect(&snapshot));
                // Where cores are few, the flow needs them too.
                std::thread::yield_now();
            }
            seen
        });
        Self { over, task: Some(task) }
    }

    /// Ends it, and says what it has seen; a reader that panicked has seen nothing.
    pub(super) async fn stop(mut self) -> Sightings {
        self.over.store(true, Release);
        match self.task.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => Sightings::default(),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.over.swap(true, AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publications_are_spread_over_the_run_and_due_before_its_last_chunk() {
        for (chunks, publications) in [(625, 200), (1, 2), (3, 6), (7, 2)] {
            let pace = Pace::new(chunks, publications);
            let due: Vec<_> = (1..=publications).map(|number| pace.due(number)).collect();
            assert!(due.is_sorted() && due.iter().all(|due| *due < chunks), "{due:?}");
        }
    }

    #[tokio::test]
    async fn the_source_waits_for_a_publisher_that_has_fallen_behind() {
        let pace = Pace::new(10, 4);
        let ready = |chunk| futures_util::FutureExt::now_or_never(pace.pull(chunk)).is_some();
        // Due after 2, 4, 6 and 8 chunks.
        assert!(ready(0) && ready(3) && !ready(4) && !ready(9));
        pace.published.send_replace(3);
        assert!(ready(8) && !ready(9));
        pace.published.send_replace(4);
        assert!(ready(9));
    }

    #[test]
    fn a_reader_notices_what_is_amiss() {
        let mut seen = Sightings::default();
        seen.add(1, Ok(1));
        seen.add(3, Ok(3));
        assert_eq!((seen.torn, seen.backwards), (0, 0));
        seen.add(2, Ok(2));
        assert_eq!((seen.torn, seen.backwards), (0, 1));
        seen.add(4, Ok(3));
        seen.add(5, Err(store::Torn::Empty));
        assert_eq!((seen.reads, seen.torn), (5, 2));
        assert_eq!(seen.first.as_deref(), Some("version 3 in snapshot 4"));
    }
}
