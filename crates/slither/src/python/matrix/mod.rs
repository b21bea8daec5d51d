//! The compatibility matrix: what is known of Python libraries under threads, with and without a GIL.
//!
//! It is data, `libraries.toml` beside this file, so that a claim can be read, disputed and replaced without
//! reading code. What an interpreter really does is found by [`look`](Library::look).

mod look;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

pub use look::Import;

const BUILTIN: &str = include_str!("libraries.toml");

/// Longer files of one's own are a mistake.
const LONGEST: u64 = 1 << 20;

/// What is known of libraries, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    #[serde(rename = "library", default)]
    libraries: Vec<Library>,
}

/// What is known of one library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Library {
    /// The distribution, as one installs it, or a module of the standard library.
    pub name: String,
    /// The module whose import says what it does to the GIL, as `lxml.etree`.
    pub import: String,
    /// Whether several threads may use it at once.
    pub thread_safety: ThreadSafety,
    /// What becomes of a free-threaded interpreter that imports it.
    pub without_gil: WithoutGil,
    /// With what this was tried, if it was.
    #[serde(default)]
    pub seen: Option<String>,
    /// The variables that bound the threads of its native code; it starts none if there are none.
    pub native_threads: Vec<String>,
    /// What it takes, and what threads save of it.
    pub memory: String,
    /// Where its calls belong.
    pub recommend: Recommendation,
    /// Why.
    pub because: String,
    /// When this holds; where sources disagree, under which conditions each is right.
    pub conditions: Vec<String>,
    /// Who says so.
    pub sources: Vec<String>,
}

/// Whether several threads may use a library at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadSafety {
    /// Its objects may be shared between threads, and changed by them.
    Safe,
    /// Yes, under conditions.
    Conditional,
    /// One thread at a time, or a lock around everything.
    Unsafe,
}

/// What becomes of a free-threaded interpreter that imports a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithoutGil {
    /// The GIL stays off.
    StaysOff,
    /// The GIL is turned on, for the whole process.
    TurnsOn,
    /// It cannot be installed there.
    NoWheel,
    /// Nobody has looked.
    Unknown,
}

/// Where calls of a library belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recommendation {
    /// Into threads of one process, without a GIL.
    Threads,
    /// Into processes of their own.
    Processes,
    /// Nothing speaks for the one or the other.
    Either,
}

impl Matrix {
    /// What ships with Slither.
    pub fn builtin() -> &'static Self {
        static MATRIX: OnceLock<Matrix> = OnceLock::new();
        MATRIX.get_or_init(|| Self::parse(BUILTIN).expect("libraries.toml is read by a test"))
    }

    /// Reads a matrix as TOML: tables `[[library]]` with the fields of [`Library`].
    ///
    /// # Errors
    /// If it is no TOML, a field is missing, unknown or of another type (with line and column), or a name comes
    /// twice.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let matrix: Self = toml::from_str(text)
            .map_err(|error| ConfigError::new(format!("not a matrix: {}", error.to_string().trim_end())))?;
        let mut names = HashSet::new();
        match matrix.libraries.iter().find(|library| !names.insert(&library.name)) {
            Some(twice) => Err(ConfigError::new(format!("not a matrix: `{}` is there twice", twice.name))),
            None => Ok(matrix),
        }
    }

    /// What ships with Slither, with the libraries of a file in place of those of the same name, or behind them.
    ///
    /// # Errors
    /// If the file cannot be read, is longer than 1 MiB, or as [`parse`](Self::parse); the path is named.
    pub fn with_file(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display();
        let failed = |error| ConfigError::new(format!("the matrix {name} cannot be read: {error}"));
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > LONGEST {
            return Err(ConfigError::new(format!(
                "the matrix {name} is of {length} bytes, beyond {LONGEST}"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let own =
            Self::parse(&text).map_err(|error| ConfigError::new(format!("{name}: {}", error.message())))?;
        Ok(Self::builtin().clone().overridden_by(own))
    }

    /// This one, with the libraries of another in place of those of the same name, or behind them.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        for library in other.libraries {
            match self.libraries.iter_mut().find(|known| known.name == library.name) {
                Some(known) => *known = library,
                None => self.libraries.push(library),
            }
        }
        self
    }

    /// The libraries, in their order.
    pub fn libraries(&self) -> &[Library] {
        &self.libraries
    }

    /// A library by its distribution (`scikit-learn`) or by a module of it (`sklearn`, `sklearn.svm`).
    pub fn get(&self, name: &str) -> Option<&Library> {
        let top = name.split('.').next().unwrap_or(name);
        let named = |library: &&Library| library.name.eq_ignore_ascii_case(name);
        let imported = |library: &&Library| library.import.split('.').next() == Some(top);
        self.libraries.iter().find(named).or_else(|| self.libraries.iter().find(imported))
    }
}

impl fmt::Display for ThreadSafety {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safe => "safe",
            Self::Conditional => "conditional",
            Self::Unsafe => "unsafe",
        })
    }
}

impl fmt::Display for WithoutGil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaysOff => "stays off",
            Self::TurnsOn => "turned on",
            Self::NoWheel => "no build",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Either => "either",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_whole() {
        let matrix = Matrix::builtin();
        let wanted = [
            "numpy",
            "scipy",
            "torch",
            "tensorflow",
            "scikit-learn",
            "requests",
            "httpx",
            "pandas",
            "matplotlib",
            "sqlite3",
            "pillow",
            "pyarrow",
        ];
        for name in wanted {
            assert!(matrix.get(name).is_some(), "{name}");
        }
        for library in matrix.libraries() {
            let name = &library.name;
            assert!(!library.sources.is_empty(), "{name}: who says so?");
            let conditional = library.thread_safety == ThreadSafety::Conditional;
            assert!(!conditional || !library.conditions.is_empty(), "{name}: under which conditions?");
            let stuck = matches!(library.without_gil, WithoutGil::TurnsOn | WithoutGil::NoWheel);
            assert!(!stuck || library.recommend == Recommendation::Processes, "{name}: no threads there");
        }
    }

    #[test]
    fn a_library_is_found_by_what_one_installs_and_by_what_one_imports() {
        let name = |asked: &str| Matrix::builtin().get(asked).map(|library| library.name.as_str());
        assert_eq!(name("scikit-learn"), Some("scikit-learn"));
        assert_eq!(name("sklearn.svm"), Some("scikit-learn"));
        assert_eq!(name("PIL.Image"), Some("pillow"));
        assert_eq!(name("lxml.html"), Some("lxml"));
        assert_eq!(name("numpyish"), None);
    }

    #[test]
    fn ones_own_claims_go_before_what_ships() {
        let own = Matrix::parse(
            r#"
            [[library]]
            name = "pandas"
            import = "pandas"
            thread_safety = "safe"
            without_gil = "stays_off"
            native_threads = []
            memory = "little"
            recommend = "threads"
            because = "we only read"
            conditions = []
            sources = ["our own tests"]

            [[library]]
            name = "legacy-rules"
            import = "legacy"
            thread_safety = "unsafe"
            without_gil = "turns_on"
            native_threads = []
            memory = "much"
            recommend = "processes"
            because = "it is old"
            conditions = []
            sources = ["its author"]
            "#,
        )
        .unwrap();
        let matrix = Matrix::builtin().clone().overridden_by(own);
        assert_eq!(matrix.libraries().len(), Matrix::builtin().libraries().len() + 1);
        assert_eq!(matrix.get("pandas").unwrap().recommend, Recommendation::Threads);
        assert_eq!(matrix.get("legacy.engine").unwrap().name, "legacy-rules");
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = Matrix::parse("[[library]]\nname = \"x\"\nthread_safety = \"maybe\"\n").unwrap_err();
        let text = error.message();
        assert!(text.contains("line 3") && text.contains("maybe") && text.contains("conditional"), "{text}");
        let twice = BUILTIN.to_owned() + &BUILTIN[BUILTIN.find("[[library]]").unwrap()..];
        assert_eq!(Matrix::parse(&twice).unwrap_err().message(), "not a matrix: `numpy` is there twice");
    }
}
