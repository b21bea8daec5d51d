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

type Remains = Box<[Arc<dyn AnyRows>]>;

static REAPER: LazyLock<Option<SyncSender<Remains>>> = LazyLock::new(|| {
    let (sender, receiver) = sync_channel::<Remains>(CAPACITY);
    let reap = move || {
        for remains in receiver {
            // A panic in the destructor of a user's value must not end the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(remains)));
        }
    };
    let started = std::thread::Builder::new().name("slither-reaper".to_owned()).spawn(reap);
    started.ok().map(|_| sender)
});

/// Drops what is left of a version: on the reaper's thread, or here if that has too much to do.
///
/// It never blocks, so that the reaper itself may come here, through a value that holds a snapshot.
pub(super) fn bury(remains: Remains) {
    if remains.is_empty() {
        return;
    }
    match &*REAPER {
        None => drop(remains),
        Some(reaper) => match reaper.try_send(remains) {
            Ok(()) => {}
            Err(TrySendError::Full(remains) | TrySendError::Disconnected(remains)) => drop(remains),
        },
    }
}
