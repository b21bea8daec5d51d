//! Bans: words that have no place in the tree, each with the reason and the alternative.

use super::Finding;
use crate::tokens::{Kind, Token, blank_python};
use crate::tree::{File, Tree};

/// Files that may say `unsafe`, each with its reason.
const UNSAFE: &[(&str, &str)] = &[];

/// Names of queues without a bound, in either language.
const UNBOUNDED: &[&str] =
    &["unbounded", "unbounded_channel", "UnboundedReceiver", "UnboundedSender", "SimpleQueue"];

/// Files that tools write, with hosts and checksums that are theirs.
const GENERATED: &[&str] = &["Cargo.lock", "uv.lock"];

/// Registries and their mirrors. Written in two halves, so that this file may itself be checked.
const HOSTS: &[(&str, &str)] = &[
    ("crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("npmjs", ".org"),
    ("anaconda", ".org"),
    ("docker", ".io"),
    ("ghcr", ".io"),
];

/// Roots of paths that exist on one machine only, in two halves like the hosts. Homes are not among them: tests
/// about environments make up a `$HOME`.
const MACHINE: &[(&str, &str)] = &[("/wo", "rk/"), ("/ro", "ot/")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.with_extension("rs").flat_map(|(file, text)| rust(file, text));
    let python = tree.with_extension("py").flat_map(|(file, text)| python(file, text));
    let everywhere = tree
        .files
        .iter()
        .filter(|file| !GENERATED.iter().any(|name| file.path.rsplit('/').next() == Some(name)))
        .flat_map(|file| file.text.as_deref().map_or_else(Vec::new, |text| words(file, text)));
    rust.chain(python).chain(everywhere).collect()
}

fn rust(file: &File, text: &str) -> Vec<Finding> {
    let tokens = match file.tokens() {
        Ok(tokens) => tokens,
        Err(broken) => {
            let what = format!("this is not Rust: {}", broken.message);
            return vec![Finding::new(
                &file.path,
                broken.line,
                what,
                "nothing else here can be checked",
                "mend it",
            )];
        }
    };
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Word) {
        let before = &tokens[..index];
        if token.is("unsafe") && !UNSAFE.iter().any(|(path, _)| *path == file.path) {
            findings.push(Finding::new(
                &file.path,
                token.line,
                "`unsafe`",
                "memory safety is the compiler's to prove",
                "use rustix or another safe wrapper, or add the file and its reason to xtask/src/tidy/bans.rs",
            ));
        }
        if UNBOUNDED.contains(&token.text.as_str()) || is_channel_without_bound(tokens, index) {
            findings.push(no_bound(file, token.line, &token.text));
        }
        if token.is("sleep")
            && file.is_under("tests")
            && is_of_thread(before)
            && !excused(text, token.line, "//")
        {
            findings.push(sleep(file, token.line, "thread::sleep", "//"));
        }
    }
    findings
}

fn python(file: &File, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in blank_python(text).lines().enumerate() {
        let number = index + 1;
        let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        if let Some(name) = words.iter().find(|word| UNBOUNDED.contains(word)) {
            findings.push(no_bound(file, number, name));
        } else if line.contains("Queue()") {
            findings.push(no_bound(file, number, "Queue()"));
        }
        let sleeps = line.contains("time.sleep")
            || (line.trim_start().starts_with("from time import") && words.contains(&"sleep"));
        if file.is_under("tests") && sleeps && !excused(text, number, "#") {
            findings.push(sleep(file, number, "time.sleep", "#"));
        }
    }
    findings
}

/// `mpsc::channel()`, with or without types, of std: tokio's takes its bound as an argument.
fn is_channel_without_bound(tokens: &[Token], index: usize) -> bool {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.is(text));
    let named = index >= 2 && is(index - 1, "::") && is(index - 2, "mpsc") && tokens[index].is("channel");
    let mut call = index + 1;
    if is(call, "::") && is(call + 1, "<") {
        call = (call..tokens.len()).find(|at| is(*at, "(") || is(*at, ";")).unwrap_or(tokens.len());
    }
    named && is(call, "(") && is(call + 1, ")")
}

/// Whether the tokens before a word end in `thread::`, or in the `thread::{…` of a `use`.
fn is_of_thread(before: &[Token]) -> bool {
    let mut inner = before;
    while let [rest @ .., last] = inner
        && (last.kind == Kind::Word || last.is(","))
    {
        inner = rest;
    }
    let direct = matches!(before, [.., thread, colons] if thread.is("thread") && colons.is("::"));
    let listed = matches!(inner, [.., thread, colons, open]
        if thread.is("thread") && colons.is("::") && open.is("{"));
    direct || listed
}

/// Whether the line, or the one above it, has a comment `sleep: <reason>`.
fn excused(text: &str, line: usize, comment: &str) -> bool {
    let mark = format!("{comment} sleep: ");
    let has = |number: usize| {
        let line = number.checked_sub(1).and_then(|index| text.lines().nth(index));
        line.and_then(|line| line.split_once(&mark)).is_some_and(|(_, reason)| !reason.trim().is_empty())
    };
    has(line) || has(line - 1)
}

fn no_bound(file: &File, line: usize, name: &str) -> Finding {
    let why = "every queue has a capacity from construction, or memory is the bound";
    Finding::new(
        &file.path,
        line,
        format!("`{name}` has no bound"),
        why,
        "use a bounded channel, and say why that bound",
    )
}

fn sleep(file: &File, line: usize, name: &str, comment: &str) -> Finding {
    let why = "a test that waits for time is slow when all is well, and fails when the machine is busy";
    let mend =
        format!("wait for the event, with a timeout, or end the line with `{comment} sleep: <reason>`");
    Finding::new(&file.path, line, format!("`{name}` in a test"), why, mend)
}

/// Hosts and paths, in any text.
fn words(file: &File, text: &str) -> Vec<Finding> {
    let hosts: Vec<_> = HOSTS.iter().map(|(name, end)| format!("{name}{end}")).collect();
    let paths: Vec<_> = MACHINE.iter().map(|(start, end)| format!("{start}{end}")).collect();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for host in hosts.iter().filter(|host| line.to_lowercase().contains(host.as_str())) {
            let why = "which registry serves a machine is for that machine's settings to say";
            let mend = "name the package, and let cargo, pip or uv find it";
            findings.push(Finding::new(&file.path, index + 1, format!("the host name `{host}`"), why, mend));
        }
        for path in paths.iter().filter(|path| names_root(line, path)) {
            let why = "the path exists on one machine only";
            let mend = "make it relative to the tree, or make it up under a temporary folder";
            findings.push(Finding::new(&file.path, index + 1, format!("a path below `{path}`"), why, mend));
        }
    }
    findings
}

/// Whether `line` has an absolute path that begins with `root`, not one that merely contains it.
fn names_root(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"_-./~}*>)]".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        found(check, &[(path, text)])
    }

    #[test]
    fn unsafe_is_found_in_code_only() {
        assert_eq!(of("a.rs", "// unsafe\n#![deny(unsafe_code)]\nconst A: &str = \"unsafe\";"), [""; 0]);
        assert_eq!(of("a.rs", "fn f() {\n    unsafe { g() }\n}"), ["a.rs:2: `unsafe`"]);
        assert_eq!(of("a.rs", "wrap! { unsafe fn f() {} }").len(), 1);
    }

    #[test]
    fn queues_need_a_bound() {
        assert_eq!(of("a.rs", "let (a, b) = mpsc::channel(8); sync_channel(1); fn channel() {}"), [""; 0]);
        assert_eq!(of("a.rs", "use tokio::sync::mpsc::unbounded_channel;").len(), 1);
        assert_eq!(of("a.rs", "std::sync::mpsc::channel()").len(), 1);
        assert_eq!(of("a.rs", "mpsc::channel::<Vec<u8>>()").len(), 1);
        assert_eq!(of("a.py", "q = queue.Queue(maxsize=3)  # not SimpleQueue\n"), [""; 0]);
        assert_eq!(of("a.py", "q = queue.Queue()\nr = SimpleQueue()\n").len(), 2);
    }

    #[test]
    fn tests_do_not_sleep() {
        assert_eq!(of("crates/a/tests/it/b.rs", "std::thread::sleep(d);").len(), 1);
        assert_eq!(of("crates/a/tests/it/b.rs", "use std::thread::{self, sleep};").len(), 1);
        assert_eq!(of("python/tests/test_a.py", "import time\ntime.sleep(1)\n").len(), 1);
        assert_eq!(of("python/tests/test_a.py", "from time import monotonic, sleep\n").len(), 1);
    }

    #[test]
    fn a_reason_excuses_a_sleep_and_other_code_may() {
        assert_eq!(
            of("crates/a/tests/it/b.rs", "thread::sleep(d); // sleep: the kernel has no event\n"),
            [""; 0]
        );
        assert_eq!(of("crates/a/tests/it/b.rs", "tokio::time::sleep(d).await; // time is paused\n"), [""; 0]);
        assert_eq!(of("python/tests/worker.py", "# sleep: plays a slow call\ntime.sleep(1)\n"), [""; 0]);
        assert_eq!(of("python/tests/worker.py", "time.sleep(1)  # sleep: \n").len(), 1);
        assert_eq!(of("python/slither/_a.py", "time.sleep(1)\n"), [""; 0]);
    }

    #[test]
    fn hosts_and_machine_paths_are_found_anywhere() {
        let host = format!("index = https://{}{}/simple", HOSTS[1].0, HOSTS[1].1);
        let path = format!("cd {}{}main", MACHINE[0].0, MACHINE[0].1);
        assert_eq!(of("a.toml", &host).len(), 1);
        assert_eq!(of("a.md", &path).len(), 1);
        assert_eq!(of("Cargo.lock", &host), [""; 0]);
        let inside = format!("see src{}{}main and the crates index", MACHINE[0].0, MACHINE[0].1);
        assert_eq!(of("a.md", &inside), [""; 0]);
    }

    #[test]
    fn broken_rust_is_a_finding() {
        assert_eq!(of("a.rs", "fn f( {").len(), 1);
    }
}
