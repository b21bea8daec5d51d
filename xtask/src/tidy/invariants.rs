//! Invariants: each numbered promise of ARCHITECTURE.md, and each row of the tables of promises in the guide to
//! reliability, names a test that exists and runs.

use std::collections::HashSet;

use super::Finding;
use crate::tokens::{Kind, Token, after_group};
use crate::tree::{File, Tree};

/// What a page promises: line, name and text of each promise.
type Promises = fn(&str) -> Vec<(usize, String, String)>;

/// The pages, what is missing if they promise nothing, and how they are read.
const PAGES: [(&str, &str, Promises); 2] = [
    ("ARCHITECTURE.md", "no numbered list under a heading with `invariants`", numbered),
    ("guides/reliability.md", "no table with a column `proven by`", rows),
];
const WHY: &str = "an invariant that no test guards is a hope";
const MEND: &str = "name a test that runs, as `file.rs::name` or as `name`";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tests = Tests::read(tree);
    PAGES.iter().flat_map(|(page, none, promises)| check_page(tree, page, none, *promises, &tests)).collect()
}

fn check_page(tree: &Tree, page: &str, none: &str, promises: Promises, tests: &Tests<'_>) -> Vec<Finding> {
    let Some(text) = tree.file(page).and_then(|page| page.text.as_deref()) else {
        return vec![Finding::new(
            page,
            1,
            "the page is missing",
            WHY,
            "write it, with the tests of each promise",
        )];
    };
    let promises = promises(text);
    if promises.is_empty() {
        return vec![Finding::new(page, 1, none, WHY, "name the promises, one an entry")];
    }
    promises.iter().flat_map(|(line, name, promise)| judge(page, *line, name, promise, tests)).collect()
}

fn judge(page: &str, line: usize, name: &str, promise: &str, tests: &Tests<'_>) -> Vec<Finding> {
    let mut named = false;
    let mut findings = Vec::new();
    for reference in promise.split('`').skip(1).step_by(2) {
        match tests.look_up(reference) {
            Found::Test => named = true,
            Found::Missing => {
                let what = format!("{name} names `{reference}`, which is no test");
                findings.push(Finding::new(page, line, what, WHY, MEND));
            }
            Found::NoReference => {}
        }
    }
    if !named && findings.is_empty() {
        findings.push(Finding::new(page, line, format!("{name} names no test"), WHY, MEND));
    }
    findings
}

/// The rows of the tables whose last column is `proven by`: the first cell is the name, the last is the text.
fn rows(text: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let Some(row) = line.strip_prefix('|') else {
            inside = false;
            continue;
        };
        let cells: Vec<&str> = row.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { continue };
        if *last == "proven by" {
            inside = true;
        } else if inside && !last.chars().all(|c| matches!(c, '-' | ':' | ' ')) {
            found.push((index + 1, format!("row `{first}`"), (*last).to_owned()));
        }
    }
    found
}

/// The entries of the numbered lists under headings that speak of invariants, with their first lines.
fn numbered(text: &str) -> Vec<(usize, String, String)> {
    let mut entries: Vec<(usize, String, String)> = Vec::new();
    let (mut inside, mut open) = (false, false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.to_lowercase().contains("invariant");
            open = false;
        } else if inside && is_numbered(line) {
            let entry = line.trim_start();
            let number = entry.split(['.', ')']).next().unwrap_or_default();
            entries.push((index + 1, format!("invariant {number}"), entry.to_owned()));
            open = true;
        } else if line.trim().is_empty() {
            // A blank line ends an entry unless the next line is indented, as in Markdown.
            open &= text.lines().nth(index + 1).is_some_and(|next| next.starts_with(' '));
        } else if open && let Some((.., entry)) = entries.last_mut() {
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

    const PAGE: &str = "ARCHITECTURE.md";
    const GUIDE: (&str, &str) =
        ("guides/reliability.md", "| promise | proven by |\n|---|---|\n| it holds | `it_balances` |\n");

    fn of(page: &str) -> Vec<String> {
        found(check, &[(PAGE, page), GUIDE, RUST, PYTHON])
    }

    #[test]
    fn each_row_of_a_table_of_promises_names_a_test() {
        let guide = "| figure | value |\n|---|---|\n| free | `gone` |\n\n| # | promise | proven by |\n|---|:---|---|\n\
                     | 1 | a | `test_caps`, `it_balances` |\n| 2 | b | `ledger.rs::gone` |\n| 3 | c | hope |\n";
        let found =
            found(check, &[(PAGE, "## Invariants\n1. `test_caps`\n"), (GUIDE.0, guide), RUST, PYTHON]);
        let what = ["8: row `2` names `ledger.rs::gone`, which is no test", "9: row `3` names no test"];
        assert_eq!(found, what.map(|what| format!("{}:{what}", GUIDE.0)));
    }

    #[test]
    fn a_missing_page_is_a_finding() {
        let missing = [PAGE, GUIDE.0].map(|page| format!("{page}:1: the page is missing"));
        assert_eq!(found(check, &[RUST]), missing);
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
