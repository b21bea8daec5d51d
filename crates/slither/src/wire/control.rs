//! Packets between the host and the nursery: msgpack maps, named by `op`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::message::RemoteError;

/// Bytes of a packet, at most.
pub(crate) const MAX_PACKET: usize = 60 * 1024;

/// What a pool tells its nursery once.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) path: Vec<PathBuf>,
    pub(crate) overlay: Option<PathBuf>,
    pub(crate) preload: Vec<String>,
    pub(crate) max_frame: usize,
    pub(crate) start: &'static str,
    pub(crate) host: u32,
    pub(crate) log_level: u32,
    /// Bytes of address space that a worker may have.
    pub(crate) memory_limit: Option<u64>,
    pub(crate) profile: Profile,
    /// The class that each worker builds.
    pub(crate) adapter: Option<SetupAdapter>,
}

/// Which class, and whether its threads are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SetupAdapter {
    pub(crate) name: String,
    /// `off`, `warn` or `strict`.
    pub(crate) check: &'static str,
}

/// How a worker runs its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Profile {
    /// One at a time.
    Process,
    /// In so many threads, as far as the GIL lets them.
    Thread { threads: usize, io_bound: bool },
    /// So many coroutines in one event loop.
    Async { concurrency: usize },
}

impl Profile {
    /// Slots of the black box: one for each thread that runs calls, and for each coroutine.
    pub(crate) fn boxes(self) -> usize {
        match self {
            Self::Process => 1,
            Self::Thread { threads, .. } => threads,
            Self::Async { concurrency } => concurrency + 1,
        }
    }

    /// Whether calls can be ended that have begun: they are coroutines.
    pub(crate) fn cancels(self) -> bool {
        matches!(self, Self::Async { .. })
    }

    /// How many calls a worker takes at once at most.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Process => 1,
            Self::Thread { threads, .. } => threads,
            Self::Async { concurrency } => concurrency,
        }
    }
}

/// Host to nursery.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum ToNursery {
    /// The first packet.
    Setup(Setup),
    /// Start a worker; the descriptors travel with the packet.
    Start { epoch: u64, slot: usize },
    /// Stop everything.
    Stop { grace_ms: u64 },
}

/// Nursery to host.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum FromNursery {
    /// Preloads are imported; workers can be started.
    Ready {
        pid: u32,
        python: String,
        implementation: String,
        gil: bool,
        #[serde(default)]
        gil_build: bool,
        #[serde(default)]
        gil_by: Option<String>,
        start: String,
        reason: Option<String>,
    },
    /// A preload cannot be imported; the nursery exits.
    Failed { error: RemoteError },
    /// A worker was started; its pidfd travels with the packet.
    Started { epoch: u64, pid: u32 },
    /// A worker could not be started.
    StartFailed { epoch: u64, message: String },
    /// A worker and its group are gone. `max_rss`: the most bytes that it ever occupied.
    Exited {
        epoch: u64,
        code: Option<i32>,
        signal: Option<i32>,
        #[serde(default)]
        max_rss: Option<u64>,
    },
}

impl ToNursery {
    /// The packet's bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        crate::codec::encode(self, &mut bytes)?;
        match bytes.len() {
            len if len > MAX_PACKET => {
                Err(format!("a control packet takes {len} bytes, more than {MAX_PACKET}"))
            }
            _ => Ok(bytes),
        }
    }
}

impl FromNursery {
    /// Reads a packet.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        crate::codec::decode(bytes)
    }
}
