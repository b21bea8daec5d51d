//! An example run as the command runs it, watched and stopped by a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use slither_examples::{Observer, Report, Settings, Stop, find, run};

/// Asks for a stop once `enough` says so.
struct Until<F> {
    step: Mutex<String>,
    items: AtomicU64,
    enough: F,
    stop: tokio::sync::watch::Sender<bool>,
}

impl<F: Fn(&str, u64) -> bool> Until<F> {
    fn look(&self) {
        let step = self.step.lock().expect("nothing panics while it is held");
        if (self.enough)(&step, self.items.load(Ordering::SeqCst)) {
            self.stop.send_replace(true);
        }
    }
}

impl<F: Fn(&str, u64) -> bool + Send + Sync> Observer for Until<F> {
    fn step(&self, what: &str, _: Option<u64>) {
        what.clone_into(&mut self.step.lock().expect("nothing panics while it is held"));
        self.look();
    }

    fn advance(&self, items: u64) {
        self.items.fetch_add(items, Ordering::SeqCst);
        self.look();
    }

    fn note(&self, _: &str) {}
}

/// Runs an example; asks it to stop when `enough` holds of the step that it is at and of the items that have
/// advanced so far.
pub(crate) async fn run_until(
    name: &str,
    settings: Settings,
    enough: impl Fn(&str, u64) -> bool + Send + Sync + 'static,
) -> Result<Report, String> {
    let (sender, stop) = Stop::new();
    let until = Until { step: Mutex::default(), items: AtomicU64::new(0), enough, stop: sender };
    let example = find(name).map_err(|error| error.to_string())?;
    run(example, settings, Arc::new(until), stop).await.map_err(|error| error.to_string())
}

/// The checks that do not hold.
pub(crate) fn broken(report: &Report) -> Vec<String> {
    let broken = report.checks.iter().filter(|check| !check.ok);
    broken.map(|check| format!("{}: {} {}", check.name, check.expected, check.actual)).collect()
}
