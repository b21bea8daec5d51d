//! The writer's place: one writer at a time, who is told rather than stuck when it comes again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A number of this thread's own; never 0.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}

/// Who may write.
#[derive(Debug, Default)]
pub(super) struct Writer {
    turn: Mutex<()>,
    /// The thread that holds `turn`; 0 when none does. A thread finds its own number here only if it put it
    /// there, so no ordering between threads is needed.
    holder: AtomicU64,
}

impl Writer {
    /// Waits for the place; none if this thread holds it already.
    pub(super) fn enter(&self) -> Option<Place<'_>> {
        let me = this_thread();
        if self.holder.load(Ordering::Relaxed) == me {
            return None;
        }
        // A write that panicked has changed nothing that others see: its poison means nothing.
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder.store(me, Ordering::Relaxed);
        Some(Place { writer: self, _turn: turn })
    }
}

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    writer: &'a Writer,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.writer.holder.store(0, Ordering::Relaxed);
    }
}
