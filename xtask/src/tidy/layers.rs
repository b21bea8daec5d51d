//! Layering: which module of the library may name which. The table is the rule; nothing else knows it.

use std::collections::HashMap;

use super::Finding;
use crate::tokens::{Kind, Token, after_group};
use crate::tree::{File, Tree};

const SOURCES: &str = "crates/slither/src/";
const WHY: &str = "lower layers must be readable, testable and replaceable without the higher ones";

/// What the modules of a layer may name beside themselves.
enum May {
    /// The base modules and these.
    Name(&'static [&'static str]),
    Everything,
}

/// Modules that import nothing above themselves, only each other.
const BASE: &[&str] =
    &["codec", "context", "error", "item", "metadata", "shutdown", "telemetry", "value", "waits"];

/// The modules above the base, lowest first. `lib` is the crate's root, and what it defines itself.
const LAYERS: &[(&str, May)] = &[
    ("python", May::Name(&[])),
    ("routing", May::Name(&["python"])),
    ("store", May::Name(&[])),
    ("dispatch", May::Name(&[])),
    ("letters", May::Name(&[])),
    ("pipe", May::Name(&["dispatch", "letters", "store"])),
    ("wire", May::Name(&[])),
    ("pool", May::Name(&["wire", "dispatch", "store", "python", "routing"])),
    ("fuzzing", May::Name(&["wire"])),
    ("runtime", May::Everything),
    ("lib", May::Everything),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let sources: Vec<_> = tree
        .with_extension("rs")
        .map(|(file, _)| file)
        .filter(|file| file.path.starts_with(SOURCES))
        .collect();
    let exports = Exports::read(&sources);
    let mut findings = Vec::new();
    for file in sources {
        let module = module_of(&file.path);
        let top = module.first().map_or("lib", String::as_str);
        let Some(allowed) = allowed(top) else {
            let mend = "add it to the table in xtask/src/tidy/layers.rs, and to ARCHITECTURE.md";
            findings.push(Finding::new(&file.path, 1, format!("module `{top}` is in no layer"), WHY, mend));
            continue;
        };
        for (line, name) in file.tokens().map_or_else(|_| Vec::new(), |tokens| imports(tokens, &module)) {
            let target = exports.home(&name);
            if !allowed.permits(top, target) {
                findings.push(forbidden(file, line, top, &name, target, &allowed));
            }
        }
    }
    findings
}

fn forbidden(file: &File, line: usize, top: &str, name: &str, target: &str, allowed: &Allowed) -> Finding {
    let what = if name == target {
        format!("`{top}` names `crate::{name}`")
    } else {
        format!("`{top}` names `crate::{name}`, which is of `{target}`")
    };
    let reach = match allowed {
        Allowed::Everything => String::from("everything"),
        Allowed::Base => BASE.join(", "),
        Allowed::BaseAnd(modules) => [&["the base"], *modules].concat().join(", "),
    };
    let mend = format!("move the code, or hand it in from above; `{top}` may name: {reach}");
    Finding::new(&file.path, line, what, WHY, mend)
}

enum Allowed {
    Base,
    BaseAnd(&'static [&'static str]),
    Everything,
}

impl Allowed {
    fn permits(&self, top: &str, target: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Base => BASE.contains(&target),
            Self::BaseAnd(modules) => target == top || BASE.contains(&target) || modules.contains(&target),
        }
    }
}

fn allowed(top: &str) -> Option<Allowed> {
    if BASE.contains(&top) {
        return Some(Allowed::Base);
    }
    LAYERS.iter().find(|(name, _)| *name == top).map(|(_, may)| match may {
        May::Name(modules) => Allowed::BaseAnd(modules),
        May::Everything => Allowed::Everything,
    })
}

/// `pool::worker` of `crates/slither/src/pool/worker.rs`; nothing for the root.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix(SOURCES).unwrap_or(path).trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

/// Where the names that the root offers come from: `crate::Item` is of `item`.
struct Exports(HashMap<String, String>);

impl Exports {
    fn read(sources: &[&File]) -> Self {
        let mut homes = HashMap::new();
        for file in sources {
            let Ok(tokens) = file.tokens() else { continue };
            let module = module_of(&file.path);
            match module.first() {
                None => re_exports(tokens, &mut homes),
                Some(top) => macros(tokens, top, &mut homes),
            }
        }
        Self(homes)
    }

    /// The module that `crate::name` belongs to; `lib` for what nobody else is known to define.
    fn home<'a>(&'a self, name: &'a str) -> &'a str {
        if allowed(name).is_some() { name } else { self.0.get(name).map_or("lib", String::as_str) }
    }
}

fn re_exports(tokens: &[Token], homes: &mut HashMap<String, String>) {
    for start in (0..tokens.len()).filter(|index| tokens[*index].is("use")) {
        let end = (start..tokens.len()).find(|index| tokens[*index].is(";")).unwrap_or(tokens.len());
        let mut tree = &tokens[start + 1..end];
        while let [first, second, rest @ ..] = tree
            && (first.is("crate") || first.is("self"))
            && second.is("::")
        {
            tree = rest;
        }
        let Some(module) = tree.first() else { continue };
        for (index, token) in tree.iter().enumerate().skip(1) {
            let last = tree.get(index + 1).is_none_or(|next| !next.is("::") && !next.is("as"));
            if token.kind == Kind::Word && last {
                homes.insert(token.text.clone(), module.text.clone());
            }
        }
    }
}

/// `#[macro_export]` puts a macro into the root, wherever it is written.
fn macros(tokens: &[Token], top: &str, homes: &mut HashMap<String, String>) {
    for window in tokens.windows(3) {
        if window[0].is("macro_rules") && window[1].is("!") {
            homes.insert(window[2].text.clone(), top.to_owned());
        }
    }
}

/// What a file of `module` names from the root: the line, and the first name after `crate::` or its like.
fn imports(tokens: &[Token], module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut path = module.to_vec();
    // The depths at which the inline modules in `path` end.
    let mut ends = Vec::new();
    let mut depth = 0_usize;
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let next = |offset: usize| tokens.get(index + offset);
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => {
                depth -= 1;
                if ends.last() == Some(&depth) {
                    ends.pop();
                    path.pop();
                }
            }
            _ => {}
        }
        if token.is("mod") && next(2).is_some_and(|open| open.is("{")) {
            path.extend(next(1).map(|name| name.text.clone()));
            ends.push(depth);
        }
        let climbs = token.is("crate") || token.is("super") || token.is("self");
        let begins = index == 0 || !tokens[index - 1].is("::");
        if climbs && begins && next(1).is_some_and(|colons| colons.is("::")) {
            let base = if token.is("crate") { Vec::new() } else { path.clone() };
            let from = if token.is("crate") { index + 2 } else { index };
            index = follow(tokens, from, base, &mut found).max(index + 1);
        } else {
            index += 1;
        }
    }
    found
}

/// Follows one path, or one tree of `use`, that continues from module `base` at `index`; the index after it.
fn follow(tokens: &[Token], index: usize, mut base: Vec<String>, found: &mut Vec<(usize, String)>) -> usize {
    let Some(token) = tokens.get(index) else { return index };
    let goes_on = tokens.get(index + 1).is_some_and(|next| next.is("::"));
    if token.is("super") || token.is("self") {
        if token.is("super") {
            base.pop();
        }
        return if goes_on { follow(tokens, index + 2, base, found) } else { index + 1 };
    }
    if token.is("{") {
        let end = after_group(tokens, index);
        let mut item = index + 1;
        while item + 1 < end {
            item = follow(tokens, item, base.clone(), found).max(item + 1);
            // Past `as name`, to the next branch.
            while item < end && !tokens[item - 1].is(",") {
                item += 1;
            }
        }
        return end;
    }
    if base.is_empty() && (token.kind == Kind::Word || token.is("*")) {
        found.push((token.line, token.text.clone()));
    }
    let mut end = index + 1;
    while tokens.get(end).is_some_and(|colons| colons.is("::")) {
        end = match tokens.get(end + 1) {
            Some(open) if open.is("{") => after_group(tokens, end + 1),
            Some(word) if word.kind == Kind::Word => end + 2,
            _ => return end + 1,
        };
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    /// What is found in one file beside a root that re-exports some names.
    fn in_file(path: &str, text: &str) -> Vec<String> {
        let root = "mod error; mod item; pub use item::{Item, inner::Ledger as Count}; pub use pool::Pool;";
        found(check, &[(&format!("{SOURCES}{path}"), text), (&format!("{SOURCES}lib.rs"), root)])
    }

    #[test]
    fn imports_downwards_pass() {
        let text = "use crate::{dispatch::{Batch, Order as O}, store, error::*};\n\
                    fn f() { crate::wire::Frame::read::<crate::python::Found>() }\n\
                    pub(in crate::pool) mod a { use super::super::worker; use super::super::super::wire; }";
        assert_eq!(in_file("pool/keeper/mod.rs", text), [""; 0]);
    }

    #[test]
    fn imports_upwards_fail_with_their_line() {
        let text = "use std::fmt;\nuse crate::{error::E,\n    pool::{self, Pool}, wire};\n";
        assert_eq!(
            in_file("dispatch/order.rs", text),
            [
                "crates/slither/src/dispatch/order.rs:3: `dispatch` names `crate::pool`",
                "crates/slither/src/dispatch/order.rs:3: `dispatch` names `crate::wire`",
            ]
        );
    }

    #[test]
    fn paths_in_bodies_and_macros_count() {
        let text = "fn f() { select! { x = crate::pool::go() => $crate::store::y } }";
        assert_eq!(in_file("wire.rs", text).len(), 2);
    }

    #[test]
    fn climbing_out_with_super_counts() {
        assert_eq!(in_file("store/table.rs", "use super::super::dispatch::Batch;").len(), 1);
        assert_eq!(in_file("store/mod.rs", "use self::table::T; use super::pipe;").len(), 1);
        assert_eq!(in_file("store.rs", "mod tests { use super::super::{pool, error}; }").len(), 1);
        assert_eq!(in_file("store/table.rs", "use super::{super::{pool}, view};").len(), 1);
        assert_eq!(in_file("store/table.rs", "use super::view; mod tests { use super::*; }"), [""; 0]);
    }

    #[test]
    fn names_of_the_root_count_as_of_their_module() {
        assert_eq!(in_file("store.rs", "use crate::{Item, Count};"), [""; 0]);
        assert_eq!(
            in_file("store.rs", "use crate::Pool;"),
            ["crates/slither/src/store.rs:1: `store` names `crate::Pool`, which is of `pool`"]
        );
        assert_eq!(in_file("store.rs", "use crate::Unheard;").len(), 1);
        assert_eq!(in_file("store.rs", "use crate::*;").len(), 1);
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        assert_eq!(in_file("store.rs", "//! [`crate::pool`]\nconst A: &str = \"crate::pool::X\";"), [""; 0]);
    }

    #[test]
    fn a_module_outside_the_table_fails_and_the_runtime_may_all() {
        assert_eq!(in_file("helpers.rs", "").len(), 1);
        assert_eq!(in_file("runtime/builder.rs", "use crate::{pool, pipe, Slither};"), [""; 0]);
    }
}
