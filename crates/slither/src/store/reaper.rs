//! Frees old versions off the path of whoever let go of them last.
//!
//! To free a million rows takes a quarter of a second, and the last to hold a version may be a reader. One
//! thread for all stores, begun when it is first needed, does it instead. At most [`CAPACITY`] versions wait
//! for it; beyond that, or if the thread could not be started, they are freed on the spot: memory stays
//! bounded, and the reader pays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};

use super::rows::AnyRows;

/// How many versions may wait to be freed.
const CAPACITY: usize = 256;

/// What is left of a version.
type Remains = Box<[Arc<dyn AnyRows>]>;

static REAPER: LazyLock<Reaper> = LazyLock::new(|| Reaper::start(CAPACITY));

/// Drops what is left of a version: on the reaper's thread, or here if that has too much to do.
pub(super) fn bury(remains: Remains) {
    if !remains.is_empty() {
        REAPER.bury(remains);
    }
}

/// The way to the thread; none if it could not be started.
struct Reaper(Option<SyncSender<Remains>>);

impl Reaper {
    fn start(capacity: usize) -> Self {
        let (sender, receiver) = sync_channel::<Remains>(capacity);
        let reap = move || {
            for remains in receiver {
                // A panic in the destructor of a user's value must not end the thread.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(remains)));
            }
        };
        let started = std::thread::Builder::new().name("slither-reaper".to_owned()).spawn(reap);
        Self(started.ok().map(|_| sender))
    }

    /// Never blocks, so that the reaper itself may come here, through a value that holds a snapshot.
    fn bury(&self, remains: Remains) {
        match self.0.as_ref().map(|reaper| reaper.try_send(remains)) {
            // Without a thread the closure above is never run, and drops what it holds.
            None | Some(Ok(())) => {}
            Some(Err(TrySendError::Full(remains) | TrySendError::Disconnected(remains))) => drop(remains),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;
    use std::thread::{self, ThreadId};

    use super::super::rows::{Rows, SetRows};
    use super::*;

    /// Says where it is dropped, and waits until it may be gone.
    struct Slow(SyncSender<ThreadId>, Mutex<Receiver<()>>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
            let _ = self.1.lock().map(|gate| gate.recv());
        }
    }

    struct Fuse;

    impl Drop for Fuse {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("a destructor that panics"));
        }
    }

    fn remains<V: Send + Sync + 'static>(value: V) -> Remains {
        let mut rows = SetRows::default();
        rows.insert(0u8, Arc::new(value));
        Box::new([Arc::new(rows)])
    }

    #[test]
    fn beyond_its_capacity_a_version_is_freed_on_the_spot() {
        let reaper = Reaper::start(2);
        let (dropped, drops) = sync_channel(1);
        let slow = || {
            let (open, gate) = sync_channel(1);
            (open, remains(Slow(dropped.clone(), gate.into())))
        };
        let (open, first) = slow();
        reaper.bury(first);
        let reapers = drops.recv().unwrap();
        assert_ne!(reapers, thread::current().id());

        // The reaper is stuck: two wait for it, and the third is freed here.
        reaper.bury(remains(()));
        reaper.bury(remains(()));
        let (free, third) = slow();
        free.send(()).unwrap();
        reaper.bury(third);
        assert_eq!(drops.recv().unwrap(), thread::current().id());
        open.send(()).unwrap();
    }

    #[test]
    fn a_destructor_that_panics_does_not_end_it() {
        let reaper = Reaper::start(2);
        reaper.bury(remains(Fuse));
        let (dropped, drops) = sync_channel(1);
        let (_, gate) = sync_channel(1);
        reaper.bury(remains(Slow(dropped, gate.into())));
        assert_ne!(drops.recv().unwrap(), thread::current().id());
    }
}
