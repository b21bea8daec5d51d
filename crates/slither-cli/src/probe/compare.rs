//! What the outputs of calls say, alone and in threads: pure functions over texts.

use std::collections::BTreeMap;

use slither::routing::Finding;

/// Outputs of the same calls in the same order, in two fresh workers; and, by item, in another order in the second.
pub(super) struct Alone<'a> {
    pub(super) first: &'a [String],
    pub(super) second: &'a [String],
    /// By item, as the others are.
    pub(super) shuffled: &'a [String],
}

/// What is known before threads come into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// What comes out depends on what goes in.
    Pure,
    /// It depends on the calls before, too; how.
    Stateful(String),
    /// It differs each time; how.
    Unrepeatable(String),
}

impl Alone<'_> {
    pub(super) fn nature(&self) -> Nature {
        if let Some((item, one, other)) = differing(self.first, self.second) {
            return Nature::Unrepeatable(format!("item {item} gave {one}, and {other} in a fresh process"));
        }
        match differing(self.first, self.shuffled) {
            Some((item, one, other)) => {
                Nature::Stateful(format!("item {item} gave {one}, and {other} after other calls"))
            }
            None => Nature::Pure,
        }
    }
}

fn differing<'a>(one: &'a [String], other: &'a [String]) -> Option<(usize, &'a String, &'a String)> {
    one.iter()
        .zip(other)
        .enumerate()
        .find(|(_, (one, other))| one != other)
        .map(|(at, (one, other))| (at, one, other))
}

/// What threads did to a function with state: what all calls gave together, in two orders alone and in threads.
///
/// Where the order alone makes a difference to it, nothing can be said of threads.
pub(super) fn spoiled(state: String, forward: &[String], backward: &[String], threads: &[String]) -> Finding {
    let alone = counted(forward);
    if alone != counted(backward) {
        return Finding::Stateful(state);
    }
    let together = counted(threads);
    let odd = together.iter().find(|(output, count)| alone.get(*output).is_none_or(|alone| alone < count));
    match odd {
        Some((output, count)) => {
            let before = alone.get(output).copied().unwrap_or(0);
            Finding::Race(format!(
                "of the same calls {count} gave {output} in threads, and {before} one by one"
            ))
        }
        None => Finding::Stateful(state),
    }
}

fn counted(outputs: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for output in outputs {
        *counts.entry(output.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(outputs: &str) -> Vec<String> {
        outputs.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_a_function_is_shows_without_threads() {
        let nature = |first: &str, second: &str, shuffled: &str| {
            let (first, second, shuffled) = (texts(first), texts(second), texts(shuffled));
            Alone { first: &first, second: &second, shuffled: &shuffled }.nature()
        };
        assert_eq!(nature("1 4 9", "1 4 9", "1 4 9"), Nature::Pure);
        let differs = "item 1 gave 2, and 6 after other calls".to_owned();
        assert_eq!(nature("1 2 3", "1 2 3", "1 6 3"), Nature::Stateful(differs));
        let random = "item 0 gave 7, and 3 in a fresh process".to_owned();
        assert_eq!(nature("7 1", "3 1", "3 1"), Nature::Unrepeatable(random));
    }

    #[test]
    fn a_lost_update_shows_and_another_order_is_no_race() {
        let found = |forward: &str, backward: &str, threads: &str| {
            spoiled("x".into(), &texts(forward), &texts(backward), &texts(threads))
        };
        assert_eq!(found("1 2 3", "1 2 3", "2 1 3"), Finding::Stateful("x".into()));
        let lost = "of the same calls 2 gave 2 in threads, and 1 one by one".to_owned();
        assert_eq!(found("1 2 3", "1 2 3", "1 2 2"), Finding::Race(lost));
        // An average of what was seen so far: there is no telling.
        assert_eq!(found("1 1.5 2", "3 2.5 2", "2 2 2"), Finding::Stateful("x".into()));
    }
}
