//! A requirement, as `numpy>=2`: told from options and paths, and compared with what is installed.

use std::cmp::Ordering;

use crate::error::ConfigError;

/// The name of a package, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Requirement {
    text: String,
    name_end: usize,
}

impl Requirement {
    /// Takes anything that begins with a package's name; what follows is for uv to understand.
    ///
    /// Options and paths are refused: what they mean depends on more than the key of an overlay says.
    pub(super) fn new(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim().to_owned();
        let letter = |c: char| c.is_ascii_alphanumeric();
        let name_end = text.find(|c| !(letter(c) || "-_.".contains(c))).unwrap_or(text.len());
        if !text.starts_with(letter) || text[name_end..].starts_with(['/', ':']) {
            return Err(ConfigError::new(format!(
                "`{text}` is not a requirement: expected the name of a package, with a range of versions or without"
            ))
            .hint("write it as in `numpy>=2`; put local code on the pool's python_path instead"));
        }
        Ok(Self { text, name_end })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn name(&self) -> &str {
        &self.text[..self.name_end]
    }

    /// As an argument in a shell.
    pub(super) fn quoted(&self) -> String {
        match self.name_end == self.text.len() {
            true => self.text.clone(),
            false => format!("'{}'", self.text.replace('\'', "\"")),
        }
    }

    /// Whether a text speaks of this package, whichever way it spells the name.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        let plain = |text: &str| text.to_lowercase().replace(['_', '.'], "-");
        let (text, name) = (plain(text), plain(self.name()));
        text.match_indices(&name).any(|(at, _)| {
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !text[..at].ends_with(inside)
                && !text[at + name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
        })
    }

    /// Whether an installed version is certain to do.
    ///
    /// Understands plain comparisons of release numbers. Extras, markers, wildcards and pre-releases are "no": then
    /// uv, which knows all the rules, decides.
    pub(super) fn is_met_by(&self, version: &str) -> bool {
        let Some(version) = release(version.split('+').next().unwrap_or_default()) else { return false };
        let clauses = self.text[self.name_end..].trim();
        clauses.is_empty() || clauses.split(',').all(|clause| holds(clause.trim(), &version).unwrap_or(false))
    }
}

/// Whether one clause, as `>=2`, holds; nothing if it is not understood.
fn holds(clause: &str, version: &[u64]) -> Option<bool> {
    const OPERATORS: [&str; 7] = [">=", "<=", "==", "!=", "~=", ">", "<"];
    let operator = OPERATORS.into_iter().find(|operator| clause.starts_with(operator))?;
    let bound = release(clause[operator.len()..].trim())?;
    let order = compare(version, &bound);
    Some(match operator {
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        // All but the last number are fixed.
        _ => bound.len() > 1 && order.is_ge() && version.starts_with(&bound[..bound.len() - 1]),
    })
}

/// The numbers of a version that has nothing else.
fn release(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

/// Compares as if the shorter one went on with zeros: 2 is 2.0.
fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let at = |numbers: &[u64], place: usize| numbers.get(place).copied().unwrap_or(0);
    let places = 0..a.len().max(b.len());
    places.map(|place| at(a, place).cmp(&at(b, place))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(text: &str) -> Requirement {
        Requirement::new(text).unwrap()
    }

    #[test]
    fn options_and_paths_are_refused() {
        for bad in ["--index=x", "./local", "/abs", "", "-e .", "local/package", "file:///x"] {
            assert!(Requirement::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_installed_is_judged_with_care() {
        for (text, version, met) in [
            ("numpy", "1.26.4", true),
            ("numpy>=2", "1.26.4", false),
            ("numpy >= 1.26, < 3", "2.0.1", true),
            ("numpy==2", "2.0.0", true),
            ("numpy!=2.0", "2.0.0", false),
            ("numpy~=2.1", "2.4.0", true),
            ("numpy~=2.1.3", "2.4.0", false),
            ("torch>=2.1", "2.1.0+cu118", true),
            ("numpy>=2", "2.1.0rc1", false),
            ("numpy==2.*", "2.1.0", false),
            ("numpy[test]", "2.1.0", false),
            ("numpy; python_version < '3.12'", "2.1.0", false),
        ] {
            assert_eq!(requirement(text).is_met_by(version), met, "{text} by {version}");
        }
    }

    #[test]
    fn a_name_is_found_as_a_word() {
        let numpy = requirement("numpy>=2");
        assert!(numpy.is_named_in("no version of numpy>=2 was found"));
        assert!(!numpy.is_named_in("no version of numpy2 was found, nor of my-numpy"));
        assert!(requirement("Foo_Bar").is_named_in("because foo-bar was not found"));
        assert_eq!(requirement("a; python_version < '4'").quoted(), "'a; python_version < \"4\"'");
    }
}
