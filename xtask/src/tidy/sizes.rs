//! Sizes: a file that outgrows one idea is split before it is a habit.

use super::Finding;
use crate::tree::{File, Tree};

const WARN: usize = 400;
const FAIL: usize = 600;
const WHY: &str = "one file holds one idea, and is read in one sitting";

/// Files that may be long, each with its reason: flat lists of data only.
const EXEMPT: &[(&str, &str)] = &[];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.with_extension("rs");
    let sources = rust.chain(tree.with_extension("py")).filter(|(file, _)| is_source(file));
    sources
        .filter(|(file, _)| !EXEMPT.iter().any(|(path, _)| *path == file.path))
        .filter_map(|(file, text)| {
            let lines = text.lines().count();
            let what = format!("{lines} lines, more than {}", if lines > FAIL { FAIL } else { WARN });
            let finding = Finding::new(&file.path, lines, what, WHY, "split it along its nouns");
            match lines {
                _ if lines > FAIL => Some(finding),
                _ if lines > WARN => Some(finding.warning()),
                _ => None,
            }
        })
        .collect()
}

/// Tests, benches and fixtures may be long: they are lists of cases.
fn is_source(file: &File) -> bool {
    file.is_under("src") || file.path.starts_with("python/slither/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings of a file of so many lines, and how many of them are warnings.
    fn of(path: &str, lines: usize) -> (usize, usize) {
        let findings = check(&Tree::of(&[(path, &"\n".repeat(lines))]));
        (findings.len(), findings.iter().filter(|finding| finding.warning).count())
    }

    #[test]
    fn long_files_warn_and_longer_ones_fail() {
        assert_eq!(of("crates/a/src/b.rs", WARN), (0, 0));
        assert_eq!(of("crates/a/src/b.rs", WARN + 1), (1, 1));
        assert_eq!(of("python/slither/_wire.py", FAIL), (1, 1));
        assert_eq!(of("crates/a/src/b.rs", FAIL + 1), (1, 0));
    }

    #[test]
    fn tests_may_be_long() {
        assert_eq!(of("crates/a/tests/it/b.rs", FAIL + 1), (0, 0));
    }
}
