//! The rows that flow: those that ship with the example, many more made from them, or the user's.

use std::path::Path;

use serde::{Deserialize, Serialize};
use slither::ConfigError;

use super::infer::Inference;
use super::schema::{Cells, Definition, Edition};
use super::table::{Line, Table};

const ORDERS: &str = include_str!("orders.csv");
const LENIENT: &str = include_str!("schemas/lenient.json");
const STRICT: &str = include_str!("schemas/strict.json");

/// Rows of the second act, unless they are the user's.
const MANY: u64 = 10_000;
/// Rows in a chunk.
pub(super) const CHUNK: usize = 16;

/// A row on its way to Python.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The run it belongs to, from 1.
    pub(super) run: u32,
    /// Its number in that run, from 0.
    pub(super) number: u64,
    /// Its line in the file that it comes from.
    pub(super) line: u64,
    /// What it holds.
    pub(super) cells: Cells,
}

/// What flows, and the schemas that it is to be checked by.
#[derive(Debug, Clone)]
pub(super) struct Input {
    table: Table,
    /// The first rows, for the two batches of the first act.
    first: Vec<Line>,
    /// Whether the second act's rows are made from the table's, instead of being them.
    made: bool,
    pub(super) edition: Edition,
}

impl Input {
    /// Orders of a joiners' supplier, with the faults that such files have.
    pub(super) fn built_in() -> Result<Self, ConfigError> {
        let definition = |text| {
            serde_json::from_str::<Definition>(text)
                .map_err(|error| ConfigError::new(format!("a schema of the example: {error}")))
        };
        let edition = Edition { lenient: definition(LENIENT)?, strict: definition(STRICT)?, alternate: true };
        Self::over(Table::built_in(ORDERS)?, true, edition)
    }

    /// A file of the user's. The lenient schema takes every row; the strict one is what most rows keep to.
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let mut seen = Inference::default();
        let table = Table::open(path, |line| seen.look(line))?;
        let edition = seen.edition(&table.columns);
        Self::over(table, false, edition)
    }

    fn over(table: Table, made: bool, edition: Edition) -> Result<Self, ConfigError> {
        let first = table.iter().take(2 * CHUNK).collect::<Result<_, _>>()?;
        Ok(Self { table, first, made, edition })
    }

    /// Whether the rows are the user's.
    pub(super) fn is_users(&self) -> bool {
        !self.made
    }

    /// How many rows a run has: 1 and 2 are the batches of the first act, 3 is the second.
    pub(super) fn count(&self, run: u32) -> u64 {
        match run {
            1 => self.first.len().min(CHUNK) as u64,
            2 => self.first.len().saturating_sub(CHUNK) as u64,
            _ if self.made => MANY,
            _ => self.table.rows,
        }
    }

    /// The rows of a run.
    pub(super) fn rows(&self, run: u32) -> Box<dyn Iterator<Item = Result<Row, ConfigError>> + Send> {
        let numbered = move |(number, line): (u64, Result<Line, ConfigError>)| {
            line.map(|Line { line, cells }| Row { run, number, line, cells })
        };
        let batch = |at: usize| (0..).zip(self.first.clone().into_iter().skip(at).take(CHUNK).map(Ok));
        match run {
            1 => Box::new(batch(0).map(numbered)),
            2 => Box::new(batch(CHUNK).map(numbered)),
            _ if self.made => match self.table.iter().collect::<Result<Vec<_>, _>>() {
                Ok(lines) => Box::new((0..MANY).map(move |number| Ok(made(&lines, run, number)))),
                Err(error) => Box::new(std::iter::once(Err(error))),
            },
            _ => Box::new((0..).zip(self.table.iter()).map(numbered)),
        }
    }
}

/// A row like one of the shipped, with a number and a quantity of its own: always the same for the same number.
fn made(lines: &[Line], run: u32, number: u64) -> Row {
    let mixed = mix(number);
    let Line { line, mut cells } = lines[(mixed % lines.len() as u64) as usize].clone();
    if let Some(order) = cells.get_mut("order_no").filter(|order| !order.is_empty()) {
        *order = format!("SP-{}", 30_000 + number);
    }
    // Faulty quantities stay as they are.
    let quantity = cells.get_mut("quantity").filter(|cell| cell.parse().is_ok_and(|many: i64| many > 0));
    if let Some(quantity) = quantity {
        // Small ones are commoner than large ones.
        *quantity = (1 + (mixed >> 32) % 200 * ((mixed >> 48) % 200) / 200).to_string();
    }
    Row { run, number, line, cells }
}

/// Steele and Vigna's SplitMix64: the same everywhere, and without a pattern that chunks would share.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(input: &Input, run: u32, version: u64) -> (usize, usize) {
        let schema = input.edition.at(version);
        let rows: Vec<_> = input.rows(run).map(Result::unwrap).collect();
        let refused = rows.iter().filter(|row| schema.verdict(&row.cells).next().is_some()).count();
        (rows.len(), refused)
    }

    #[test]
    fn the_stricter_schema_refuses_more_of_the_same_rows() {
        let input = Input::built_in().unwrap();
        for run in [1, 2] {
            let ((rows, lenient), (_, strict)) = (verdicts(&input, run, 1), verdicts(&input, run, 2));
            assert_eq!(rows, CHUNK);
            assert!((1..strict).contains(&lenient) && strict < rows, "{lenient} {strict}");
        }
    }

    #[test]
    fn made_rows_are_the_same_each_time_and_of_both_kinds() {
        let input = Input::built_in().unwrap();
        let read = |input: &Input| input.rows(3).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(read(&input), read(&input));
        let (rows, refused) = verdicts(&input, 3, 2);
        assert_eq!(rows as u64, input.count(3));
        assert!((rows / 4..rows).contains(&refused), "{refused}");
    }

    #[test]
    fn the_bound_that_moves_changes_verdicts() {
        let input = Input::built_in().unwrap();
        assert_ne!(verdicts(&input, 3, 4), verdicts(&input, 3, 6));
    }

    #[test]
    fn a_short_file_of_the_users_has_a_short_first_act() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.csv");
        std::fs::write(&path, "a,b\n1,x\n2,y\n").unwrap();
        let input = Input::open(&path).unwrap();
        assert_eq!([1, 2, 3].map(|run| input.count(run)), [2, 0, 2]);
        assert_eq!([1, 2, 3].map(|run| input.rows(run).count()), [2, 0, 2]);
    }
}
