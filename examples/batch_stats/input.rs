//! The user's data: a `.csv` file, a block of a column one dataset; or a `.jsonl` file, a line one dataset.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slither::ConfigError;

use super::datasets::{Cell, Dataset, built_in};
use crate::data_etl::table::{Line, Table};
use crate::documents::{name, unreadable};
use crate::jsonl;

/// Rows of a column that make one dataset, so that a file of any length is read in constant memory.
const BLOCK: usize = 1000;

/// Datasets that have been looked through, and can be read any number of times.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// The example's own.
    BuiltIn,
    /// The columns of a file that hold numbers.
    Columns { table: Table, columns: Vec<String> },
    /// The lines of a file.
    Lines(PathBuf),
}

type Read = Box<dyn Iterator<Item = Result<Dataset, ConfigError>> + Send>;

impl Input {
    /// Reads through a file once, to check it.
    ///
    /// # Errors
    /// If it is missing, of another kind, or without a dataset, or a line of it is malformed; the message names
    /// the file and the line.
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Self::columns(path),
            "jsonl" => {
                let input = Self::Lines(path.to_owned());
                let count = input.iter().try_fold(0u64, |count, dataset| dataset.map(|_| count + 1))?;
                match count {
                    0 => Err(ConfigError::new(format!("there is no dataset in {}", path.display()))
                        .hint("each line holds one; blank lines are passed over")),
                    _ => Ok(input),
                }
            }
            _ => Err(ConfigError::new(format!("{} is neither a .csv nor a .jsonl file", path.display()))
                .hint("of a .csv file each column of numbers is described, of a .jsonl file each line")),
        }
    }

    fn columns(path: &Path) -> Result<Self, ConfigError> {
        let mut numeric = std::collections::HashSet::new();
        let table = Table::open(path, |line| {
            for (column, cell) in &line.cells {
                if cell.parse::<f64>().is_ok() && !numeric.contains(column) {
                    numeric.insert(column.clone());
                }
            }
        })?;
        let columns: Vec<_> =
            table.columns.iter().filter(|column| numeric.contains(*column)).cloned().collect();
        if columns.is_empty() {
            return Err(ConfigError::new(format!("no column of {} holds a number", path.display()))
                .hint("numbers are written as 12, -3.5 or 1e9"));
        }
        Ok(Self::Columns { table, columns })
    }

    /// Whether the datasets are the user's.
    pub(super) fn is_users(&self) -> bool {
        !matches!(self, Self::BuiltIn)
    }

    /// Reads the datasets, in order and numbered.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<Dataset, ConfigError>> + Send + use<> {
        let read: Read = match self {
            Self::BuiltIn => Box::new(built_in().into_iter().map(Ok)),
            Self::Columns { table, columns } => Box::new(blocks(table, columns.clone())),
            Self::Lines(path) => match lines(path) {
                Ok(lines) => Box::new(lines),
                Err(error) => Box::new(std::iter::once(Err(unreadable(path, &error)))),
            },
        };
        (0..).zip(read).map(|(number, dataset)| Ok(Dataset { number, ..dataset? }))
    }
}

/// The columns of a block of rows, then those of the next.
fn blocks(
    table: &Table,
    columns: Vec<String>,
) -> impl Iterator<Item = Result<Dataset, ConfigError>> + Send + use<> {
    let mut lines = table.iter();
    let block = move || {
        let lines: Result<Vec<Line>, _> = lines.by_ref().take(BLOCK).collect();
        let lines = match lines {
            Ok(lines) if lines.is_empty() => return None,
            Ok(lines) => lines,
            Err(error) => return Some(vec![Err(error)]),
        };
        let (first, last) = (lines.first()?.line, lines.last()?.line);
        let dataset = |column: &String| {
            let cells =
                lines.iter().map(|line| line.cells.get(column).map_or(Cell::Missing(()), |cell| text(cell)));
            Ok(Dataset {
                number: 0,
                name: format!("{column}, lines {first} to {last}"),
                group: column.clone(),
                values: Some(cells.collect()),
                address: None,
            })
        };
        Some(columns.iter().map(dataset).collect())
    };
    std::iter::from_fn(block).flatten()
}

/// A cell of text.
fn text(cell: &str) -> Cell {
    match cell.parse() {
        Ok(number) => Cell::Number(number),
        Err(_) if cell.is_empty() => Cell::Missing(()),
        Err(_) => Cell::Text(cell.to_owned()),
    }
}

fn lines(path: &Path) -> std::io::Result<impl Iterator<Item = Result<Dataset, ConfigError>> + Send + use<>> {
    let (file, path) = (name(path), path.to_owned());
    let lines = jsonl::lines(&path)?;
    Ok(lines.map(move |line| {
        let jsonl::Line { number, value } = line?;
        dataset(value, format!("{file}:{number}")).map_err(|what| {
            ConfigError::new(format!("{}: {what}", jsonl::at(&path, number)))
                .hint(r#"for example {"name": "north", "group": "rain", "values": [1, 2.5]}, or [1, 2.5]"#)
        })
    }))
}

/// What is no number in a list fails its dataset later; what is no list is no dataset.
fn dataset(value: Value, place: String) -> Result<Dataset, String> {
    let (mut name, mut group, mut values) = (None, None, value);
    if let Value::Object(fields) = &mut values {
        let mut text = |field: &str| match fields.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{field}` must be text")),
        };
        (name, group) = (text("name")?, text("group")?);
        values = fields.remove("values").ok_or(EXPECTED)?;
    }
    let values = match values {
        Value::Array(values) => Some(values.into_iter().map(cell).collect()),
        Value::Null => None,
        _ => return Err(EXPECTED.to_owned()),
    };
    let (name, group) = (name.unwrap_or(place), group.unwrap_or_else(|| "all".to_owned()));
    Ok(Dataset { number: 0, name, group, values, address: None })
}

const EXPECTED: &str = "expected a list of numbers, or an object with `values`";

/// A value of JSON.
fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Missing(()),
        Value::Number(number) => number.as_f64().map_or_else(|| Cell::Text(number.to_string()), Cell::Number),
        Value::String(text) => Cell::Text(text),
        other => Cell::Text(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(name: &str, content: &str) -> Result<Vec<Dataset>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let input = Input::open(&path);
        let read = input.and_then(|input| input.iter().collect::<Result<_, _>>());
        read.map_err(|error| error.message().replace(&*folder.path().to_string_lossy(), "DIR"))
    }

    #[test]
    fn the_columns_that_hold_numbers_are_datasets_block_by_block() {
        let rows: String = (0..1500).map(|row| format!("r{row},{row},\n")).collect();
        let read = opened("x.csv", &format!("name,height,nothing\n{rows}")).unwrap();
        let shapes: Vec<_> = read
            .iter()
            .map(|it| (it.number, it.name.as_str(), it.group.as_str(), it.numbers().unwrap().len()))
            .collect();
        let expected = [
            (0, "height, lines 2 to 1001", "height", 1000),
            (1, "height, lines 1002 to 1501", "height", 500),
        ];
        assert_eq!(shapes, expected);
    }

    #[test]
    fn a_gap_and_a_word_among_numbers_stay_and_make_their_block_a_bad_one() {
        let read = opened("x.csv", "a;b\n1;2\n;x\n").unwrap();
        assert_eq!(read[0].values, Some(vec![Cell::Number(1.0), Cell::Missing(())]));
        assert_eq!(read[1].values, Some(vec![Cell::Number(2.0), Cell::Text("x".to_owned())]));
        assert!(read.iter().all(|dataset| dataset.numbers().is_none()));
    }

    #[test]
    fn a_line_of_json_is_a_dataset() {
        let lines = "[1, 2]\n\n{\"name\": \"n\", \"group\": \"g\", \"values\": [1, null, \"x\"]}\n{\"values\": null}\n";
        let read = opened("x.jsonl", lines).unwrap();
        let named: Vec<_> = read.iter().map(|it| (it.name.as_str(), it.group.as_str())).collect();
        assert_eq!(named, [("x.jsonl:1", "all"), ("n", "g"), ("x.jsonl:4", "all")]);
        assert_eq!(read[0].numbers(), Some(vec![1.0, 2.0]));
        assert_eq!((read[1].numbers(), read[2].numbers()), (None, None));
    }

    #[test]
    fn what_holds_no_dataset_is_refused() {
        let refused = |name, content| opened(name, content).unwrap_err();
        assert_eq!(refused("x.csv", "a,b\nx,y\n"), "no column of DIR/x.csv holds a number");
        assert_eq!(refused("x.jsonl", "\n"), "there is no dataset in DIR/x.jsonl");
        assert_eq!(refused("x.txt", "1"), "DIR/x.txt is neither a .csv nor a .jsonl file");
        assert_eq!(
            refused("x.jsonl", "[1]\n7\n"),
            "DIR/x.jsonl line 2: expected a list of numbers, or an object with `values`"
        );
        assert_eq!(
            refused("x.jsonl", "{\"name\": 1, \"values\": []}"),
            "DIR/x.jsonl line 1: `name` must be text"
        );
        assert!(
            Input::open(Path::new("/no/such.jsonl")).unwrap_err().message().starts_with("there is no file")
        );
    }
}
