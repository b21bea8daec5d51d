//! What can go wrong with a store at work.

use crate::error::ConfigError;

/// Any error, for code that only passes it on: what [`Store::load`](super::Store::load) returns.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a write or a reload changed nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store declares no such table, or declares it with another kind or other types.
    #[error(transparent)]
    Table(ConfigError),
    /// A write was begun inside a write or a load of the same store, on the same thread.
    #[error(
        "store `{store}` is being written by this very thread: a write inside a write\n  hint: use the transaction that the closure was given"
    )]
    NestedWrite {
        /// The store's name.
        store: String,
    },
    /// `load` returned an error.
    #[error("store `{store}` could not be loaded: {error}")]
    Load {
        /// The store's name.
        store: String,
        /// What `load` returned.
        error: BoxError,
    },
    /// `load` panicked.
    #[error("store `{store}` could not be loaded: `load` panicked: {message}")]
    LoadPanicked {
        /// The store's name.
        store: String,
        /// The panic's message.
        message: String,
    },
}

impl From<StoreError> for ConfigError {
    /// What stops a store at work stops the program where it starts.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Table(error) => error,
            other => Self::new(other.to_string()),
        }
    }
}

/// The message a panic was raised with.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    crate::error::panic_text(panic).unwrap_or("without a message").to_owned()
}
