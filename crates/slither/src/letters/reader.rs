//! Letters, read line by line: [`LetterReader`].

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use super::letter::{BadLetter, Fault, Letter};
use super::line;
use crate::error::ConfigError;
use crate::item::Item;

/// Room for a frame of the default cap in base64, and for what stands around it.
pub(super) const MAX_LINE: u64 = 384 << 20;

/// The letters of a file, in its order.
///
/// A line that cannot be used is an error in its place, and the next one is read all the same: take `?` to be strict,
/// or leave errors out. Empty lines are passed over. Memory is bounded by the longest line, see
/// [`max_line`](Self::max_line).
pub struct LetterReader<R> {
    lines: R,
    max_line: u64,
    line: u64,
    over: bool,
}

impl LetterReader<BufReader<File>> {
    /// Reads a file of dead letters.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        match File::open(path) {
            Ok(file) => Ok(Self::new(BufReader::new(file))),
            Err(error) => {
                Err(ConfigError::new(format!("the dead letters {} cannot be read: {error}", path.display())))
            }
        }
    }
}

impl<R: BufRead> LetterReader<R> {
    /// Reads letters from anywhere, one a line.
    pub fn new(lines: R) -> Self {
        Self { lines, max_line: MAX_LINE, line: 0, over: false }
    }

    /// The longest line, in bytes; a longer one is passed over, as an error. Default 384 MiB, which holds a payload as
    /// large as a frame may be unless its pool says otherwise. What is made of a line takes some times its length, so
    /// set it lower for files from strangers.
    #[must_use]
    pub fn max_line(mut self, bytes: u64) -> Self {
        self.max_line = bytes;
        self
    }

    /// The payloads alone; a letter without one is an error.
    pub fn payloads<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<T, BadLetter>> {
        self.map(|letter| letter?.to_payload())
    }

    /// The letters as items, marked as [`Letter::to_item`] says; a letter without its payload is an error.
    pub fn items<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<Item<T>, BadLetter>> {
        self.map(|letter| letter?.to_item())
    }

    fn io(&mut self, error: &io::Error) -> BadLetter {
        self.over = true;
        BadLetter::new(self.line, Fault::Io, format!("the letters cannot be read on: {error}"))
    }

    /// Passes over the rest of a line; false at the end of the file.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = match self.lines.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let (used, found) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            };
            self.lines.consume(used);
            if found || used == 0 {
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for LetterReader<R> {
    type Item = Result<Letter, BadLetter>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        while !self.over {
            self.line += 1;
            text.clear();
            // It grows as bytes arrive, whatever the length of the line.
            let read =
                Read::take(&mut self.lines, self.max_line.saturating_add(1)).read_until(b'\n', &mut text);
            if let Err(error) = read {
                return Some(Err(self.io(&error)));
            }
            let whole = text.pop_if(|last| *last == b'\n').is_some();
            if text.len() as u64 > self.max_line {
                let message = format!("it is longer than {} bytes", self.max_line);
                return Some(match self.skip_line() {
                    Ok(()) => Err(BadLetter::new(self.line, Fault::TooLong, message)),
                    Err(error) => Err(self.io(&error)),
                });
            }
            self.over = !whole;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let letter = line::read(self.line, &text);
            // Without its newline a line is as good if it is all there.
            return Some(letter.map_err(|error| match (whole, error.fault()) {
                (false, Fault::Malformed) => {
                    let message = format!("the file ends within it, after {} bytes", text.len());
                    BadLetter::new(self.line, Fault::Torn, message)
                }
                _ => error,
            }));
        }
        None
    }
}

impl<R> fmt::Debug for LetterReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LetterReader").field("line", &self.line).finish_non_exhaustive()
    }
}
