//! The Python SDK: carried inside the library, so that both always speak the same protocol.

use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{Cache, fingerprint};
use super::env::Env;
use super::progress::Progress;
use crate::error::ConfigError;

// `FILES` and `BRIDGE`: `&[(&str, &[u8])]`, paths below the package and contents, sorted; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

type Files = &'static [(&'static str, &'static [u8])];

/// Where each package is below the directory of the SDK. What only adapters need is out of the way of imports: Python puts
/// its folder on `sys.path` where there is an adapter.
const PACKAGES: [(&str, Files); 2] = [("slither", FILES), ("for-adapters/snakepit_bridge", BRIDGE)];

/// Extracts the SDK unless it is there, and returns the directory to put on `sys.path`.
pub(super) fn extract(env: &Env, cache: &Cache, progress: &dyn Progress) -> Result<PathBuf, ConfigError> {
    let files = PACKAGES.iter().flat_map(|(package, files)| {
        std::iter::once(package.as_bytes())
            .chain(files.iter().flat_map(|(name, contents)| [name.as_bytes(), contents]))
    });
    let key = fingerprint(files);
    cache.get_or_make("sdk", &key, "the python SDK", env, progress, |dir| {
        let files =
            PACKAGES.iter().flat_map(|(package, files)| files.iter().map(move |file| (package, file)));
        files.into_iter().try_for_each(|(package, (name, contents))| {
            let path = dir.join(package).join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))
                .and_then(|()| fs::write(&path, contents))
                .map_err(|error| cache.unwritable(&path, &error))
        })
    })
}

/// The folder, in the directory of the SDK, of what only adapters need.
pub(super) fn for_adapters(sdk: &Path) -> PathBuf {
    sdk.join("for-adapters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_carries_the_packages() {
        for (package, files) in PACKAGES {
            let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
            assert!(names.contains(&"__init__.py"), "{package}: {names:?}");
            assert!(names.contains(&"py.typed"), "{package}: {names:?}");
            assert!(names.is_sorted());
            assert!(names.iter().all(|name| !name.contains("__pycache__")));
        }
    }
}
