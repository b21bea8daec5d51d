//! The cache: directories that are made once, completely, by one process at a time.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::env::Env;
use super::progress::Progress;
use crate::error::ConfigError;

/// Written last into every directory, before it is renamed into place. It says what the directory is for.
const MARKER: &str = ".slither-complete";

/// How long another process may hold the lock of a directory, in units of the limit on one installation: the holder
/// may fetch `uv` first, from several sources.
const PATIENCE: u32 = 3;

/// The directory that all else is in.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `SLITHER_CACHE_DIR`, else `$XDG_CACHE_HOME/slither`, else `~/.cache/slither`. Nothing is made yet.
    pub(super) fn locate(env: &Env) -> Result<Self, ConfigError> {
        let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let root = match env.get("SLITHER_CACHE_DIR") {
            Some(dir) => std::path::absolute(dir).ok(),
            None => absolute("XDG_CACHE_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
                .map(|dir| dir.join("slither")),
        };
        root.map(|root| Self { root }).ok_or_else(|| {
            ConfigError::new(
                "there is no place for slither's cache: SLITHER_CACHE_DIR, XDG_CACHE_HOME and HOME are not set",
            )
            .hint("set SLITHER_CACHE_DIR to a directory that can be written to")
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of this key, if it is there and complete.
    pub(super) fn get(&self, kind: &str, key: &str) -> Option<PathBuf> {
        let dir = self.root.join(kind).join(key);
        dir.join(MARKER).is_file().then_some(dir)
    }

    /// The directory of this key, made by `make` unless it is there.
    ///
    /// `make` fills a directory that is empty and private. If it fails or the process dies, nothing is left under
    /// the key, and what is left aside is removed by whoever makes it next.
    pub(super) fn get_or_make(
        &self,
        kind: &str,
        key: &str,
        what: &str,
        env: &Env,
        progress: &dyn Progress,
        make: impl FnOnce(&Path) -> Result<(), ConfigError>,
    ) -> Result<PathBuf, ConfigError> {
        // Without the lock: what is complete stays so, and a cache that is read-only is as good as any.
        if let Some(dir) = self.get(kind, key) {
            return Ok(dir);
        }
        let parent = self.root.join(kind);
        let locks = self.root.join("locks");
        for dir in [&parent, &locks] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|error| self.unwritable(dir, &error))?;
        }
        let _lock = self.lock(&locks.join(format!("{kind}-{key}")), what, env, progress)?;
        if let Some(dir) = self.get(kind, key) {
            return Ok(dir);
        }
        let aside = format!(".{key}-");
        self.sweep(&parent, &aside);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let temporary = parent.join(format!("{aside}{}-{}", std::process::id(), since.as_nanos()));
        let made = self.fill(&temporary, &parent.join(key), what, make);
        if made.is_err() {
            let _ = fs::remove_dir_all(&temporary);
        }
        made
    }

    fn fill(
        &self,
        temporary: &Path,
        dir: &Path,
        what: &str,
        make: impl FnOnce(&Path) -> Result<(), ConfigError>,
    ) -> Result<PathBuf, ConfigError> {
        let unwritable = |error| self.unwritable(temporary, &error);
        fs::create_dir(temporary).map_err(unwritable)?;
        make(temporary)?;
        fs::write(temporary.join(MARKER), what).map_err(unwritable)?;
        if dir.exists() {
            // It has no marker: someone has meddled with it.
            fs::remove_dir_all(dir).map_err(unwritable)?;
        }
        fs::rename(temporary, dir).map_err(unwritable)?;
        Ok(dir.to_owned())
    }

    /// Takes the lock of a key. The kernel releases it when its holder dies, however it dies.
    fn lock(&self, path: &Path, what: &str, env: &Env, progress: &dyn Progress) -> Result<File, ConfigError> {
        let unwritable = |error| self.unwritable(path, &error);
        let file = File::options().create(true).append(true).open(path).map_err(unwritable)?;
        let limit = env.install_timeout * PATIENCE;
        let started = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(unwritable(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                told = true;
                progress.line(&format!("waiting for another process that is installing {what}…"));
            }
            if progress.cancelled() {
                return Err(ConfigError::new(format!("installing {what} was cancelled")));
            }
            if started.elapsed() > limit {
                let seconds = limit.as_secs();
                return Err(ConfigError::new(format!(
                    "another process has been installing {what} for {seconds} s and is not done"
                ))
                .hint(format!("see who holds it: `fuser -v {}`", path.display())));
            }
            // There is no lock with a time limit, so it is asked for again and again.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Removes what crashes have left; only with the key's lock, so that nobody is using it.
    fn sweep(&self, parent: &Path, prefix: &str) {
        for entry in parent.read_dir().into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    pub(super) fn unwritable(&self, path: &Path, error: &io::Error) -> ConfigError {
        let root = self.root.display();
        ConfigError::new(format!("slither's cache {root} cannot be written to: {}: {error}", path.display()))
            .hint("set SLITHER_CACHE_DIR to a directory outside the project that can be written to")
    }

    /// Whether things can be added, as a message if not; what does not exist yet is judged by its nearest ancestor.
    pub(super) fn writable(&self) -> Result<(), ConfigError> {
        let there = self.root.ancestors().find(|dir| dir.exists()).unwrap_or(&self.root);
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(there, access).map_err(|error| self.unwritable(there, &error.into()))
    }

    /// The bytes of all the files, links not followed.
    pub(super) fn bytes(&self) -> u64 {
        fn size(dir: &Path) -> u64 {
            let entries = dir.read_dir().into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.file_type() {
                    Ok(kind) if kind.is_dir() => size(&entry.path()),
                    Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |meta| meta.len()),
                    _ => 0,
                })
                .sum()
        }
        size(&self.root)
    }
}

/// The folder of this name in the cache; it need not exist.
pub(crate) fn cache_folder(env: &Env, name: &str) -> Result<PathBuf, ConfigError> {
    Ok(Cache::locate(env)?.root().join(name))
}

/// A name for `parts` that is the same in every build and on every machine.
///
/// FNV-1a over 128 bits: names have to differ, not to withstand an attacker, who could as well write to the cache.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        }
    };
    for part in parts {
        // The length keeps ["ab", "c"] and ["a", "bc"] apart.
        add(&(part.len() as u64).to_le_bytes());
        add(part);
    }
    let mut name = String::with_capacity(32);
    let _ = write!(name, "{hash:032x}");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> String {
        let cache = Cache::locate(&Env::from_variables(variables.iter().copied()));
        cache.map_or_else(|error| error.to_string(), |cache| cache.root().display().to_string())
    }

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let all = [("SLITHER_CACHE_DIR", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(located(&all), "/a");
        assert_eq!(located(&all[1..]), "/b/slither");
        assert_eq!(located(&all[2..]), "/c/.cache/slither");
        assert_eq!(located(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/c")]), "/c/.cache/slither");
        assert_eq!(
            located(&[]),
            "there is no place for slither's cache: SLITHER_CACHE_DIR, XDG_CACHE_HOME and HOME are not set\n  \
             hint: set SLITHER_CACHE_DIR to a directory that can be written to"
        );
    }

    #[test]
    fn fingerprints_tell_boundaries_apart() {
        let one = fingerprint([b"ab".as_slice(), b"c"]);
        let other = fingerprint([b"a".as_slice(), b"bc"]);
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }
}
