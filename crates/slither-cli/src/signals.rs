//! Ctrl-C and SIGTERM: the first asks to finish what is under way, the second ends at once.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};

use slither_examples::Stop;
use tokio::signal::unix::{SignalKind, signal};

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Terminal,
    /// SIGTERM.
    Terminated,
}

static SEEN: AtomicU8 = AtomicU8::new(0);

/// The first signal that came, if any has.
pub(crate) fn seen() -> Option<Interrupt> {
    match SEEN.load(Ordering::Relaxed) {
        0 => None,
        1 => Some(Interrupt::Terminal),
        _ => Some(Interrupt::Terminated),
    }
}

/// Runs `work` with a stop that the first signal requests. The second signal drops the work, and with it every
/// worker; then there is no result.
pub(crate) fn guarded<T, F: Future<Output = T>>(
    work: impl FnOnce(Stop) -> F,
) -> std::io::Result<Result<T, Interrupt>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let (sender, stop) = Stop::new();
        let work = work(stop);
        tokio::pin!(work);
        loop {
            let which = tokio::select! {
                result = &mut work => return Ok(Ok(result)),
                _ = interrupts.recv() => Interrupt::Terminal,
                _ = terminations.recv() => Interrupt::Terminated,
            };
            if seen().is_some() {
                return Ok(Err(which));
            }
            SEEN.store(1 + which as u8, Ordering::Relaxed);
            crate::progress::above(|| {
                crate::print::note("stopping: finishing what is under way; once more to end at once");
            });
            // The work listens for as long as it is there.
            let _ = sender.send(true);
        }
    })
}
