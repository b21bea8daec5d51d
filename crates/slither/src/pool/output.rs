//! What workers print: drained without pause, bounded, attributed, and safe for a terminal.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::telemetry::{self, Labels, WorkerOutput};

/// A longer line is cut here.
const LINE: usize = 4096;
/// How many lines of the end are kept for errors.
const TAIL: usize = 20;
/// Lines passed on in a second, of each stream; the others are counted.
const LINES_PER_SECOND: u32 = 200;
/// How much is read before others get their turn.
const TURN: usize = 1024 * 1024;

/// One stream of one worker.
#[derive(Debug)]
pub(super) struct Output {
    fd: Arc<OwnedFd>,
    open: bool,
    pool: Arc<str>,
    worker: String,
    stream: &'static str,
    partial: Vec<u8>,
    cut: bool,
    tail: VecDeque<String>,
    window: Instant,
    passed: u32,
    suppressed: u32,
}

impl Output {
    /// Drains the reading end of a pipe, which must not block.
    pub(super) fn new(fd: Arc<OwnedFd>, pool: Arc<str>, worker: String, stream: &'static str) -> Self {
        Self {
            fd,
            open: true,
            pool,
            worker,
            stream,
            partial: Vec::new(),
            cut: false,
            tail: VecDeque::with_capacity(TAIL),
            window: Instant::now(),
            passed: 0,
            suppressed: 0,
        }
    }

    /// Whether more may come.
    pub(super) fn open(&self) -> bool {
        self.open
    }

    /// Reads what is there, up to a bound, so that one loud worker does not starve the others.
    pub(super) fn drain(&mut self) {
        let mut buffer = [0; 16 * 1024];
        let mut read = 0;
        while self.open && read < TURN {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => self.close(),
                Ok(count) => {
                    read += count;
                    self.take(&buffer[..count]);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.close(),
            }
        }
    }

    /// The last lines, oldest first.
    pub(super) fn tail(&self) -> Vec<String> {
        let rest = (!self.partial.is_empty()).then(|| escape(&self.partial));
        self.tail.iter().cloned().chain(rest).collect()
    }

    /// Takes nothing more.
    pub(super) fn close(&mut self) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        if !self.partial.is_empty() {
            self.line();
        }
        self.report_suppressed();
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            let text = if ends { &piece[..piece.len() - 1] } else { piece };
            let room = LINE - self.partial.len();
            self.partial.extend_from_slice(&text[..text.len().min(room)]);
            self.cut |= text.len() > room;
            if ends {
                self.line();
            }
        }
    }

    fn line(&mut self) {
        let mut line = escape(&self.partial);
        if std::mem::take(&mut self.cut) {
            line.push_str(" … (line cut)");
        }
        self.partial.clear();
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.report_suppressed();
            self.window = Instant::now();
            self.passed = 0;
        }
        if self.passed < LINES_PER_SECOND {
            self.passed += 1;
            self.emit(0, &line);
        } else {
            self.suppressed += 1;
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn report_suppressed(&mut self) {
        let suppressed = std::mem::take(&mut self.suppressed);
        if suppressed > 0 {
            self.emit(suppressed, "(lines beyond the bound were left out)");
        }
    }

    fn emit(&self, suppressed: u32, line: &str) {
        let labels = Labels { pool: Some(&self.pool), ..Labels::default() };
        let event = WorkerOutput::new(f64::from(suppressed), &self.pool, &self.worker, &self.stream, &line);
        telemetry::emit(labels, &event);
    }
}

/// Text in which a terminal finds nothing to obey.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).trim_end_matches('\r').chars() {
        match character {
            '\t' => text.push('\t'),
            control if control.is_control() => text.extend(control.escape_unicode()),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn a_flood_is_drained_bounded_and_escaped() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
        let mut output = Output::new(Arc::new(reader), "p".into(), "p/0#1".into(), "stderr");
        let line = [b"\x1b[31m".as_slice(), &[b'x'; 10_000], b"\n"].concat();
        for _ in 0..300 {
            rustix::io::write(&writer, &line).unwrap();
            output.drain();
        }
        rustix::io::write(&writer, b"last, without an end").unwrap();
        drop(writer);
        output.drain();
        let tail = output.tail();
        assert!(!output.open());
        assert_eq!(tail.len(), TAIL);
        assert_eq!(tail[TAIL - 1], "last, without an end");
        assert!(tail[0].starts_with("\\u{1b}[31mxxx"));
        assert!(tail[0].ends_with("(line cut)"));
        assert!(tail[0].len() < LINE + 50);
    }
}
