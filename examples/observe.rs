//! How an example tells how far it is, and learns that it should stop.

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

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn step(&self, _: &str, _: Option<u64>) {}

    fn advance(&self, _: u64) {}

    fn note(&self, _: &str) {}
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
