//! How preparing an environment tells that it takes a while, and learns that nobody waits for it any more.

/// Told, one line at a time, about steps that take long enough for a person to wonder.
///
/// Any `Fn(&str)` is one; [`Traced`] is the library's own. Nothing is told when everything is there already.
pub trait Progress: Sync {
    /// A line without its newline, such as `installing msgspec for python 3.11.7 (once)…`.
    fn line(&self, line: &str);

    /// Whether to give up; asked about ten times a second while something runs or is waited for.
    ///
    /// What was started is then killed, and preparing fails with an error that says so. Default: never.
    fn cancelled(&self) -> bool {
        false
    }
}

impl<F: Fn(&str) + Sync> Progress for F {
    fn line(&self, line: &str) {
        self(line);
    }
}

/// Writes each line as a `tracing` event of level info, under the target `slither`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traced;

impl Progress for Traced {
    fn line(&self, line: &str) {
        tracing::info!(target: "slither", "{line}");
    }
}
