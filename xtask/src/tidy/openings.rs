//! Openings: every source file begins by saying what it is.

use super::Finding;
use crate::tree::Tree;

const WHY: &str = "a reader decides at the first line whether this is the file to read";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.with_extension("rs").filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| {
        Finding::new(
            &file.path,
            1,
            "the file does not open with `//!`",
            WHY,
            "say in a sentence what it holds",
        )
    });
    let python = tree
        .with_extension("py")
        .filter(|(file, _)| file.path.starts_with("python/") || file.path.starts_with("examples/"))
        .filter(|(_, text)| !opens_with_docstring(text))
        .map(|(file, _)| {
            Finding::new(&file.path, 1, "the module has no docstring", WHY, "say in a sentence what it holds")
        });
    rust.chain(python).collect()
}

fn opens_with_docstring(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    first.trim_start_matches(['r', 'R']).starts_with(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn openings_pass() {
        let files = [
            ("src/a.rs", "//! A.\n"),
            ("python/a.py", "#!/usr/bin/env python3\n\n\"\"\"A.\"\"\"\n"),
            ("examples/x/b.py", "r'''B.'''\n"),
            ("bench/peer.py", "import os\n"),
        ];
        assert_eq!(found(check, &files), [""; 0]);
    }

    #[test]
    fn files_without_one_fail() {
        let files = [
            ("src/a.rs", "// A.\n//! B.\n"),
            ("python/a.py", "import os\n\"\"\"A.\"\"\"\n"),
            ("python/b.py", ""),
        ];
        assert_eq!(found(check, &files).len(), 3);
    }
}
