//! The bare loop: a thread a worker, a blocking socket, the same codec, and nothing of Slither.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use slither::python::Environment;

use crate::{Fallible, python_folder};

/// Items in a batch.
const ITEMS: u64 = 64;

/// Two Python processes that answer frames of a length and a msgpack list.
#[derive(Debug)]
pub(crate) struct Raw {
    workers: Vec<(Child, UnixStream)>,
}

impl Raw {
    pub(crate) fn start(environment: &Environment, workers: usize) -> Fallible<Self> {
        let path = environment.sys_path().map(|folder| folder.to_path_buf()).chain([python_folder()]);
        let path = std::env::join_paths(path)?;
        let mut started = Vec::new();
        for _ in 0..workers {
            let (ours, theirs) = UnixStream::pair()?;
            let child = Command::new(&environment.interpreter.executable)
                .arg(python_folder().join("raw_echo.py"))
                .env("PYTHONPATH", &path)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .spawn()?;
            started.push((child, ours));
        }
        Ok(Self { workers: started })
    }

    /// Sends `batches` batches with `depth` of them on their way to each worker.
    pub(crate) fn round(&mut self, batches: u64, depth: u64) -> Fallible<Duration> {
        let left = AtomicU64::new(batches);
        let begun = Instant::now();
        thread::scope(|scope| {
            let drivers: Vec<_> = self
                .workers
                .iter_mut()
                .map(|(_, socket)| scope.spawn(|| drive(socket, &left, depth)))
                .collect();
            drivers.into_iter().try_for_each(|driver| driver.join().map_err(|_| "a driver panicked")?)
        })?;
        Ok(begun.elapsed())
    }
}

fn drive(socket: &mut UnixStream, left: &AtomicU64, depth: u64) -> Fallible<()> {
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
    let mut out = 0;
    let mut reply = vec![0; 4096];
    loop {
        while out < depth && take() {
            let batch: Vec<u64> = (0..ITEMS).collect();
            let body = rmp_serde::to_vec(&batch)?;
            let mut frame = u32::try_from(body.len())?.to_le_bytes().to_vec();
            frame.extend_from_slice(&body);
            socket.write_all(&frame)?;
            out += 1;
        }
        if out == 0 {
            return Ok(());
        }
        let mut head = [0; 4];
        socket.read_exact(&mut head)?;
        let length = u32::from_le_bytes(head) as usize;
        socket.read_exact(&mut reply[..length])?;
        let echoed: Vec<u64> = rmp_serde::from_slice(&reply[..length])?;
        assert_eq!(echoed.len() as u64, ITEMS, "the bare loop echoes");
        out -= 1;
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        for (mut child, socket) in self.workers.drain(..) {
            // The end of the stream ends the loop.
            drop(socket);
            let _ = child.wait();
        }
    }
}
