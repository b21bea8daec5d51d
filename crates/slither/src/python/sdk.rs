//! The Python SDK: carried inside the library, so that both always speak the same protocol.

use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{Cache, fingerprint};
use super::env::Env;
use super::progress::Progress;
use crate::error::ConfigError;

// `FILES: &[(&str, &[u8])]`, paths below the package and contents, sorted; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// The name that Python imports it by.
const PACKAGE: &str = "slither";

/// Extracts the SDK unless it is there, and returns the directory to put on `sys.path`.
pub(super) fn extract(env: &Env, cache: &Cache, progress: &dyn Progress) -> Result<PathBuf, ConfigError> {
    let key = fingerprint(FILES.iter().flat_map(|(name, contents)| [name.as_bytes(), contents]));
    cache.get_or_make("sdk", &key, "the python SDK", env, progress, |dir| {
        let package = dir.join(PACKAGE);
        FILES.iter().try_for_each(|(name, contents)| {
            let path = package.join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))
                .and_then(|()| fs::write(&path, contents))
                .map_err(|error| cache.unwritable(&path, &error))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_carries_the_sdk() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"__init__.py"), "{names:?}");
        assert!(names.contains(&"py.typed"), "{names:?}");
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| !name.contains("__pycache__")));
    }
}
