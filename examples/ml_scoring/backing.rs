//! What the feature store writes to first: a file to which lines are appended, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A line: the features that a record has from here on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) features: Vec<f64>,
}

/// An append-only file of [`Line`]s.
#[derive(Debug)]
pub(super) struct Backing {
    file: File,
    /// Bytes of whole lines; what stands behind them was never acknowledged.
    length: u64,
    full_after: Option<usize>,
    /// Why nothing more is written, if a failed write could not be undone.
    broken: Option<String>,
}

impl Backing {
    /// Opens or creates the file. The rest of a line that a crash cut off is no line.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut backing = Self { file, length: 0, full_after: None, broken: None };
        let text = backing.text()?;
        backing.length = text.rfind('\n').map_or(0, |end| end as u64 + 1);
        backing.file.set_len(backing.length)?;
        Ok(backing)
    }

    /// Makes the disk full after so many bytes of the next write, to see what becomes of it.
    pub(super) fn full_after(&mut self, bytes: usize) {
        self.full_after = Some(bytes);
    }

    /// Appends lines, and returns once the disk has them.
    ///
    /// # Errors
    /// If they cannot be written. Then the file is as it was; and if that cannot be had either, nothing more is
    /// written to it.
    pub(super) fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        if let Some(broken) = &self.broken {
            return Err(io::Error::other(format!("an earlier write could not be undone: {broken}")));
        }
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        let written = self.write(&bytes);
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            Err(_) => self.broken = self.file.set_len(self.length).err().map(|error| error.to_string()),
        }
        written
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(room) = self.full_after.take().filter(|room| *room < bytes.len()) {
            self.file.write_all(&bytes[..room])?;
            return Err(ErrorKind::StorageFull.into());
        }
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    /// Every line, the oldest first.
    pub(super) fn lines(&mut self) -> io::Result<Vec<Line>> {
        self.text()?.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
    }

    /// Bytes that the file has, whole lines or not.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn text(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_string(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> Line {
        Line { id: id.to_owned(), features: vec![0.1 + 0.2, f64::MIN_POSITIVE, -1e300] }
    }

    #[test]
    fn what_was_appended_is_read_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.jsonl");
        Backing::open(&path).unwrap().append(&[line("a"), line("b")]).unwrap();
        let mut again = Backing::open(&path).unwrap();
        again.append(&[line("c")]).unwrap();
        assert_eq!(again.lines().unwrap(), ["a", "b", "c"].map(line));
    }

    #[test]
    fn a_write_that_fails_on_the_way_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let mut backing = Backing::open(&folder.path().join("features.jsonl")).unwrap();
        backing.append(&[line("a")]).unwrap();
        let before = backing.size().unwrap();
        backing.full_after(9);
        let error = backing.append(&[line("b"), line("c")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(backing.size().unwrap(), before);
        backing.append(&[line("d")]).unwrap();
        assert_eq!(backing.lines().unwrap(), ["a", "d"].map(line));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_is_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.jsonl");
        Backing::open(&path).unwrap().append(&[line("a")]).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"id\": \"b").unwrap();
        let mut backing = Backing::open(&path).unwrap();
        backing.append(&[line("c")]).unwrap();
        assert_eq!(backing.lines().unwrap(), ["a", "c"].map(line));
    }
}
