//! The file that failures are written to: [`DeadLetters`].

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::line;
use crate::error::ConfigError;
use crate::item::Failure;
use crate::value::Timestamp;

/// Failures that wait to be written, and how large their payloads may be together. One that is larger goes alone.
const QUEUE: usize = 1024;
const QUEUED_BYTES: usize = 16 << 20;
/// What is known of a failure beside its payload: a guess, which only bounds.
const BESIDE: usize = 4096;
/// So much is written at once, if so much is there.
const AT_ONCE: usize = 64 << 10;

/// A file of dead letters, one failure a line, appended to. Cheap to clone; the clones share the file.
///
/// A thread of its own encodes and writes, so that the runtime is not held up. Each line that has been written is
/// whole whatever becomes of the host, and is found by a reader; [`close`](Self::close) waits for those that have not
/// been, and says whether all went well. If the last clone is dropped instead, they are written by and by, if the
/// process lives.
#[derive(Clone)]
pub struct DeadLetters {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// None once closed.
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    room: Arc<Semaphore>,
    ended: watch::Receiver<Option<Written>>,
}

struct Queued {
    failure: Failure,
    time: Timestamp,
    _room: OwnedSemaphorePermit,
}

/// How the writing went.
#[derive(Debug, Clone, Default)]
struct Written {
    letters: u64,
    lost: u64,
    /// The first error.
    error: Option<String>,
}

impl DeadLetters {
    /// Appends to a file, which is made if it is not there, for its owner alone to read and write: payloads may be
    /// anything. A last line that was not written to its end is left as it is, and the letters begin behind it.
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn append(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let refuse = |error: io::Error| {
            ConfigError::new(format!("the dead letters {} cannot be written: {error}", path.display()))
                .hint("name a file in a folder that exists and may be written to")
        };
        let file = open(&path).map_err(refuse)?;
        let (queue, queued) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(None);
        let thread = std::thread::Builder::new().name("slither-letters".to_owned());
        thread.spawn(move || end.send_replace(Some(run(file, queued)))).map_err(refuse)?;
        let room = Arc::new(Semaphore::new(QUEUED_BYTES));
        Ok(Self { shared: Arc::new(Shared { path, queue: Mutex::new(Some(queue)), room, ended }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes a failure; ready when the letter is on its way to the file, waits while 1024 letters or 16 MiB of
    /// payloads are before it.
    ///
    /// # Errors
    /// If the letters are closed, or their thread is gone. What goes wrong in writing is told by
    /// [`close`](Self::close).
    ///
    /// # Cancellation
    /// The letter is not written.
    pub async fn write(&self, failure: &Failure) -> io::Result<()> {
        let closed =
            || io::Error::other(format!("the dead letters {} are closed", self.shared.path.display()));
        let queue = self.queue().clone().ok_or_else(closed)?;
        let size = failure.payload.as_ref().map_or(0, |payload| payload.as_msgpack().len()) + BESIDE;
        let permits = u32::try_from(size.min(QUEUED_BYTES)).unwrap_or(u32::MAX);
        let room = self.shared.room.clone().acquire_many_owned(permits).await.map_err(|_| closed())?;
        let queued = Queued { failure: failure.clone(), time: SystemTime::now().into(), _room: room };
        queue.send(queued).await.map_err(|_| closed())
    }

    /// Writes failures in their order, as [`write`](Self::write) does.
    ///
    /// # Errors
    /// As for [`write`](Self::write); those before are written.
    ///
    /// # Cancellation
    /// Those that have not been handed over are not written.
    pub async fn write_all<'a>(&self, failures: impl IntoIterator<Item = &'a Failure>) -> io::Result<()> {
        for failure in failures {
            self.write(failure).await?;
        }
        Ok(())
    }

    /// Takes no more letters, waits until those before are on the disk, and returns how many were written since
    /// [`append`](Self::append). Closes every clone; may be called again.
    ///
    /// # Errors
    /// If any could not be written: how many, and the first reason.
    ///
    /// # Cancellation
    /// The letters are closed, and written without being waited for.
    pub async fn close(&self) -> io::Result<u64> {
        self.queue().take();
        let mut ended = self.shared.ended.clone();
        let gone = |_| io::Error::other("the thread that writes the dead letters panicked");
        let written = ended.wait_for(Option::is_some).await.map_err(gone)?.clone().unwrap_or_default();
        match written.error {
            None => Ok(written.letters),
            Some(reason) => {
                let (path, all) = (self.shared.path.display(), written.letters + written.lost);
                Err(io::Error::other(format!(
                    "{path}: {} of {all} dead letters could not be written: {reason}",
                    written.lost
                )))
            }
        }
    }

    /// The data behind the lock are whole at every step.
    fn queue(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Queued>>> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Writes what comes until nothing more can come. Whole lines are handed to the system at once, and nothing is held
/// back: what was written outlives the host.
fn run(mut file: impl Sink, mut queued: mpsc::Receiver<Queued>) -> Written {
    let mut written = Written::default();
    let mut lines = Vec::new();
    // Something was written of a line, and not its end.
    let mut torn = false;
    while let Some(first) = queued.blocking_recv() {
        lines.clear();
        if torn {
            lines.push(b'\n');
        }
        let mut count = 0;
        let mut next = Some(first);
        while let Some(Queued { failure, time, _room }) = next {
            match line::write(&failure, time, &mut lines) {
                Ok(()) => count += 1,
                Err(error) => written.lose(1, &error),
            }
            next = if lines.len() < AT_ONCE { queued.try_recv().ok() } else { None };
        }
        match file.write_all(&lines) {
            Ok(()) => (written.letters, torn) = (written.letters + count, false),
            Err(error) => {
                written.lose(count, &error);
                torn = true;
            }
        }
        lines.shrink_to(AT_ONCE);
    }
    if let Err(error) = file.sync()
        && written.error.is_none()
    {
        written.lose(0, &error);
    }
    written
}

impl Written {
    fn lose(&mut self, letters: u64, error: &io::Error) {
        self.lost += letters;
        self.error.get_or_insert_with(|| error.to_string());
    }
}

/// A file, or what stands for one in tests.
trait Sink: Write {
    fn sync(&self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&self) -> io::Result<()> {
        match self.metadata()?.is_file() {
            true => self.sync_data(),
            // A pipe or a terminal has no disk.
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ItemError};
    use crate::item::{Fall, Item};
    use crate::letters::LetterReader;

    fn failure(id: u64) -> Failure {
        let error = ItemError::new(ErrorKind::Failed, "broken");
        let fall = Fall { error, batch: Arc::from([]), attempts: 1, payload: None };
        Failure::new(Item::new(id, ()), fall, None)
    }

    /// Takes so many bytes, then is full for one write, then takes all.
    struct Full {
        room: usize,
        refused: bool,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 && !self.refused {
                self.refused = true;
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            let count = if self.refused { bytes.len() } else { bytes.len().min(self.room) };
            self.room -= count.min(self.room);
            self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Full {
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_what_fits_is_written_whole_and_what_did_not_is_counted() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let room = Arc::new(Semaphore::new(8));
        let (send, queued) = mpsc::channel(8);
        let full = Full { room: 10, refused: false, written: bytes.clone() };
        let thread = std::thread::spawn(move || run(full, queued));
        let put = |id| {
            let _room = room.clone().try_acquire_owned().unwrap();
            assert!(
                send.try_send(Queued { failure: failure(id), time: SystemTime::now().into(), _room }).is_ok()
            );
        };
        put(0);
        // The first is on its own when its permit is free again.
        while room.available_permits() < 8 || bytes.lock().unwrap().len() < 10 {
            std::thread::yield_now();
        }
        put(1);
        drop(send);
        let written = thread.join().unwrap();
        assert_eq!(written.lost + written.letters, 2);
        assert!(written.lost >= 1);
        assert_eq!(written.error.as_deref(), Some("no storage space"));
        let bytes = bytes.lock().unwrap();
        let read: Vec<_> = LetterReader::new(&bytes[..]).collect();
        assert!(read[0].is_err());
        assert_eq!(read.iter().filter(|letter| letter.is_ok()).count() as u64, written.letters);
    }
}
