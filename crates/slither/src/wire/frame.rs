//! The header of a frame: 16 bytes that say how long it is, what it is, and which call it is about.

use thiserror::Error;

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;

/// `CALL`, `EXECUTE`, `OPEN_SESSION`, `END_SESSION`: the worker must win the token before it runs this.
pub(crate) const CLAIM: u8 = 1;
/// `CALL` and `EXECUTE`: the host takes `PARTIAL` frames before the answer.
pub(crate) const STREAM: u8 = 2;
/// The values of a stream that may be on their way to who takes them.
pub(crate) const AHEAD_VALUES: usize = 32;
/// On CALL: a fault goes with it.
pub(crate) const CHAOS: u8 = 4;
/// `RESULT` and `PARTIAL`: the body is a pair of results and failures.
pub(crate) const FAILED: u8 = 1;
/// `RESULT`: it holds references, and waits for `KEEP_REFS`.
pub(crate) const REFS: u8 = 2;
/// `VIEW`: the arguments are an array of maps.
pub(crate) const MANY: u8 = 1;
/// `VIEW_REPLY`: the body is an error.
pub(crate) const VIEW_ERROR: u8 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, flags $flags:expr;)*) => {
        /// What a frame is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[$doc])* $name = $code,)*
        }

        impl Kind {
            fn parse(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Whether it is a worker that sends it.
            fn is_workers(self) -> bool {
                self as u8 >= 32
            }

            fn allowed_flags(self) -> u8 {
                match self {
                    $(Self::$name => $flags,)*
                }
            }
        }
    };
}

kinds! {
    /// Run a batch.
    Call = 1, flags CLAIM | STREAM | CHAOS;
    /// Run one call.
    Execute = 2, flags CLAIM | STREAM;
    /// Import a function.
    Bind = 3, flags 0;
    /// The answer to a view call.
    ViewReply = 4, flags VIEW_ERROR;
    /// Finish and exit.
    Stop = 5, flags 0;
    /// Keep state for a session from now on.
    OpenSession = 6, flags CLAIM;
    /// Run a session's end hooks and forget its state.
    EndSession = 7, flags CLAIM;
    /// Which references of a result the host keeps.
    KeepRefs = 8, flags 0;
    /// References that the host has dropped.
    DropRefs = 9, flags 0;
    /// The host wants a call to end.
    Cancel = 10, flags 0;
    /// The host wants to know where a task awaits.
    Dump = 11, flags 0;
    /// The host has taken values of a stream.
    More = 12, flags 0;
    /// The first frame of a worker.
    Hello = 32, flags 0;
    /// What a call gave.
    Result = 33, flags FAILED | REFS;
    /// A call failed as a whole.
    Error = 34, flags 0;
    /// Python calls a view.
    View = 35, flags MANY;
    /// A record of Python's `logging`.
    Log = 36, flags 0;
    /// A function was imported.
    Bound = 37, flags 0;
    /// A frame that the host took back was forgotten.
    Skipped = 38, flags 0;
    /// What a running call has yielded.
    Partial = 39, flags FAILED;
    /// How far a running call is.
    Progress = 40, flags 0;
    /// How many calls a worker takes has changed.
    Capacity = 41, flags 0;
}

/// How the bytes from the other side break `docs/PROTOCOL.md`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// The claimed length is above the cap; it was not allocated.
    #[error("a frame claims {length} bytes, more than the cap of {cap}")]
    TooLong { length: u64, cap: usize },
    /// No such kind of frame.
    #[error("unknown kind of frame {0}")]
    UnknownKind(u8),
    /// A flag that this kind does not have.
    #[error("a {kind:?} frame has unknown flags {flags:#04x}")]
    UnknownFlags { kind: Kind, flags: u8 },
    /// Out-of-band segments, which version 1 does not have.
    #[error("a frame refers to {0} segments; this version knows none")]
    Segments(u16),
    /// The stream ended inside a frame.
    #[error("the stream ended {missing} bytes before the end of a frame")]
    Truncated { missing: usize },
    /// The body is not what its kind says.
    #[error("the body of a {kind:?} frame cannot be read: {reason}")]
    Body { kind: Kind, reason: String },
    /// A call was refused that had not been taken back.
    #[error("it refused call {id}, which was its own")]
    Refused { id: u64 },
    /// A call was answered that may still be taken back.
    #[error("it answered call {id}, which it had not claimed")]
    Unclaimed { id: u64 },
    /// A frame that this side never receives, or not now.
    #[error("a {kind:?} frame was not expected here")]
    Unexpected { kind: Kind },
}

/// A parsed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of body.
    pub(crate) length: usize,
    /// What the frame is.
    pub(crate) kind: Kind,
    /// See the constants of this module.
    pub(crate) flags: u8,
    /// The call, or for `VIEW` the view call.
    pub(crate) id: u64,
}

impl Header {
    /// Reads the header of a frame from a worker; `cap` bounds the body.
    pub(crate) fn parse(bytes: &[u8; HEADER], cap: usize) -> Result<Self, WireError> {
        let [l0, l1, l2, l3, kind, flags, s0, s1, id @ ..] = *bytes;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let kind = Kind::parse(kind).ok_or(WireError::UnknownKind(kind))?;
        if !kind.is_workers() {
            return Err(WireError::Unexpected { kind });
        }
        if flags & !kind.allowed_flags() != 0 {
            return Err(WireError::UnknownFlags { kind, flags });
        }
        match u16::from_le_bytes([s0, s1]) {
            0 => {}
            segments => return Err(WireError::Segments(segments)),
        }
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= cap)
            .ok_or(WireError::TooLong { length: u64::from(length), cap })?;
        if kind == Kind::Skipped && length > 0 {
            let reason = format!("it has none, and {length} bytes were announced");
            return Err(WireError::Body { kind, reason });
        }
        Ok(Self { length, kind, flags, id: u64::from_le_bytes(id) })
    }

    /// The bytes of the header.
    pub(crate) fn bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        // A length above u32 cannot be built: every body is compared with a cap of at most 1 GiB first.
        bytes[..4].copy_from_slice(&u32::try_from(self.length).unwrap_or(u32::MAX).to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.flags;
        bytes[8..].copy_from_slice(&self.id.to_le_bytes());
        bytes
    }
}
