//! What can go wrong with an item, a batch or a call, as one word each: [`ErrorKind`].

use std::fmt;

use serde::Serialize;

/// What kind of thing went wrong with an item, a batch or a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The user's Python function raised.
    Exception,
    /// The Python function returned `slither.Failed` for this item.
    Failed,
    /// The Python function raised `slither.Retry`, or returned it for this item.
    Retry,
    /// The result has the wrong shape: another length, `None`, not a list.
    Contract,
    /// A value cannot travel between Rust and Python.
    Value,
    /// A value or a reply is larger than the cap.
    TooLarge,
    /// The module or the function could not be imported.
    Import,
    /// Bytes from the other side could not be decoded into the expected type.
    Decode,
    /// The worker died while it ran the batch.
    Crash,
    /// Memory ran out: Python raised `MemoryError`, and the worker lives; or the kernel killed the worker for it,
    /// and the error's [`worker`](super::ItemError::worker) says so.
    OutOfMemory,
    /// The batch ran past its deadline.
    Timeout,
    /// Another call of the same worker brought it down, or ran past its deadline: what shares a process with others
    /// can be lost with them.
    Collateral,
    /// The worker broke the protocol.
    Protocol,
    /// The pool has failed or is shut down, and takes no more work.
    Pool,
    /// The pool's [`Breaker`](crate::Breaker) is open: calls fail at once until it has tried again.
    Unavailable,
    /// A view asked a pool for a worker that waits for this view itself, and no other was free.
    Refused,
    /// The session's worker died, and what Python kept in it is gone; or the worker that held a Python object.
    SessionLost,
    /// The worker of a session that fails fast has something else to do.
    SessionBusy,
    /// The session was closed or dropped, or was idle for too long.
    SessionEnded,
    /// The pool has as many sessions as it may have.
    SessionLimit,
    /// A Rust stage returned an error or panicked.
    Handler,
}

impl ErrorKind {
    /// The kind as one snake-case word, as it stands in JSON, logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exception => "exception",
            Self::Failed => "failed",
            Self::Retry => "retry",
            Self::Contract => "contract",
            Self::Value => "value",
            Self::TooLarge => "too_large",
            Self::Import => "import",
            Self::Decode => "decode",
            Self::Crash => "crash",
            Self::OutOfMemory => "out_of_memory",
            Self::Timeout => "timeout",
            Self::Collateral => "collateral",
            Self::Protocol => "protocol",
            Self::Pool => "pool",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::SessionLost => "session_lost",
            Self::SessionBusy => "session_busy",
            Self::SessionEnded => "session_ended",
            Self::SessionLimit => "session_limit",
            Self::Handler => "handler",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
