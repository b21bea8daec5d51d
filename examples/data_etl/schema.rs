//! What a schema says about a row: the rules, and how they are judged here, apart from Python, so that its
//! verdicts can be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The cells of a row by column, trimmed; an empty one holds nothing.
pub(super) type Cells = BTreeMap<String, String>;

/// What a cell can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Anything.
    #[default]
    Text,
    Integer,
    Decimal,
    Date,
    Email,
    Boolean,
}

impl Kind {
    /// The kinds that a column can be found to have, the narrowest first.
    pub(super) const NARROW: [Self; 5] =
        [Self::Integer, Self::Decimal, Self::Boolean, Self::Date, Self::Email];

    /// Whether a cell that is not empty is of this kind.
    pub(super) fn fits(self, cell: &str) -> bool {
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        match self {
            Self::Text => true,
            Self::Integer => digits(cell.strip_prefix('-').unwrap_or(cell), 15),
            Self::Decimal => {
                let number = cell.strip_prefix('-').unwrap_or(cell);
                match number.split_once('.') {
                    Some((whole, part)) => digits(whole, 15) && digits(part, 9),
                    None => digits(number, 15),
                }
            }
            Self::Date => is_day(cell),
            Self::Email => is_email(cell),
            Self::Boolean => matches!(cell, "yes" | "no" | "true" | "false"),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::Email => "email",
            Self::Boolean => "boolean",
        }
    }
}

fn is_day(cell: &str) -> bool {
    let parts: Vec<&str> = cell.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let number = |text: &str, digits: usize| -> Option<u32> {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2)) else {
        return false;
    };
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    year >= 1 && (1..=last).contains(&day)
}

fn is_email(cell: &str) -> bool {
    let Some((name, domain)) = cell.split_once('@') else { return false };
    let whole = !name.is_empty() && !domain.contains('@') && !cell.contains([' ', '\t', '\r', '\n']);
    let domain: Vec<char> = domain.chars().collect();
    whole && domain.len() >= 3 && domain[1..domain.len() - 1].contains(&'.')
}

/// What a schema says about one column: how it is checked, and what becomes of it afterwards.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Field {
    /// Its name in the file.
    pub(super) column: String,
    /// Whether a row must have it.
    pub(super) required: bool,
    /// What a cell must be.
    pub(super) kind: Kind,
    /// The least number.
    pub(super) min: Option<f64>,
    /// The greatest number.
    pub(super) max: Option<f64>,
    /// The words allowed.
    pub(super) one_of: Option<Vec<String>>,
    /// Its name in the record.
    pub(super) rename: Option<String>,
    /// What the record holds, where the cell can be read so.
    pub(super) cast: Option<Kind>,
    /// What an empty cell becomes.
    pub(super) default: Option<String>,
}

impl Field {
    /// The first rule that the cell breaks.
    fn broken(&self, cell: &str) -> Option<&'static str> {
        if cell.is_empty() {
            return self.required.then_some("required");
        }
        if !self.kind.fits(cell) {
            return Some("kind");
        }
        let number = || cell.parse::<f64>().unwrap_or(f64::NAN);
        if self.min.is_some_and(|least| number() < least) {
            return Some("min");
        }
        if self.max.is_some_and(|most| number() > most) {
            return Some("max");
        }
        self.one_of.as_ref().is_some_and(|words| !words.iter().any(|word| word == cell)).then_some("one_of")
    }
}

/// The rules, before they are published under a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// What it is called.
    pub(super) name: String,
    /// One for each column it cares about.
    pub(super) fields: Vec<Field>,
}

impl Definition {
    /// The same, with another bound for the first column that has an upper one: no two versions then judge
    /// alike.
    fn moved(&self, version: u64) -> Self {
        let mut moved = self.clone();
        if let Some(most) = moved.fields.iter_mut().find_map(|field| field.max.as_mut()) {
            *most = (60 + version * 7 % 120) as f64;
        }
        moved
    }
}

/// One version of the schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    /// Counted from 1; each publication has one more.
    pub(super) version: u64,
    /// What its definition is called.
    pub(super) name: String,
    /// Its rules.
    pub(super) fields: Vec<Field>,
}

impl Schema {
    /// What is wrong with a row: the column and the rule, at most one a column.
    pub(super) fn verdict(&self, cells: &Cells) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().filter_map(|field| {
            let cell = cells.get(&field.column).map_or("", String::as_str);
            Some((field.column.as_str(), field.broken(cell)?))
        })
    }
}

/// What is published, version by version.
#[derive(Debug, Clone)]
pub(super) struct Edition {
    /// The first version.
    pub(super) lenient: Definition,
    /// The second.
    pub(super) strict: Definition,
    /// Whether the versions after the second are lenient and strict by turns; else they are all strict.
    pub(super) alternate: bool,
}

impl Edition {
    /// A version, which is the same whenever it is asked for.
    pub(super) fn at(&self, version: u64) -> Schema {
        let Definition { name, fields } = match version {
            1 => self.lenient.clone(),
            2 => self.strict.clone(),
            odd if self.alternate && odd % 2 == 1 => self.lenient.clone(),
            _ if self.alternate => self.strict.moved(version),
            _ => self.strict.clone(),
        };
        Schema { version, name, fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_of_a_kind_or_not() {
        let cases: [(Kind, &[&str], &[&str]); 5] = [
            (Kind::Integer, &["0", "-7", "007"], &["", "-", "1.0", "+1", "1e3", "٣", "1111111111111111"]),
            (Kind::Decimal, &["12", "12.50", "-0.5"], &["12,50", ".5", "5.", "nan", "inf", "1e3", "1.2.3"]),
            (
                Kind::Date,
                &["2025-03-31", "2024-02-29", "2000-02-29"],
                &[
                    "2025-02-29",
                    "1900-02-29",
                    "2025-13-01",
                    "0000-01-01",
                    "31/03/2025",
                    "2025-3-1",
                    "2025-04-31",
                ],
            ),
            (
                Kind::Email,
                &["a@b.c", "é@ß.ü"],
                &["a@b", "@b.c", "a@.c", "a@b.", "a@@b.c", "a b@c.d", "a@b@c.d"],
            ),
            (Kind::Boolean, &["yes", "false"], &["Yes", "1", "maybe"]),
        ];
        for (kind, good, bad) in cases {
            assert_eq!(good.iter().filter(|cell| !kind.fits(cell)).collect::<Vec<_>>(), [&""; 0], "{kind:?}");
            assert_eq!(bad.iter().filter(|cell| kind.fits(cell)).collect::<Vec<_>>(), [&""; 0], "{kind:?}");
        }
    }

    #[test]
    fn a_version_is_always_the_same_and_no_two_strict_ones_judge_alike() {
        let field = Field { column: "n".into(), kind: Kind::Integer, max: Some(9.0), ..Field::default() };
        let edition = Edition {
            lenient: Definition { name: "lenient".into(), fields: vec![] },
            strict: Definition { name: "strict".into(), fields: vec![field] },
            alternate: true,
        };
        assert_eq!(edition.at(4), edition.at(4));
        assert_ne!(edition.at(4).fields, edition.at(6).fields);
        assert_eq!(edition.at(3).name, "lenient");
        let all_strict = Edition { alternate: false, ..edition };
        assert_eq!((all_strict.at(3).name.as_str(), all_strict.at(3).version), ("strict", 3));
    }
}
