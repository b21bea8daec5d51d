//! The overlay: a directory of packages beside an interpreter, for what it does not have itself.

use std::path::PathBuf;

use super::cache::{Cache, fingerprint};
use super::env::Env;
use super::interpreter::{Interpreter, MSGSPEC_MINIMUM};
use super::process;
use super::progress::Progress;
use super::uv::{Uv, translate_settings};
use crate::error::ConfigError;

/// How many lines of uv's own words an error repeats.
const LAST_LINES: usize = 8;

/// What an interpreter lacks, and the directory of the cache that holds it or will.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    interpreter: &'a Interpreter,
    /// The requirements given, sorted, without doubles.
    requirements: Vec<String>,
    key: String,
}

impl<'a> Overlay<'a> {
    /// The overlay that is needed, or none if the interpreter has all that is asked for.
    ///
    /// # Errors
    /// If a requirement is not the name of a package with a range of versions: options and paths are refused, since
    /// what they mean depends on more than the key says.
    pub(super) fn needed(
        interpreter: &'a Interpreter,
        requirements: &[String],
    ) -> Result<Option<Self>, ConfigError> {
        let mut requirements: Vec<String> = requirements.iter().map(|text| text.trim().to_owned()).collect();
        requirements.sort();
        requirements.dedup();
        if let Some(bad) =
            requirements.iter().find(|text| !text.starts_with(|c: char| c.is_ascii_alphanumeric()))
        {
            return Err(ConfigError::new(format!(
                "`{bad}` is not a requirement: it has to begin with a package's name"
            ))
            .hint("write it as in `numpy>=2`; put local code on the pool's python_path instead"));
        }
        if requirements.is_empty() && interpreter.has_msgspec() {
            return Ok(None);
        }
        let executable = interpreter.real_executable();
        let abi = interpreter.soabi.as_deref().unwrap_or_default();
        let sdk = sdk_requirement();
        let mut parts = vec![
            executable.as_os_str().as_encoded_bytes(),
            interpreter.version.as_bytes(),
            abi.as_bytes(),
            interpreter.platform.as_bytes(),
            sdk.as_bytes(),
        ];
        parts.extend(requirements.iter().map(String::as_bytes));
        let key = fingerprint(parts);
        Ok(Some(Self { interpreter, requirements, key }))
    }

    /// Its directory, if it has been made.
    pub(super) fn made(&self, cache: &Cache) -> Option<PathBuf> {
        cache.get("overlays", &self.key)
    }

    /// Makes it unless it has been made.
    pub(super) fn make(
        &self,
        env: &Env,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<PathBuf, ConfigError> {
        if let Some(dir) = self.made(cache) {
            return Ok(dir);
        }
        if env.offline() {
            let message = format!("{} lacks {}, and SLITHER_OFFLINE is set", self.interpreter, self.wanted());
            return Err(ConfigError::new(message).hint(self.mend()));
        }
        let what = format!("{} for {}", self.names(), self.interpreter);
        cache.get_or_make("overlays", &self.key, &what, env, progress, |dir| {
            let uv = Uv::obtain(env, cache, self.interpreter, progress).map_err(|error| {
                let message = format!("{} lacks {}: {}", self.interpreter, self.wanted(), error.message());
                ConfigError::new(message).hint(self.mend())
            })?;
            progress.line(&format!(
                "installing {} for python {} (once)…",
                self.names(),
                self.interpreter.version
            ));
            let mut command = env.command(&uv.path);
            command
                .args(["pip", "install", "--no-progress", "--color", "never", "--target"])
                .arg(dir)
                .arg("--python")
                .arg(&self.interpreter.executable)
                .arg("--")
                .arg(sdk_requirement())
                .args(&self.requirements)
                .env("UV_PYTHON_DOWNLOADS", "never")
                // These would contradict --python and --target.
                .env_remove("UV_SYSTEM_PYTHON")
                .env_remove("UV_PYTHON")
                .env_remove("UV_TARGET")
                .env_remove("UV_PREFIX");
            if env.get("SLITHER_CACHE_DIR").is_some() && env.get("UV_CACHE_DIR").is_none() {
                // Who says where the cache is means all that is cached; the home may well be read-only.
                command.env("UV_CACHE_DIR", cache.root().join("uv-cache"));
            }
            translate_settings(env, self.interpreter, &mut command);
            let finished = process::run(&mut command, env.install_timeout, &|| progress.cancelled())
                .map_err(|error| ConfigError::new(format!("{} cannot be run: {error}", uv.path.display())))?;
            if finished.success() {
                return Ok(());
            }
            let mut message = format!(
                "{} could not be installed for {}: uv {}",
                self.blamed(&finished.stderr),
                self.interpreter,
                finished.end.to_string().trim_start_matches("it ")
            );
            for line in finished.last_errors(LAST_LINES) {
                message.push_str("\n  uv: ");
                message.push_str(line.trim_end());
            }
            Err(ConfigError::new(message).hint(self.mend()))
        })
    }

    /// All that is asked for, with versions: `msgspec>=0.18.6, numpy>=2`.
    pub(super) fn wanted(&self) -> String {
        let mut all = vec![sdk_requirement()];
        all.extend(self.requirements.iter().cloned());
        all.join(", ")
    }

    /// The command that makes it ahead of time.
    pub(super) fn setup_command(&self) -> String {
        let mut command = "slither setup".to_owned();
        for requirement in &self.requirements {
            match requirement.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
                true => command.push_str(&format!(" {requirement}")),
                false => command.push_str(&format!(" '{requirement}'")),
            }
        }
        command
    }

    /// What a person reads while waiting: names without versions.
    fn names(&self) -> String {
        let mut names = vec!["msgspec"];
        names.extend(
            self.requirements
                .iter()
                .map(|requirement| package(requirement))
                .filter(|name| *name != "msgspec"),
        );
        names.join(", ")
    }

    /// The requirements that uv speaks of in its complaint; all of them, if it names none.
    fn blamed(&self, complaint: &str) -> String {
        let complaint = complaint.to_lowercase().replace('_', "-");
        let mut all = vec![sdk_requirement()];
        all.extend(self.requirements.iter().cloned());
        let blamed: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|requirement| complaint.contains(&package(requirement).to_lowercase().replace('_', "-")))
            .collect();
        if blamed.is_empty() { all.join(", ") } else { blamed.join(", ") }
    }

    fn mend(&self) -> String {
        let has = if self.requirements.is_empty() { "msgspec" } else { "them" };
        let alone = match self.requirements.is_empty() {
            true => ", install msgspec into that python".to_owned(),
            false => String::new(),
        };
        format!(
            "run `{}` while online{alone}, or set SLITHER_PYTHON to a python that has {has}",
            self.setup_command()
        )
    }
}

fn sdk_requirement() -> String {
    format!("msgspec>={MSGSPEC_MINIMUM}")
}

/// The name in a requirement: all before extras, versions and markers.
fn package(requirement: &str) -> &str {
    let end = requirement.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    &requirement[..end.unwrap_or(requirement.len())]
}

#[cfg(test)]
mod tests {
    use super::super::interpreter::tests::interpreter;
    use super::*;

    fn overlay<'a>(python: &'a Interpreter, requirements: &[&str]) -> Option<Overlay<'a>> {
        let requirements: Vec<String> = requirements.iter().map(|&text| text.to_owned()).collect();
        Overlay::needed(python, &requirements).unwrap()
    }

    #[test]
    fn nothing_is_needed_beside_a_new_enough_msgspec() {
        let mut python = interpreter("3.12.1");
        python.msgspec = Some("0.19.0".to_owned());
        assert!(overlay(&python, &[]).is_none());
        assert!(overlay(&python, &["numpy"]).is_some());
        python.msgspec = Some("0.18.5".to_owned());
        assert!(overlay(&python, &[]).is_some());
    }

    #[test]
    fn the_key_is_of_the_set_of_requirements_and_of_the_interpreter() {
        let python = interpreter("3.12.1");
        let key = |python, requirements: &[&str]| overlay(python, requirements).unwrap().key;
        let one = key(&python, &["numpy", "scipy"]);
        assert_eq!(one, key(&python, &[" scipy", "numpy", "numpy"]));
        assert_ne!(one, key(&python, &["numpy"]));
        let mut other = interpreter("3.12.1");
        other.soabi = Some("cpython-312t".to_owned());
        assert_ne!(one, key(&other, &["numpy", "scipy"]));
        assert_ne!(one, key(&interpreter("3.12.2"), &["numpy", "scipy"]));
    }

    #[test]
    fn an_option_or_a_path_is_refused() {
        let python = interpreter("3.12.1");
        for bad in ["--index=x", "./local", "/abs", "", "-e ."] {
            let error = Overlay::needed(&python, &[bad.to_owned()]).unwrap_err();
            assert!(error.message().contains("is not a requirement"), "{error}");
        }
    }

    #[test]
    fn words_for_people() {
        let python = interpreter("3.12.1");
        let overlay = overlay(&python, &["numpy>=2", "Foo_Bar[x]; python_version < '4'", "pandas"]).unwrap();
        assert_eq!(overlay.names(), "msgspec, Foo_Bar, numpy, pandas");
        assert_eq!(overlay.blamed("error: no version of numpy>=2 found"), "numpy>=2");
        assert_eq!(overlay.blamed("no network"), overlay.wanted());
        assert_eq!(super::package("numpy>=2"), "numpy");
    }
}
