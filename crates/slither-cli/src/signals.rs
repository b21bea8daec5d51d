//! Ctrl-C and SIGTERM: the first asks to finish what is under way, the second ends at once.

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use slither::ConfigError;
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

/// How long threads may linger when the work is over.
const LINGER: Duration = Duration::from_secs(1);

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
///
/// # Errors
/// If the runtime cannot be started.
pub(crate) fn guarded<T, F: Future<Output = T>>(
    work: impl FnOnce(Stop) -> F,
) -> Result<Result<T, Interrupt>, ConfigError> {
    run(work).map_err(|error| ConfigError::new(format!("the runtime cannot be started: {error}")))
}

fn run<T, F: Future<Output = T>>(work: impl FnOnce(Stop) -> F) -> std::io::Result<Result<T, Interrupt>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
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
            crate::print::note("stopping: finishing what is under way; once more to end at once");
            // The work listens for as long as it is there.
            let _ = sender.send(true);
        }
    });
    // Whoever asked twice does not wait for a thread that, say, reads a slow disk.
    runtime.shutdown_timeout(LINGER);
    result
}
