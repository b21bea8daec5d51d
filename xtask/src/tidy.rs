//! `cargo xtask tidy`: what the compilers do not check. One check a file, each a function from the tree to findings.

mod bans;
mod event_table;
mod invariants;
mod layers;
mod links;
mod openings;
mod sizes;

use std::fmt;
use std::path::Path;

use crate::tree::Tree;

/// A place in the tree that breaks a rule.
#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    what: String,
    why: &'static str,
    mend: String,
    /// A warning is printed and passes.
    warning: bool,
}

impl Finding {
    fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        why: &'static str,
        mend: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), line, what: what.into(), why, mend: mend.into(), warning: false }
    }

    fn warning(self) -> Self {
        Self { warning: true, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        write!(f, "{}:{}: {kind}{}; {}; {}", self.path, self.line, self.what, self.why, self.mend)
    }
}

/// The checks, in the order in which their findings are printed.
const CHECKS: &[fn(&Tree) -> Vec<Finding>] = &[
    layers::check,
    openings::check,
    sizes::check,
    bans::check,
    invariants::check,
    event_table::check,
    links::check,
];

/// Prints what breaks a rule.
///
/// # Errors
/// Something does, or the tree cannot be read.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let findings: Vec<_> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    for finding in &findings {
        println!("{finding}");
    }
    let warnings = findings.iter().filter(|finding| finding.warning).count();
    match findings.len() - warnings {
        0 => {
            println!("tidy: {} files, nothing broken, {warnings} warnings", tree.files.len());
            Ok(())
        }
        violations => Err(format!("tidy found {violations} violations and {warnings} warnings")),
    }
}

/// What a check finds in files made up for a test, as `path:line: what`.
#[cfg(test)]
fn found(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&Tree::of(files));
    findings.iter().map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_what_why_and_how_to_mend() {
        let finding = Finding::new("a.rs", 3, "it is broken", "users fall in", "close it");
        assert_eq!(finding.to_string(), "a.rs:3: it is broken; users fall in; close it");
        assert!(finding.warning().to_string().starts_with("a.rs:3: warning: it is"));
    }
}
