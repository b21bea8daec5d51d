//! Invariants: each numbered promise of ARCHITECTURE.md names a test that exists and runs.

use std::collections::HashSet;

use super::Finding;
use crate::tokens::{Kind, Token, after_group};
use crate::tree::{File, Tree};

const PAGE: &str = "ARCHITECTURE.md";
const WHY: &str = "an invariant that no test guards is a hope";
const MEND: &str = "name a test that runs, as `file.rs::name` or as `name`";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.file(PAGE).and_then(|page| page.text.as_deref()) else {
        return vec![Finding::new(PAGE, 1, "the page is missing", WHY, "write it, with numbered invariants")];
    };
    let invariants = numbered(text);
    if invariants.is_empty() {
        let what = "no numbered list under a heading with `invariants`";
        return vec![Finding::new(PAGE, 1, what, WHY, "number the invariants, one an entry")];
    }
    let tests = Tests::read(tree);
    invariants.iter().flat_map(|(line, invariant)| judge(*line, invariant, &tests)).collect()
}

fn judge(line: usize, invariant: &str, tests: &Tests<'_>) -> Vec<Finding> {
    let number = invariant.split(['.', ')']).next().unwrap_or_default();
    let mut named = false;
    let mut findings = Vec::new();
    for reference in invariant.split('`').skip(1).step_by(2) {
        match tests.look_up(reference) {
            Found::Test => named = true,
            Found::Missing => {
                let what = format!("invariant {number} names `{reference}`, which is no test");
                findings.push(Finding::new(PAGE, line, what, WHY, MEND));
            }
            Found::NoReference => {}
        }
    }
    if !named && findings.is_empty() {
        findings.push(Finding::new(PAGE, line, format!("invariant {number} names no test"), WHY, MEND));
    }
    findings
}

/// The entries of the numbered lists under headings that speak of invariants, with their first lines.
fn numbered(text: &str) -> Vec<(usize, String)> {
    let mut entries: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("invariant");
            open = false;
        } else if inside && is_numbered(line) {
            entries.push((index + 1, line.trim_start().to_owned()));
            open = true;
        } else if line.trim().is_empty() {
            // A blank line ends an entry unless the next line is indented, as in Markdown.
            open &= text.lines().nth(index + 1).is_some_and(|next| next.starts_with(' '));
        } else if open && let Some((_, entry)) = entries.last_mut() {
            entry.push(' ');
            entry.push_str(line.trim());
        }
    }
    entries
}

fn is_numbered(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && (rest.starts_with(". ") || rest.starts_with(") "))
}

/// The tests of the tree: file and name.
struct Tests<'a> {
    names: HashSet<(&'a str, String)>,
}

enum Found {
    Test,
    Missing,
    NoReference,
}

impl<'a> Tests<'a> {
    fn read(tree: &'a Tree) -> Self {
        let rust = tree.with_extension("rs").flat_map(|(file, _)| {
            let names = file.tokens().map_or_else(|_| Vec::new(), rust_tests);
            names.into_iter().map(move |name| (file, name))
        });
        let python = tree
            .with_extension("py")
            .flat_map(|(file, text)| text.lines().filter_map(python_test).map(move |name| (file, name)));
        let named = |(file, name): (&'a File, String)| (file.path.as_str(), name);
        Self { names: rust.chain(python).map(named).collect() }
    }

    fn look_up(&self, reference: &str) -> Found {
        let parts: Vec<_> = reference.trim_end_matches("()").split("::").collect();
        let Some(name) = parts.last().copied() else { return Found::NoReference };
        let file =
            parts[..parts.len() - 1].iter().find(|part| part.ends_with(".rs") || part.ends_with(".py"));
        let is_test = |in_file: &dyn Fn(&str) -> bool| {
            self.names.iter().any(|(path, test)| test == name && in_file(path))
        };
        match file {
            Some(file) if is_test(&|path| path == *file || path.ends_with(&format!("/{file}"))) => {
                Found::Test
            }
            Some(_) => Found::Missing,
            None if is_test(&|_| true) => Found::Test,
            None => Found::NoReference,
        }
    }
}

/// Functions under an attribute `test`, `….test` or `…_test` that is not ignored.
fn rust_tests(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let (mut test, mut ignored) = (false, false);
    let mut index = 0;
    while index < tokens.len() {
        let token = &tokens[index];
        if token.is("#") && tokens.get(index + 1).is_some_and(|open| open.is("[")) {
            let path =
                tokens[index + 2..].iter().take_while(|token| token.kind == Kind::Word || token.is("::"));
            match path.last() {
                Some(last) if last.is("test") || last.text.ends_with("_test") => test = true,
                Some(last) if last.is("ignore") => ignored = true,
                _ => {}
            }
            index = after_group(tokens, index + 1);
            continue;
        }
        if token.is("fn") {
            if test && !ignored {
                names.extend(tokens.get(index + 1).map(|name| name.text.clone()));
            }
            (test, ignored) = (false, false);
        } else if token.is(";") || token.is("{") || token.is("}") {
            (test, ignored) = (false, false);
        }
        index += 1;
    }
    names
}

fn python_test(line: &str) -> Option<String> {
    let line = line.trim_start();
    let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ")?;
    let name = rest.split('(').next()?.trim();
    name.starts_with("test_").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    const RUST: (&str, &str) = (
        "crates/a/tests/it/ledger.rs",
        "#[tokio::test(start_paused = true)]\nasync fn it_balances() {}\n#[test]\n#[ignore]\nfn asleep() {}\n\
         proptest! { #[test] fn holds(a in 0..3) {} }\nfn helper() {}",
    );
    const PYTHON: (&str, &str) =
        ("python/tests/test_wire.py", "class T:\n    def test_caps(self):\n        pass\n");

    fn of(page: &str) -> Vec<String> {
        found(check, &[(PAGE, page), RUST, PYTHON])
    }

    #[test]
    fn a_missing_page_is_a_finding() {
        assert_eq!(found(check, &[RUST]), ["ARCHITECTURE.md:1: the page is missing"]);
        assert_eq!(of("# Purpose\n1. `it_balances`\n").len(), 1);
    }

    #[test]
    fn named_tests_pass() {
        let page = "## Invariants\n\n1. Counts balance: `Ledger`,\n   `ledger.rs::it_balances`.\n2. Caps: `test_caps`.\n\
                    3. `it/ledger.rs::tests::holds`\n\n## More\n\n1. free\n";
        assert_eq!(of(page), [""; 0]);
    }

    #[test]
    fn missing_ignored_and_foreign_tests_fail() {
        let page =
            "## Invariants\n1. `ledger.rs::gone`\n2. `asleep`\n3. `helper`\n4. `wire.rs::it_balances`\n";
        let what = [
            "2: invariant 1 names `ledger.rs::gone`, which is no test",
            "3: invariant 2 names no test",
            "4: invariant 3 names no test",
            "5: invariant 4 names `wire.rs::it_balances`, which is no test",
        ];
        assert_eq!(of(page), what.map(|what| format!("{PAGE}:{what}")));
    }
}
