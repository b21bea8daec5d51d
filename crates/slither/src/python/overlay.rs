//! The overlay: a directory of packages beside an interpreter, for what it does not have itself.

use std::path::{Path, PathBuf};

use super::cache::{Cache, fingerprint};
use super::env::Env;
use super::interpreter::{Interpreter, MSGSPEC_MINIMUM};
use super::process;
use super::progress::Progress;
use super::requirement::Requirement;
use super::uv::{Uv, translate_settings};
use crate::error::ConfigError;

/// How many lines of uv's own words an error repeats.
const LAST_LINES: usize = 8;

/// What an interpreter is to have beside its own packages, and the directory of the cache that holds it or will.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    interpreter: &'a Interpreter,
    /// The SDK's own requirement, then the others, sorted, without doubles.
    requirements: Vec<Requirement>,
    key: String,
}

impl<'a> Overlay<'a> {
    /// The overlay that is needed, or none if the interpreter has all that is asked for.
    ///
    /// All or nothing: if one package is missing, the overlay holds all of them, since uv has to choose versions
    /// that go together and cannot choose among those that the interpreter has.
    pub(super) fn needed(
        env: &Env,
        interpreter: &'a Interpreter,
        requirements: &[String],
    ) -> Result<Option<Self>, ConfigError> {
        let mut asked =
            requirements.iter().map(|text| Requirement::new(text)).collect::<Result<Vec<_>, _>>()?;
        asked.sort();
        asked.dedup();
        if interpreter.has_msgspec() && interpreter.has(env, &asked) {
            return Ok(None);
        }
        asked.insert(0, Requirement::new(&format!("msgspec>={MSGSPEC_MINIMUM}"))?);
        let executable = interpreter.real_executable();
        let words = [
            interpreter.version.as_str(),
            interpreter.soabi.as_deref().unwrap_or_default(),
            interpreter.platform.as_str(),
        ];
        let words = words.into_iter().chain(asked.iter().map(Requirement::as_str)).map(str::as_bytes);
        let key = fingerprint(std::iter::once(executable.as_os_str().as_encoded_bytes()).chain(words));
        Ok(Some(Self { interpreter, requirements: asked, key }))
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
            return Err(self.error(format!("{}, and SLITHER_OFFLINE is set", self.lack())));
        }
        let what = format!("{} for {}", self.names(), self.interpreter);
        cache.get_or_make("overlays", &self.key, &what, env, progress, |dir| {
            let uv = Uv::obtain(env, cache, self.interpreter, progress)
                .map_err(|error| self.error(format!("{}, and {}", self.lack(), error.message())))?;
            progress.line(&format!(
                "installing {} for python {} (once)…",
                self.names(),
                self.interpreter.version
            ));
            self.install(env, cache, &uv, dir, progress)
        })
    }

    fn install(
        &self,
        env: &Env,
        cache: &Cache,
        uv: &Uv,
        dir: &Path,
        progress: &dyn Progress,
    ) -> Result<(), ConfigError> {
        let mut command = env.command(&uv.path);
        command
            .args(["pip", "install", "--quiet", "--no-progress", "--color", "never", "--target"])
            .arg(dir)
            .arg("--python")
            .arg(&self.interpreter.executable)
            .arg("--")
            .args(self.requirements.iter().map(Requirement::as_str))
            .env("UV_PYTHON_DOWNLOADS", "never");
        for contradicting in ["UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_TARGET", "UV_PREFIX"] {
            command.env_remove(contradicting);
        }
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
        let end = finished.end.to_string();
        let mut message = format!(
            "{} could not be installed for {}: uv {}",
            self.blamed(&finished.stderr),
            self.interpreter,
            end.trim_start_matches("it ")
        );
        for line in finished.last_errors(LAST_LINES) {
            message.push_str("\n  uv: ");
            message.push_str(line.trim_end());
        }
        Err(self.error(message))
    }

    /// `python 3.11.7 at /usr/bin/python3.11 lacks msgspec>=0.18.6`.
    pub(super) fn lack(&self) -> String {
        format!("{} lacks {}", self.interpreter, list(&self.requirements, Requirement::as_str))
    }

    /// The command that makes it ahead of time.
    pub(super) fn setup_command(&self) -> String {
        let others = self.requirements[1..].iter().map(Requirement::quoted);
        std::iter::once("slither setup".to_owned()).chain(others).collect::<Vec<_>>().join(" ")
    }

    /// What a person reads while waiting: names without versions.
    fn names(&self) -> String {
        list(&self.requirements, Requirement::name)
    }

    /// The requirements that uv speaks of in its complaint; all of them, if it names none.
    fn blamed(&self, complaint: &str) -> String {
        let named: Vec<Requirement> =
            self.requirements.iter().filter(|asked| asked.is_named_in(complaint)).cloned().collect();
        list(if named.is_empty() { &self.requirements } else { &named }, Requirement::as_str)
    }

    fn error(&self, message: String) -> ConfigError {
        let what = list(&self.requirements, Requirement::name);
        ConfigError::new(message).hint(format!(
            "run `{}` while online, install {what} into that python, or set SLITHER_PYTHON to one that has {}",
            self.setup_command(),
            if self.requirements.len() == 1 { "it" } else { "them" }
        ))
    }
}

fn list<'a>(requirements: &'a [Requirement], part: fn(&'a Requirement) -> &'a str) -> String {
    let mut parts: Vec<&str> = requirements.iter().map(part).collect();
    parts.dedup();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::interpreter::tests::interpreter;
    use super::*;

    /// No test here may start anything: the interpreter that they speak of does not exist.
    fn overlay<'a>(python: &'a Interpreter, requirements: &[&str]) -> Option<Overlay<'a>> {
        let requirements: Vec<String> = requirements.iter().map(|&text| text.to_owned()).collect();
        Overlay::needed(&Env::from_variables([("", ""); 0]), python, &requirements).unwrap()
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
    fn words_for_people() {
        let python = interpreter("3.12.1");
        let overlay = overlay(&python, &["scipy", "numpy>=2"]).unwrap();
        assert_eq!(overlay.names(), "msgspec, numpy, scipy");
        assert_eq!(overlay.setup_command(), "slither setup 'numpy>=2' scipy");
        assert_eq!(overlay.blamed("error: no version of numpy>=2 found"), "numpy>=2");
        assert_eq!(overlay.blamed("no network"), "msgspec>=0.18.6, numpy>=2, scipy");
    }
}
