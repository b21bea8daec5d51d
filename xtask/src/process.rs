//! Running other programs: each is shown before it runs, sees no stdin, and its failure is a sentence.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// A program about to run.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
}

/// `program` in `folder`.
pub(crate) fn program(folder: &Path, program: impl AsRef<OsStr>, args: &[&str]) -> Program {
    let mut command = Command::new(program);
    command.current_dir(folder).args(args).stdin(Stdio::null());
    // Cargo tells xtask about xtask; what is started here must see what it would see when started by hand.
    for (name, _) in std::env::vars_os() {
        let own = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if own {
            command.env_remove(name);
        }
    }
    Program { command }
}

/// `cargo` in `root`.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> Program {
    program(root, "cargo", args)
}

/// Whether `cargo <subcommand>` is installed.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    Command::new("cargo")
        .args([subcommand, "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Program {
    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it with its output shown.
    ///
    /// # Errors
    /// It cannot be started, or says that it failed.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let shown = self.show();
        let status = self.command.status().map_err(|error| format!("cannot run {shown}: {error}"))?;
        judge(&shown, status)
    }

    /// Runs it with its output shown, and gives each line of stdout to `seen`.
    ///
    /// # Errors
    /// It cannot be started, or says that it failed.
    pub(crate) fn run_watched(mut self, mut seen: impl FnMut(&str)) -> Result<(), String> {
        let shown = self.show();
        let broken = |error| format!("cannot run {shown}: {error}");
        let mut child = self.command.stdout(Stdio::piped()).spawn().map_err(broken)?;
        if let Some(stdout) = child.stdout.take() {
            // Tests may print bytes that are no UTF-8: read bytes, show what can be shown.
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.map_err(broken)?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                seen(&line);
            }
        }
        let status = child.wait().map_err(broken)?;
        judge(&shown, status)
    }

    fn show(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let shown = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        println!("$ {shown}");
        shown
    }
}

fn judge(shown: &str, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status})")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_after_every_line_was_seen() {
        let mut seen = Vec::new();
        let shell = program(Path::new("."), "sh", &["-c", "echo one; printf '\\377'; exit 3"]);
        let error = shell.run_watched(|line| seen.push(line.to_owned())).unwrap_err();
        assert!(error.ends_with("failed (exit status: 3)"), "{error}");
        assert_eq!(seen, ["one", "\u{fffd}"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = program(Path::new("."), "no-such-program", &[]).run().unwrap_err();
        assert!(error.starts_with("cannot run no-such-program"), "{error}");
    }
}
