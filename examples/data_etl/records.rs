//! A CSV file, record by record: where each begins, and none without an end.

use std::io::{BufRead, Read};

/// A record is refused beyond this.
pub(super) const LONGEST: usize = 1 << 20;

/// A record as it stands in the file, with its quotes and without the line break at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it begins, from 1.
    pub(super) line: u64,
    pub(super) bytes: Vec<u8>,
}

/// Why there is no next record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("line {0}: a quote is opened and never closed")]
    Unclosed(u64),
    #[error("line {0}: a row of more than {LONGEST} bytes")]
    TooLong(u64),
}

/// Where a reader is within a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the beginning of a cell: only here does a quote open one.
    Begins,
    Plain,
    Quoted,
    /// After a quote that closes the cell, unless another follows.
    Closed,
}

/// Reads records; lines without anything are passed over.
pub(super) struct Records<R> {
    file: R,
    delimiter: u8,
    line: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(file: R, delimiter: u8) -> Self {
        Self { file, delimiter, line: 0 }
    }

    fn read(&mut self) -> Result<Option<Record>, Fault> {
        let mut record = Record { line: self.line + 1, bytes: Vec::new() };
        let mut state = State::Begins;
        let mut opened = record.line;
        loop {
            let read = record.bytes.len();
            let room = (LONGEST + 1).saturating_sub(read) as u64;
            (&mut self.file).take(room).read_until(b'\n', &mut record.bytes)?;
            if record.bytes.len() > LONGEST {
                return Err(if state == State::Quoted {
                    Fault::Unclosed(opened)
                } else {
                    Fault::TooLong(record.line)
                });
            }
            if record.bytes.len() == read {
                return match state {
                    State::Quoted => Err(Fault::Unclosed(opened)),
                    _ => Ok(None),
                };
            }
            self.line += 1;
            for byte in &record.bytes[read..] {
                let before = state;
                state = self.step(state, *byte);
                if (before, state) == (State::Begins, State::Quoted) {
                    opened = self.line;
                }
            }
            if state == State::Quoted {
                continue;
            }
            while record.bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                record.bytes.pop();
            }
            if !record.bytes.is_empty() {
                return Ok(Some(record));
            }
            record.line = self.line + 1;
            state = State::Begins;
        }
    }

    fn step(&self, state: State, byte: u8) -> State {
        match (state, byte) {
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) | (State::Closed | State::Begins, b'"') => State::Quoted,
            (_, byte) if byte == self.delimiter => State::Begins,
            _ => State::Plain,
        }
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(u64, String), String>> {
        let record = |record: Record| (record.line, String::from_utf8(record.bytes).unwrap());
        let records = Records::new(text.as_bytes(), b',');
        records.take(9).map(|it| it.map(record).map_err(|fault| fault.to_string())).collect()
    }

    fn lines(text: &str) -> Vec<u64> {
        read(text).into_iter().map(|record| record.unwrap().0).collect()
    }

    #[test]
    fn a_record_knows_the_line_it_begins_in() {
        assert_eq!(lines("a\n\n\nb\nc"), [1, 4, 5]);
        assert_eq!(lines("a\r\n\r\nb\r\n"), [1, 3]);
        assert_eq!(lines("\"x\ny\"\n\"z\n\n\"\nb"), [1, 3, 6]);
    }

    #[test]
    fn a_quote_opens_a_cell_only_at_its_beginning() {
        for plain in ["5\" pipe\nb", "a, \"b\nc", "\"a\"\"b\"\nc", "\"\"\nc", "\"a\"b\nc"] {
            assert_eq!(lines(plain), [1, 2], "{plain:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_named_by_where_it_begins() {
        let unclosed = "line 3: a quote is opened and never closed";
        assert_eq!(read("a\nb\nc,\"d\n\ne\n")[2], Err(unclosed.to_owned()));
        assert_eq!(read(&format!("a\nb\n\"{}", "x\n".repeat(LONGEST)))[2], Err(unclosed.to_owned()));
        let long = read(&format!("a\n{}", "x".repeat(LONGEST + 1)));
        assert!(long[1].as_ref().unwrap_err().starts_with("line 2: a row of more than"), "{:?}", long[1]);
    }
}
