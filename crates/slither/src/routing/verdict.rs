//! What `slither probe` has measured, kept for the router: [`Verdict`], and the folder of them, [`Verdicts`].

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::candidate::Profile;
use super::source::Source;
use super::traits::Work;
use crate::error::ConfigError;
use crate::python::{Env, cache_folder, fingerprint};

/// A longer file was not written by us.
const LONGEST: u64 = 1 << 20;
/// Interpreters that are remembered for a function; the oldest is forgotten.
const MOST: usize = 8;

/// What threads did to a function's results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Nothing: they were the same as one after the other.
    Same,
    /// They differed from any that one call after the other gives; how.
    Race(String),
    /// They depend on which calls came before, also one after the other; how.
    Stateful(String),
    /// They differ each time, so that nothing can be told; how.
    Unrepeatable(String),
}

/// What was measured of a function with one interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `module:qualified.name`.
    pub function: String,
    /// The hash of the file that defined it then.
    pub source: String,
    /// The interpreter.
    pub python: PathBuf,
    /// Its version.
    pub version: String,
    /// Whether the GIL was off, with all that the function imports.
    pub without_gil: bool,
    /// What threads did to its results.
    pub finding: Finding,
    /// What its calls do.
    pub work: Work,
    /// Where it belongs.
    pub profile: Profile,
    /// Of how many workers.
    pub workers: usize,
    /// With how many calls at once in each.
    pub at_once: usize,
    /// Why, the weightiest reason first.
    pub because: Vec<String>,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// The folder where verdicts are kept: `verdicts` in the cache, a file a function.
#[derive(Debug, Clone)]
pub struct Verdicts {
    folder: Result<PathBuf, ConfigError>,
}

impl Verdicts {
    /// The folder, as the variables of this process say. It need not exist; without a place for a cache none is read,
    /// and none can be kept.
    pub fn locate() -> Self {
        Self::locate_in(&Env::from_process())
    }

    /// [`locate`](Self::locate) with these variables.
    pub fn locate_in(env: &Env) -> Self {
        Self { folder: cache_folder(env, "verdicts") }
    }

    /// Where the verdicts on a function are.
    fn path(&self, function: &str, file: &Path) -> Result<PathBuf, ConfigError> {
        let name = fingerprint([function.as_bytes(), file.as_os_str().as_encoded_bytes()]);
        Ok(self.folder.clone()?.join(name).with_extension("json"))
    }

    /// The verdicts on a function that were given on this very source. None if it has no source, or what is kept
    /// cannot be read: then it is as if nothing had been measured.
    pub fn of(&self, function: &str, source: &Source) -> Vec<Verdict> {
        let (Some(file), Some(hash)) = (&source.file, &source.hash) else { return Vec::new() };
        let mut verdicts = self.path(function, file).map(|path| read(&path)).unwrap_or_default();
        verdicts.retain(|verdict| verdict.function == function && verdict.source == *hash);
        verdicts
    }

    /// Keeps a verdict, in place of the one on the same interpreter and of those on other sources; returns where.
    ///
    /// # Errors
    /// If the file cannot be written, or there is no place for a cache.
    pub fn keep(&self, verdict: Verdict, file: &Path) -> Result<PathBuf, ConfigError> {
        let path = self.path(&verdict.function, file)?;
        let mut verdicts = read(&path);
        verdicts.retain(|old| old.source == verdict.source && old.python != verdict.python);
        verdicts.drain(..verdicts.len().saturating_sub(MOST - 1));
        verdicts.push(verdict);
        // Whoever reads meanwhile finds the old file or the new one.
        let aside = path.with_extension(format!("{}.part", std::process::id()));
        let folder = path.parent().unwrap_or(&path);
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&aside, serde_json::to_vec_pretty(&verdicts)?))
            .and_then(|()| fs::rename(&aside, &path));
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = fs::remove_file(&aside);
                Err(ConfigError::new(format!("the verdict {} cannot be written: {error}", path.display()))
                    .hint("set SLITHER_CACHE_DIR to a directory that can be written to"))
            }
        }
    }
}

fn read(path: &Path) -> Vec<Verdict> {
    if !fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() <= LONGEST) {
        return Vec::new();
    }
    fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(python: &str, source: &str) -> Verdict {
        Verdict {
            function: "m:f".into(),
            source: source.into(),
            python: python.into(),
            version: "3.14.0".into(),
            without_gil: true,
            finding: Finding::Same,
            work: Work::Cpu,
            profile: Profile::Threads,
            workers: 1,
            at_once: 2,
            because: vec!["it was faster".into()],
            at: 0,
        }
    }

    #[test]
    fn a_verdict_holds_for_its_source_and_its_interpreter() {
        let folder = std::env::temp_dir().join(format!("slither-verdicts-{}", std::process::id()));
        let env = Env::from_variables([("SLITHER_CACHE_DIR", &folder)]);
        let verdicts = Verdicts::locate_in(&env);
        let source =
            |hash: &str| Source { file: Some("/m.py".into()), hash: Some(hash.into()), ..Source::default() };
        let file = Path::new("/m.py");
        assert_eq!(verdicts.of("m:f", &source("1")), []);
        verdicts.keep(verdict("/a", "1"), file).unwrap();
        verdicts.keep(verdict("/b", "1"), file).unwrap();
        let path = verdicts.keep(Verdict { workers: 7, ..verdict("/a", "1") }, file).unwrap();
        let kept = verdicts.of("m:f", &source("1"));
        assert_eq!(kept, [verdict("/b", "1"), Verdict { workers: 7, ..verdict("/a", "1") }]);
        assert_eq!(verdicts.of("m:f", &source("2")), [], "the source has changed since");
        assert_eq!(verdicts.of("m:f", &Source::default()), []);

        verdicts.keep(verdict("/b", "2"), file).unwrap();
        assert_eq!(verdicts.of("m:f", &source("1")), [], "what is of an older source is forgotten");
        for n in 0..20 {
            verdicts.keep(verdict(&format!("/{n}"), "2"), file).unwrap();
        }
        assert_eq!(verdicts.of("m:f", &source("2")).len(), MOST);
        fs::write(&path, b"{ no json").unwrap();
        assert_eq!(verdicts.of("m:f", &source("2")), [], "what cannot be read is no verdict");
        fs::remove_dir_all(folder).unwrap();
    }
}
