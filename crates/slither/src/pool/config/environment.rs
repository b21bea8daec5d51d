//! What the workers of a pool find in their environment.

use std::ffi::OsString;

use super::{Inherit, Pool, Start, cores};
use crate::wire::Profile;

impl Pool {
    /// The whole environment of the workers.
    pub(crate) fn environment(
        &self,
        host: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let mut vars: Vec<_> = host
            .filter(|(name, _)| self.inherit == Inherit::All || listed(&name.to_string_lossy()))
            .collect();
        vars.extend(self.env.iter().cloned());
        // Workers times native threads should fit the cores, unless the user has decided otherwise. Where modules are
        // preloaded there is one: a library that starts more when it is imported could not be forked.
        let forks = self.start == Start::Fork && !self.preload.is_empty();
        // Threads that only wait for the GIL would leave native ones idle, but nobody knows yet whether they will.
        let calls = match self.profile {
            Profile::Thread { threads, .. } => self.size.saturating_mul(threads),
            Profile::Process | Profile::Async { .. } => self.size,
        };
        let threads = if forks { 1 } else { (cores() / calls).max(1) }.to_string();
        let mut unless_set = |name: &str, value: &str| {
            if !vars.iter().any(|(other, _)| other == name) {
                vars.push((name.into(), value.into()));
            }
        };
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            unless_set(name, &threads);
        }
        if self.memory_limit.is_some() {
            // The allocator of a Python without a GIL maps a gigabyte at once, which would count.
            unless_set(ALLOCATOR_RESERVE, "16m");
        }
        vars
    }
}

/// How much mimalloc maps at a time.
const ALLOCATOR_RESERVE: &str = "MIMALLOC_ARENA_RESERVE";

fn listed(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "RUST_BACKTRACE",
        "NO_COLOR",
    ];
    NAMES.contains(&name)
        || name.starts_with("PYTHON")
        || name.starts_with("LC_")
        || name.starts_with("XDG_")
        || name.ends_with("_NUM_THREADS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_inherited_only_by_choice() {
        let host = || {
            [("PATH", "/bin"), ("API_TOKEN", "secret"), ("OMP_NUM_THREADS", "3")]
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .into_iter()
        };
        let names = |pool: Pool| -> Vec<String> {
            pool.environment(host()).into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
        };
        assert_eq!(
            names(Pool::processes("p")),
            ["PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
        );
        assert!(names(Pool::processes("p").inherit_env(Inherit::All)).contains(&"API_TOKEN".to_owned()));
        let set = Pool::processes("p").env("API_TOKEN", "x");
        assert!(names(set).contains(&"API_TOKEN".to_owned()));
    }

    #[test]
    fn a_limit_to_memory_has_the_allocator_map_less_at_once_unless_it_is_set() {
        let reserve = |pool: Pool| {
            let mut vars = pool.environment(std::iter::empty()).into_iter();
            vars.find(|(name, _)| name == ALLOCATOR_RESERVE).map(|(_, value)| value)
        };
        assert_eq!(reserve(Pool::processes("p")), None);
        let limited = || Pool::processes("p").memory_limit(1 << 30);
        assert_eq!(reserve(limited()), Some("16m".into()));
        assert_eq!(reserve(limited().env(ALLOCATOR_RESERVE, "64m")), Some("64m".into()));
    }

    #[test]
    fn a_preload_leaves_native_libraries_one_thread_unless_it_is_set() {
        let threads = |pool: Pool| {
            let vars = pool.environment(std::iter::empty());
            vars.into_iter()
                .find(|(name, _)| name == "OPENBLAS_NUM_THREADS")
                .unwrap()
                .1
                .into_string()
                .unwrap()
        };
        let cores = std::thread::available_parallelism().unwrap().to_string();
        let one = || Pool::processes("p").size(1);
        assert_eq!(threads(one()), cores);
        assert_eq!(threads(one().preload("numpy")), "1");
        assert_eq!(threads(one().preload("numpy").start(Start::Spawn)), cores);
        assert_eq!(threads(one().preload("numpy").env("OPENBLAS_NUM_THREADS", "7")), "7");
    }
}
