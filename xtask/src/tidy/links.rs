//! Links: what a page points at inside the tree is there.

use super::Finding;
use crate::tree::Tree;

const WHY: &str = "a reader who follows it is lost";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, text) in tree.with_extension("md") {
        for (line, target) in targets(text) {
            if is_elsewhere(target) {
                continue;
            }
            let path = target.split(['#', '?']).next().unwrap_or_default();
            let resolved = resolve(&file.path, path);
            if !path.is_empty() && !resolved.as_deref().is_some_and(|path| tree.has(path)) {
                let what = format!("the link to `{target}` leads nowhere");
                let mend = "mend the path, or add the file to git";
                findings.push(Finding::new(&file.path, line, what, WHY, mend));
            }
        }
    }
    findings
}

/// URLs are not followed, and names like `crate::Store` are links of rustdoc, which checks them itself.
fn is_elsewhere(target: &str) -> bool {
    target.starts_with('#')
        || target.contains("://")
        || target.starts_with("mailto:")
        || target.contains("::")
}

/// The targets of `[text](target)` and `[name]: target` outside code, with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                let definition = start.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
                if let Some((_, target)) = definition {
                    targets.push((index + 1, first_word(target)));
                }
                // Every second piece between backticks is code.
                for prose in line.split('`').step_by(2) {
                    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
                    targets.extend(inline.map(|target| (index + 1, first_word(target))));
                }
            }
            _ => {}
        }
    }
    targets
}

/// The target without its title and angle brackets.
fn first_word(target: &str) -> &str {
    let target = target.trim();
    match target.strip_prefix('<') {
        Some(rest) => rest.split('>').next().unwrap_or_default(),
        None => target.split_whitespace().next().unwrap_or_default(),
    }
}

/// `target`, seen from the file `from`, as a path from the root; `None` if it leaves the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let page = "[wire](docs/PROTOCOL.md#frames) [docs](docs/) ![p](./docs/p.svg \"title\") [web](https://a.b/c)\n\
                    [here](#here) `[code](nowhere)` [`Store`](crate::store)\n```\n[code](nowhere)\n```\n\n[ref]: <docs/p.svg>\n";
        let files = [("README.md", page), ("docs/PROTOCOL.md", "[up](../README.md)\n"), ("docs/p.svg", "")];
        assert_eq!(found(check, &files), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_fail() {
        let page = "one\n[a `b`](gone.md)\n[c](../../out.md)\n\n[ref]: gone.txt\n";
        assert_eq!(
            found(check, &[("docs/a.md", page)]),
            [
                "docs/a.md:2: the link to `gone.md` leads nowhere",
                "docs/a.md:3: the link to `../../out.md` leads nowhere",
                "docs/a.md:5: the link to `gone.txt` leads nowhere",
            ]
        );
    }
}
