//! What is described: fifty datasets made by a fixed rule and six that are bad, or the user's.

use serde::{Deserialize, Serialize};

/// Good datasets of the example's own.
pub(super) const GOOD: u64 = 50;

/// What the values of a dataset measure; one after the other, the good datasets belong to these.
const GROUPS: [(&str, f64, f64); 5] = [
    ("latency ms", 42.0, 11.0),
    ("temperature °C", 21.5, 3.0),
    ("price €", 310.0, 85.0),
    ("load", 0.7, 0.2),
    ("steps", 6400.0, 1800.0),
];

/// An address at which no process has memory.
const NOWHERE: u64 = 16;

/// A value as it was found: what is no number travels as it is, and fails in Python.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Cell {
    Number(f64),
    Text(String),
    Missing(()),
}

/// Numbers under a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dataset {
    /// Its number in the input, from 0.
    pub(super) number: u64,
    pub(super) name: String,
    /// What it is partitioned by.
    pub(super) group: String,
    pub(super) values: Option<Vec<Cell>>,
    /// Where the values lie in the worker's memory, if they are not sent.
    pub(super) address: Option<u64>,
}

impl Dataset {
    /// What it weighs in a batch: its values, and something for itself.
    pub(super) fn weight(&self) -> u64 {
        1 + self.values.as_ref().map_or(0, Vec::len) as u64
    }

    /// Its values, if they are numbers and at least one; then it is a good one.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        let values = self.values.as_ref().filter(|values| !values.is_empty() && self.address.is_none())?;
        let number = |cell: &Cell| match cell {
            Cell::Number(number) if number.is_finite() => Some(*number),
            _ => None,
        };
        values.iter().map(number).collect()
    }
}

/// A bad dataset, and the place that it is given among the good ones.
struct Pill {
    place: usize,
    name: &'static str,
    values: Option<&'static [Cell]>,
    address: Option<u64>,
}

/// Nil, NaN and empty, as they come out of half-filled tables; and one that kills.
const PILLS: [Pill; 6] = [
    Pill { place: 3, name: "never-measured", values: None, address: None },
    Pill { place: 7, name: "filtered-to-nothing", values: Some(&[]), address: None },
    Pill { place: 15, name: "divided-by-zero", values: Some(&[Cell::Number(f64::NAN)]), address: None },
    Pill {
        place: 33,
        name: "gap-in-the-middle",
        values: Some(&[Cell::Number(1.0), Cell::Missing(()), Cell::Number(3.0)]),
        address: None,
    },
    Pill {
        place: 38,
        name: "overflowed",
        values: Some(&[Cell::Number(2.0), Cell::Number(f64::NAN), Cell::Number(8.0)]),
        address: None,
    },
    Pill { place: 44, name: "stale-pointer", values: None, address: Some(NOWHERE) },
];

/// The datasets that ship with the example: the same each time.
pub(super) fn built_in() -> Vec<Dataset> {
    let mut names: Vec<(String, Option<&Pill>)> = Vec::new();
    let mut good = 0..GOOD;
    while names.len() < good.end as usize + PILLS.len() {
        let pill = PILLS.iter().find(|pill| pill.place == names.len());
        let Some(pill) = pill else {
            let Some(number) = good.next() else { break };
            names.push((format!("series-{number:02}"), None));
            continue;
        };
        names.push((pill.name.to_owned(), Some(pill)));
    }
    (0..).zip(names).map(|(number, (name, pill))| made(number, name, pill)).collect()
}

fn made(number: u64, name: String, pill: Option<&Pill>) -> Dataset {
    let (group, centre, spread) = GROUPS[(number % GROUPS.len() as u64) as usize];
    let (values, address) = match pill {
        Some(pill) => (pill.values.map(<[Cell]>::to_vec), pill.address),
        None => {
            let length = 20 + mix(number) % 120;
            let value = |place| {
                // The sum of four evenly spread numbers is spread nearly like a bell.
                let bell: f64 =
                    (0..4u64).map(|draw| even((number << 32) | (place << 4) | draw)).sum::<f64>() - 2.0;
                Cell::Number(centre + spread * bell * 1.7)
            };
            (Some((0..length).map(value).collect()), None)
        }
    };
    Dataset { number, name, group: group.to_owned(), values, address }
}

/// Between 0 and 1, always the same for the same seed.
fn even(seed: u64) -> f64 {
    (mix(seed) >> 11) as f64 / (1u64 << 53) as f64
}

/// Steele and Vigna's SplitMix64.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_are_good_and_six_are_bad_of_which_one_kills() {
        let datasets = built_in();
        let good = datasets.iter().filter(|dataset| dataset.numbers().is_some()).count();
        assert_eq!((datasets.len(), good), (56, 50));
        assert_eq!(datasets.iter().filter(|dataset| dataset.address.is_some()).count(), 1);
        assert!((0..).zip(&datasets).all(|(number, dataset)| dataset.number == number));
        assert_eq!(format!("{:?}", built_in()), format!("{datasets:?}"));
    }

    #[test]
    fn every_group_has_good_datasets() {
        for (group, centre, spread) in GROUPS {
            let values: Vec<f64> = built_in()
                .iter()
                .filter(|dataset| dataset.group == group)
                .filter_map(Dataset::numbers)
                .flatten()
                .collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((mean - centre).abs() < spread / 4.0, "{group}: {mean}");
        }
    }
}
