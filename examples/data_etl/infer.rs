//! A schema for a file that brings none: what most of its rows keep to.

use super::schema::{Definition, Edition, Field, Kind};
use super::table::Line;

/// Of ten cells so many must agree to make a rule.
const MOST: u64 = 9;

/// What has been seen of each column.
#[derive(Debug, Default)]
pub(super) struct Inference {
    rows: u64,
    columns: std::collections::BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    filled: u64,
    of_kind: [u64; Kind::NARROW.len()],
}

impl Inference {
    /// Takes in a row.
    pub(super) fn look(&mut self, line: &Line) {
        self.rows += 1;
        for (column, cell) in line.cells.iter().filter(|(_, cell)| !cell.is_empty()) {
            if !self.columns.contains_key(column) {
                self.columns.insert(column.clone(), Seen::default());
            }
            let Some(seen) = self.columns.get_mut(column) else { continue };
            seen.filled += 1;
            for (count, kind) in seen.of_kind.iter_mut().zip(Kind::NARROW) {
                *count += u64::from(kind.fits(cell));
            }
        }
    }

    /// A lenient schema without any rule, and a strict one: a column that nine rows of ten fill is required,
    /// and has the narrowest kind that nine cells of ten fit.
    pub(super) fn edition(&self, columns: &[String]) -> Edition {
        let strict = columns.iter().map(|column| {
            let empty = Seen::default();
            let seen = self.columns.get(column).unwrap_or(&empty);
            let most = |part: u64, whole: u64| whole > 0 && 10 * part >= MOST * whole;
            let kinds = Kind::NARROW.into_iter().zip(seen.of_kind);
            let kind = kinds.filter(|(_, fitting)| most(*fitting, seen.filled)).map(|(kind, _)| kind).next();
            let kind = kind.unwrap_or_default();
            let required = most(seen.filled, self.rows);
            Field { column: column.clone(), required, kind, cast: Some(kind), ..Field::default() }
        });
        let lenient = columns.iter().map(|column| Field { column: column.clone(), ..Field::default() });
        let definition = |name: &str, fields| Definition { name: name.to_owned(), fields };
        Edition {
            lenient: definition("no rules", lenient.take(1).collect()),
            strict: definition("inferred", strict.collect()),
            alternate: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_etl::schema::Cells;

    #[test]
    fn nine_of_ten_make_a_rule() {
        let mut inference = Inference::default();
        for number in 0..20u64 {
            let age = if number < 2 { "old".to_owned() } else { number.to_string() };
            let price = if number == 0 { "1.5".to_owned() } else { "2.25".to_owned() };
            let note = if number < 3 { "" } else { "x" };
            let cells = [("age", age), ("price", price), ("note", note.to_owned()), ("void", String::new())];
            let cells: Cells = cells.into_iter().map(|(column, cell)| (column.to_owned(), cell)).collect();
            inference.look(&Line { line: number + 2, cells });
        }
        let columns = ["age", "price", "note", "void"].map(str::to_owned);
        let edition = inference.edition(&columns);
        let rules: Vec<_> =
            edition.strict.fields.iter().map(|field| (&*field.column, field.kind, field.required)).collect();
        assert_eq!(
            rules,
            [
                ("age", Kind::Integer, true),
                ("price", Kind::Decimal, true),
                ("note", Kind::Text, false),
                ("void", Kind::Text, false)
            ]
        );
        assert!(edition.lenient.fields.iter().all(|field| !field.required && field.kind == Kind::Text));
    }
}
