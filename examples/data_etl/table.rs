//! Rows from a CSV file: read through once to check it, then as often as needed, a row at a time.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};

use slither::ConfigError;

use super::records::{Fault, Record, Records};
use super::schema::Cells;

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it begins, from 1; the header is line 1.
    pub(crate) line: u64,
    /// Its cells.
    pub(crate) cells: Cells,
}

/// A CSV file that has been checked and counted.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    source: Source,
    delimiter: u8,
    /// The columns, in the order of the file.
    pub(crate) columns: Vec<String>,
    /// How many rows there are.
    pub(crate) rows: u64,
}

#[derive(Debug, Clone)]
enum Source {
    BuiltIn(&'static str),
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(_) => f.write_str("the example's rows"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Table {
    /// Rows that ship with the example.
    pub(crate) fn built_in(text: &'static str) -> Result<Self, ConfigError> {
        Self::check(Source::BuiltIn(text), |_| ())
    }

    /// A file of the user's, read through in constant memory; `look` sees each row.
    ///
    /// The delimiter is the comma, the semicolon or the tab: whichever the header has most of.
    ///
    /// # Errors
    /// If it is missing, no UTF-8, has no rows, a column without a name or twice, a row with more or fewer
    /// cells than the header, or a quote that is never closed; the message names the file and the line.
    pub(crate) fn open(path: &Path, look: impl FnMut(&Line)) -> Result<Self, ConfigError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) if extension.eq_ignore_ascii_case("csv") && !path.is_dir() => {
                Self::check(Source::File(path.to_owned()), look)
            }
            _ => Err(ConfigError::new(format!("{} is no .csv file", path.display())).hint(
                "give one file with a header line, its columns set apart by commas, semicolons or tabs",
            )),
        }
    }

    fn check(source: Source, mut look: impl FnMut(&Line)) -> Result<Self, ConfigError> {
        let mut table = Self { source, delimiter: b',', columns: Vec::new(), rows: 0 };
        let mut header = table.records()?.next().transpose().map_err(|fault| table.refuse(&fault))?;
        if let Some(header) = &mut header {
            table.delimiter = delimiter(&header.bytes);
            table.columns = table.cells(header)?;
        }
        table.check_header()?;
        for line in table.iter() {
            look(&line?);
            table.rows += 1;
        }
        if table.rows == 0 {
            return Err(ConfigError::new(format!("there is no row in {}", table.source))
                .hint("the first line names the columns, each line below it is a row"));
        }
        Ok(table)
    }

    fn check_header(&self) -> Result<(), ConfigError> {
        let refuse = |what: String| {
            Err(ConfigError::new(format!("{} line 1: {what}", self.source))
                .hint("the first line names the columns, each by a name of its own"))
        };
        for (number, column) in self.columns.iter().enumerate() {
            if column.is_empty() {
                return refuse(format!("column {} has no name", number + 1));
            }
            if self.columns[..number].contains(column) {
                return refuse(format!("two columns are named `{column}`"));
            }
        }
        if self.columns.is_empty() { refuse("there is no header".to_owned()) } else { Ok(()) }
    }

    /// The rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Line, ConfigError>> + Send + use<> {
        let table = self.clone();
        let (records, error) = match self.records() {
            Ok(records) => (Some(records), None),
            Err(error) => (None, Some(Err(error))),
        };
        let lines = records.into_iter().flatten().skip(1).map(move |record| match record {
            Ok(record) => table.line(&record),
            Err(fault) => Err(table.refuse(&fault)),
        });
        error.into_iter().chain(lines)
    }

    fn records(&self) -> Result<Records<Box<dyn BufRead + Send>>, ConfigError> {
        let opened = self.source.open();
        opened.map(|file| Records::new(file, self.delimiter)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ConfigError::new(format!("there is no file {}", self.source))
                .hint("a relative path starts at the current folder"),
            _ => self.refuse(&Fault::Io(error)),
        })
    }

    fn line(&self, record: &Record) -> Result<Line, ConfigError> {
        let cells = self.cells(record)?;
        if cells.len() != self.columns.len() {
            let (found, expected) = (cells.len(), self.columns.len());
            let at = format!("{} line {}", self.source, record.line);
            return Err(ConfigError::new(format!(
                "{at}: {found} cells, expected {expected} as in the header"
            ))
            .hint("a cell that holds a delimiter or a line break is put in quotes"));
        }
        Ok(Line { line: record.line, cells: self.columns.iter().cloned().zip(cells).collect() })
    }

    /// A record's cells, without their quotes and the spaces around them.
    fn cells(&self, record: &Record) -> Result<Vec<String>, ConfigError> {
        let at = || format!("{} line {}", self.source, record.line);
        let bytes = record.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&record.bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .buffer_capacity(bytes.len().max(1))
            .from_reader(bytes);
        let mut cells = csv::StringRecord::new();
        match reader.read_record(&mut cells) {
            Ok(_) => Ok(cells.iter().map(|cell| cell.trim().to_owned()).collect()),
            Err(error) => Err(match error.kind() {
                csv::ErrorKind::Utf8 { err, .. } => {
                    ConfigError::new(format!("{}: cell {} is no UTF-8 text", at(), err.field() + 1))
                        .hint("save the file as UTF-8")
                }
                _ => ConfigError::new(format!("{}: {error}", at())),
            }),
        }
    }

    fn refuse(&self, fault: &Fault) -> ConfigError {
        let error = ConfigError::new(format!("{} {fault}", self.source));
        match fault {
            Fault::Io(_) => error,
            Fault::Unclosed(_) => error.hint("a quote inside a quoted cell is written twice"),
            Fault::TooLong(_) => error.hint("are the rows set apart by line breaks?"),
        }
    }
}

impl Source {
    fn open(&self) -> std::io::Result<Box<dyn BufRead + Send>> {
        Ok(match self {
            Self::BuiltIn(text) => Box::new(Cursor::new(text.as_bytes())),
            Self::File(path) => Box::new(BufReader::new(File::open(path)?)),
        })
    }
}

/// Whichever the header has most of.
fn delimiter(header: &[u8]) -> u8 {
    let times = |wanted: u8| header.iter().filter(|byte| **byte == wanted).count();
    // The last of equals wins.
    [b'\t', b';', b','].into_iter().max_by_key(|wanted| times(*wanted)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(content: &[u8]) -> Result<Table, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, content).unwrap();
        let table = Table::open(&path, |_| ());
        // What is read later is read while the folder is there.
        let checked = table.and_then(|table| {
            table.iter().collect::<Result<Vec<_>, _>>()?;
            Ok(table)
        });
        checked.map_err(|error| error.to_string().replace(&*folder.path().to_string_lossy(), "DIR"))
    }

    fn rows(content: &'static str) -> Vec<(u64, Vec<String>)> {
        let table = Table::built_in(content).unwrap();
        let line =
            |line: Line| (line.line, table.columns.iter().map(|column| line.cells[column].clone()).collect());
        table.iter().map(|it| line(it.unwrap())).collect()
    }

    #[test]
    fn cells_are_trimmed_and_rows_know_their_lines() {
        let read = rows("\u{feff}name, note\nann,\"one,\ntwo\"\n\n bob ,\"say \"\"hi\"\"\"\n");
        let cell = |text: &str| text.to_owned();
        assert_eq!(
            read,
            [(2, vec![cell("ann"), cell("one,\ntwo")]), (5, vec![cell("bob"), cell("say \"hi\"")])]
        );
    }

    #[test]
    fn semicolons_and_tabs_are_found_out() {
        assert_eq!(rows("a;b\n1,5;2\n"), [(2, vec!["1,5".to_owned(), "2".to_owned()])]);
        assert_eq!(rows("a\tb\n1,5\t2\n"), [(2, vec!["1,5".to_owned(), "2".to_owned()])]);
        assert_eq!(rows("a\n1\n"), [(2, vec!["1".to_owned()])]);
    }

    #[test]
    fn a_faulty_row_is_named_by_its_line() {
        assert_eq!(
            opened(b"a,b\n1,2\n3\n").unwrap_err(),
            "DIR/x.csv line 3: 1 cells, expected 2 as in the header\n  hint: a cell that holds a delimiter or a line break is put in quotes"
        );
        assert_eq!(
            opened(b"a,b\n1,2\n3,\xff\n").unwrap_err(),
            "DIR/x.csv line 3: cell 2 is no UTF-8 text\n  hint: save the file as UTF-8"
        );
        assert_eq!(
            opened(b"a,b\n1,2\n\n3,\"4\n5,6\n").unwrap_err(),
            "DIR/x.csv line 4: a quote is opened and never closed\n  hint: a quote inside a quoted cell is written twice"
        );
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(opened(b"").unwrap_err().starts_with("DIR/x.csv line 1: there is no header"));
        assert!(opened(b"a,b\n").unwrap_err().starts_with("there is no row in DIR/x.csv"));
        assert!(opened(b"a,\n1,2\n").unwrap_err().starts_with("DIR/x.csv line 1: column 2 has no name"));
        assert!(
            opened(b"a,a\n1,2\n").unwrap_err().starts_with("DIR/x.csv line 1: two columns are named `a`")
        );
        let missing = Table::open(Path::new("/no/such.csv"), |_| ()).unwrap_err().to_string();
        assert!(missing.starts_with("there is no file /no/such.csv"), "{missing}");
        let other = Table::open(Path::new("x.txt"), |_| ()).unwrap_err().to_string();
        assert!(other.starts_with("x.txt is no .csv file"), "{other}");
    }
}
