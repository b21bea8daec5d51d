//! An opened store: the current version, and the one way to make the next.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};

use super::declare::Schema;
use super::error::panic_message;
use super::writer::{Place, Writer};
use super::{Contents, Snapshot, Store, StoreError, Transaction, View};
use crate::error::ConfigError;
use crate::telemetry::{self, Labels, Meter, ReloadException, ReloadStart, ReloadStop, StoreWrite};

/// A writer that finds nobody else at the old version frees it itself up to so many changed rows: a few
/// nodes of a tree, which costs less than to wake the reaper.
const FREED_BY_THE_WRITER: u64 = 64;

/// An opened store, of whatever type.
pub(crate) struct Engine {
    definition: Box<dyn Store>,
    schema: Arc<Schema>,
    views: Vec<View>,
    current: ArcSwap<Contents>,
    writer: Writer,
    committed: Meter,
}

impl Engine {
    /// Checks what the store declares. It is empty until it is first [reloaded](Self::reload).
    pub(super) fn new(definition: Box<dyn Store>) -> Result<Self, ConfigError> {
        let schema = Arc::new(Schema::new(&*definition)?);
        let labels = Labels { store: Some(schema.store()), ..Labels::default() };
        Ok(Self {
            views: definition.views(),
            current: ArcSwap::from_pointee(Contents::empty(schema.clone())),
            writer: Writer::default(),
            committed: Meter::of::<StoreWrite<'_>>(labels),
            definition,
            schema,
        })
    }

    pub(super) fn name(&self) -> &str {
        self.schema.store()
    }

    pub(super) fn definition(&self) -> &dyn Store {
        &*self.definition
    }

    pub(super) fn views(&self) -> &[View] {
        &self.views
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.current.load_full())
    }

    /// The current version for one quick look: cheaper than a snapshot, and not to be kept.
    pub(super) fn peek(&self) -> Guard<Arc<Contents>> {
        self.current.load()
    }

    pub(super) fn write<R, E: From<StoreError>>(
        &self,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let started = Instant::now();
        let place = self.enter()?;
        let mut tx = Transaction::over(self.peek().fork());
        let answer = change(&mut tx)?;
        let (contents, operations) = tx.into_parts();
        if operations == 0 {
            contents.free();
            return Ok(answer);
        }
        let (old, version) = self.swap(place, contents);
        if operations <= FREED_BY_THE_WRITER
            && let Some(old) = Arc::into_inner(old)
        {
            old.free();
        }
        let (operations, took) = (operations as f64, started.elapsed().as_secs_f64());
        self.committed.emit(&StoreWrite::new(operations, took, &self.name(), &version));
        Ok(answer)
    }

    pub(super) fn reload(&self) -> Result<u64, StoreError> {
        let (started, store) = (Instant::now(), self.name());
        let labels = Labels { store: Some(store), ..Labels::default() };
        telemetry::emit(labels, &ReloadStart::new(&store));
        let outcome = self.load();
        let duration = started.elapsed().as_secs_f64();
        match &outcome {
            Ok(version) => telemetry::emit(labels, &ReloadStop::new(duration, &store, version)),
            Err(error) => telemetry::emit(labels, &ReloadException::new(duration, &store, error)),
        }
        outcome
    }

    fn load(&self) -> Result<u64, StoreError> {
        let place = self.enter()?;
        let mut empty = Contents::empty(self.schema.clone());
        empty.set_version(self.peek().version());
        let mut tx = Transaction::over(empty);
        let store = || self.name().to_owned();
        match catch_unwind(AssertUnwindSafe(|| self.definition.load(&mut tx))) {
            Ok(Ok(())) => Ok(self.swap(place, tx.into_parts().0).1),
            Ok(Err(error)) => Err(StoreError::Load { store: store(), error }),
            Err(panic) => Err(StoreError::LoadPanicked { store: store(), message: panic_message(&*panic) }),
        }
    }

    fn enter(&self) -> Result<Place<'_>, StoreError> {
        self.writer.enter().ok_or_else(|| StoreError::NestedWrite { store: self.name().to_owned() })
    }

    /// Makes `contents` the current version and gives up the writer's place, so that what the caller does
    /// with the old version keeps no other writer waiting.
    fn swap(&self, place: Place<'_>, mut contents: Contents) -> (Arc<Contents>, u64) {
        let version = contents.version() + 1;
        contents.set_version(version);
        let old = self.current.swap(Arc::new(contents));
        drop(place);
        (old, version)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.name()).field(&self.peek().version()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tracing::field::{Field, Visit};
    use tracing::span;

    use super::super::{BoxError, StoreHandle, Table, Tables};
    use super::*;

    const NUMBERS: Table<u8, u8> = Table::set("numbers");

    #[derive(Default)]
    struct Numbers {
        broken: AtomicBool,
    }

    impl Store for Numbers {
        fn tables(&self) -> Tables {
            Tables::new().with(&NUMBERS)
        }

        fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
            tx.put(&NUMBERS, 0, 0)?;
            if self.broken.load(Ordering::Relaxed) { Err("broken".into()) } else { Ok(()) }
        }
    }

    /// Collects events as one line each, without their durations.
    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<String>>>);

    struct Line(String, String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            match field.name() {
                "message" => self.0 = format!("{value:?}"),
                "duration" => {}
                name => self.1.push_str(&format!(" {name}={value:?}")),
            }
        }
    }

    impl tracing::Subscriber for Collector {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(String::new(), String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0 + &line.1);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    #[test]
    fn each_write_and_each_load_is_told() {
        let events = Collector::default();
        tracing::subscriber::with_default(events.clone(), || {
            let store = StoreHandle::open(Numbers::default()).unwrap();
            store.bulk_insert(&NUMBERS, [(1, 1), (2, 2)]).unwrap();
            assert_eq!(store.delete(&NUMBERS, &9).unwrap(), 0, "what changes nothing makes no version");
            store.store().broken.store(true, Ordering::Relaxed);
            store.reload().unwrap_err();
        });
        assert_eq!(
            *events.0.lock().unwrap(),
            [
                "slither.store.reload.start store=Numbers",
                "slither.store.reload.stop store=Numbers version=1",
                "slither.store.write operations=2.0 store=Numbers version=2",
                "slither.store.reload.start store=Numbers",
                "slither.store.reload.exception store=Numbers error=store `Numbers` could not be loaded: broken",
            ]
        );
    }
}
