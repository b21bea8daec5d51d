//! A snapshot shows one version of all tables, whatever writes and reloads do meanwhile.

#![allow(clippy::unwrap_used, reason = "what a test cannot have is a failure of the test")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use slither::store::{
    BoxError, OrderedSet, Snapshot, Store, StoreError, StoreHandle, Table, Tables, Transaction,
};

const LEFT: Table<u64, u64> = Table::set("left");
const RIGHT: Table<u64, u64, OrderedSet> = Table::ordered_set("right");

const ROWS: u64 = 4;
const READERS: usize = 8;

/// Its nth load fills both tables with n; every tenth fails when half of it is done, by turns with an error
/// and with a panic.
#[derive(Default)]
struct Generations(AtomicU64);

fn fails(generation: u64) -> bool {
    generation.is_multiple_of(10) && generation > 0
}

impl Store for Generations {
    fn tables(&self) -> Tables {
        Tables::new().with(&LEFT).with(&RIGHT)
    }

    fn load(&self, tx: &mut Transaction<'_>) -> Result<(), BoxError> {
        let generation = self.0.fetch_add(1, Ordering::Relaxed);
        assert_eq!(tx.size(&LEFT) + tx.size(&RIGHT), 0, "a load begins with empty tables");
        tx.bulk_insert(&LEFT, (0..ROWS).map(|row| (row, generation)))?;
        match generation {
            n if fails(n) && n.is_multiple_of(20) => return Err("half is enough".into()),
            // Without the panic hook, which would print a thousand traces.
            n if fails(n) => std::panic::resume_unwind(Box::new("half is enough")),
            _ => {}
        }
        tx.bulk_insert(&RIGHT, (0..ROWS).map(|row| (row, generation)))?;
        Ok(())
    }
}

/// The one value that all rows of both tables have.
fn generation_of(snapshot: &Snapshot) -> u64 {
    let mut values: HashSet<u64> = snapshot.iter(&LEFT).map(|(_, value)| *value).collect();
    values.extend(snapshot.range(&RIGHT, ..ROWS).map(|(_, value)| *value));
    assert_eq!((snapshot.size(&LEFT), snapshot.size(&RIGHT)), (ROWS as usize, ROWS as usize));
    assert_eq!(values.len(), 1, "one version, over keys and tables");
    values.into_iter().next().unwrap()
}

#[test]
fn through_ten_thousand_reloads_of_which_a_tenth_fail() {
    let store = StoreHandle::open(Generations::default()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut seen, mut last) = (0u64, (0, 0));
                    while !done.load(Ordering::Acquire) || seen == 0 {
                        let snapshot = store.snapshot();
                        let now = (snapshot.version(), generation_of(&snapshot));
                        assert!(now.0 >= last.0 && now.1 >= last.1, "time does not run back");
                        assert_eq!(now.0 == last.0, now.1 == last.1 && seen > 0, "a version has one content");
                        assert!(!fails(now.1), "a failed load is never seen");
                        assert_eq!(now.1, generation_of(&snapshot), "a snapshot stays as it is");
                        (seen, last) = (seen + 1, now);
                        thread::yield_now();
                    }
                })
            })
            .collect();
        for generation in 1..=10_000 {
            let before = store.version();
            match store.reload() {
                Ok(version) => assert_eq!((version, fails(generation)), (before + 1, false)),
                Err(StoreError::Load { error, .. }) => assert_eq!(error.to_string(), "half is enough"),
                Err(StoreError::LoadPanicked { message, .. }) => assert_eq!(message, "half is enough"),
                Err(other) => panic!("{other}"),
            }
            if fails(generation) {
                assert_eq!(store.version(), before);
                assert_eq!(generation_of(&store.snapshot()), generation - 1, "the old data stay");
            }
        }
        done.store(true, Ordering::Release);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn a_write_to_two_tables_is_seen_whole_and_none_is_lost() {
    let store = StoreHandle::open(Generations::default()).unwrap();
    let (writers, writes) = (4, 500);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let snapshot = store.snapshot();
                assert_eq!(snapshot.get(&LEFT, &0), snapshot.get(&RIGHT, &0));
                thread::yield_now();
            }
        });
        let writers: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..writes {
                        let one_more = |held: Option<&u64>| held.unwrap_or(&0) + 1;
                        store
                            .write(|tx| -> Result<(), StoreError> {
                                tx.update(&LEFT, 0, one_more)?;
                                assert_eq!(
                                    tx.get(&LEFT, &0).copied(),
                                    tx.get(&RIGHT, &0).map(|held| held + 1)
                                );
                                tx.update(&RIGHT, 0, one_more)
                            })
                            .unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Release);
        reader.join().unwrap();
    });
    assert_eq!(store.snapshot().get(&LEFT, &0), Some(&(writers * writes)));
    assert_eq!(store.version(), 1 + writers * writes);
}

/// A store whose loads wait to be let go on.
struct Gate {
    entered: mpsc::SyncSender<()>,
    go_on: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Store for Gate {
    fn tables(&self) -> Tables {
        Tables::new().with(&LEFT)
    }

    fn load(&self, _: &mut Transaction<'_>) -> Result<(), BoxError> {
        self.entered.send(())?;
        self.go_on.lock().unwrap().recv()?;
        Ok(())
    }
}

#[test]
fn a_write_that_meets_a_reload_is_not_lost_and_readers_do_not_wait() {
    let (entered, entries) = mpsc::sync_channel(2);
    let (go_on, gate) = mpsc::sync_channel(2);
    go_on.send(()).unwrap();
    let store = StoreHandle::open(Gate { entered, go_on: gate.into() }).unwrap();
    entries.recv().unwrap();
    store.put(&LEFT, 1, 1).unwrap();
    thread::scope(|scope| {
        let reload = scope.spawn(|| store.reload());
        entries.recv().unwrap();
        // The load is under way: a write waits for it, a read does not.
        let (started, begins) = mpsc::sync_channel(1);
        let write = scope.spawn({
            let store = &store;
            move || {
                started.send(()).unwrap();
                store.put(&LEFT, 2, 2)
            }
        });
        begins.recv().unwrap();
        assert_eq!(store.get(&LEFT, &1).as_deref(), Some(&1));
        assert_eq!(store.get(&LEFT, &2), None);
        go_on.send(()).unwrap();
        reload.join().unwrap().unwrap();
        write.join().unwrap().unwrap();
    });
    // The first was there before the reload, which replaced it; the second came after.
    let rows: Vec<_> = store.snapshot().iter(&LEFT).map(|(key, value)| (*key, *value)).collect();
    assert_eq!(rows, [(2, 2)]);
}

#[test]
fn a_write_inside_a_write_is_an_error() {
    let store = StoreHandle::open(Generations::default()).unwrap();
    let other = StoreHandle::open(Generations::default()).unwrap();
    store
        .write(|tx| -> Result<(), StoreError> {
            let error = store.put(&LEFT, 0, 7).unwrap_err();
            assert!(matches!(error, StoreError::NestedWrite { .. }));
            assert_eq!(
                error.to_string(),
                "store `Generations` is being written by this very thread: a write inside a write\n  \
                 hint: use the transaction that the closure was given"
            );
            assert!(matches!(store.reload(), Err(StoreError::NestedWrite { .. })));
            other.put(&LEFT, 0, 7)?;
            tx.put(&LEFT, 0, 8)
        })
        .unwrap();
    assert_eq!((store.get(&LEFT, &0).as_deref(), other.get(&LEFT, &0).as_deref()), (Some(&8), Some(&7)));
    store.put(&LEFT, 0, 9).unwrap();
}

#[test]
fn a_write_that_fails_or_panics_changes_nothing_and_poisons_nothing() {
    let store = StoreHandle::open(Generations::default()).unwrap();
    let failed = store.write(|tx| -> Result<(), BoxError> {
        tx.delete(&LEFT, &0)?;
        Err("no".into())
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.write(|tx| -> Result<(), StoreError> {
            tx.delete(&LEFT, &0)?;
            std::panic::resume_unwind(Box::new("no"))
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((store.version(), generation_of(&store.snapshot())), (1, 0));
    store.put(&LEFT, 0, 1).unwrap();
    assert_eq!(store.version(), 2);
}

/// Says on which thread it was dropped.
struct Witness(mpsc::SyncSender<Option<String>>);

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().name().map(str::to_owned));
    }
}

const WITNESSES: Table<u8, Witness> = Table::set("witnesses");

struct Witnesses;

impl Store for Witnesses {
    fn tables(&self) -> Tables {
        Tables::new().with(&WITNESSES)
    }
}

#[test]
fn a_snapshot_keeps_its_version_and_its_last_reader_does_not_pay_for_freeing_it() {
    let (dropped, drops) = mpsc::sync_channel(1);
    let store = StoreHandle::open(Witnesses).unwrap();
    store.put(&WITNESSES, 0, Witness(dropped)).unwrap();
    let (snapshot, clone) = (store.snapshot(), store.snapshot());
    store.reload().unwrap();
    assert_eq!(store.size(&WITNESSES), 0);
    drop(snapshot);
    assert!(clone.get(&WITNESSES, &0).is_some());
    assert!(drops.try_recv().is_err());
    drop(clone);
    let thread = drops.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(thread.as_deref(), Some("slither-reaper"));
}
