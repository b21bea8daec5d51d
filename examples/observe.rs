//! How an example tells how far it is, and learns that it should stop.

use std::sync::Arc;

use slither::python::Progress;
use tokio::sync::watch;

/// Told about the progress of an example.
pub trait Observer: Send + Sync {
    /// A step begins, of so many items if that is known.
    fn step(&self, what: &str, items: Option<u64>);

    /// So many items of the step are done.
    fn advance(&self, items: u64);

    /// Something that a person should know now.
    fn note(&self, line: &str);
}

/// Passes on what is installed before an example starts, and gives it up when the example is to stop.
pub(crate) struct Provision {
    observer: Arc<dyn Observer>,
    stop: Stop,
}

impl Provision {
    pub(crate) fn new(observer: Arc<dyn Observer>, stop: Stop) -> Self {
        Self { observer, stop }
    }
}

impl Progress for Provision {
    fn line(&self, line: &str) {
        self.observer.note(line);
    }

    fn cancelled(&self) -> bool {
        self.stop.is_requested()
    }
}

/// Says when no more input should be pulled: what is under way is still finished and reported.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Stops when the sender says `true`, and never if it is dropped.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Ready when it is time to stop.
    pub async fn requested(mut self) {
        if self.0.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it is time to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
