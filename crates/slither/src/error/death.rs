//! How a worker process ended: [`Death`].

use std::fmt;

use serde::Serialize;

use super::recycled::Recycled;

/// How a worker process ended, as its parent saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Death {
    /// It called exit with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It was replaced in time, and asked to go.
    Recycled(Recycled),
    /// It is gone, and nobody could say how (its parent died with it).
    Unknown,
}

impl Death {
    /// SIGKILL: what the kernel sends when memory runs out, and what anybody else may send.
    pub(crate) const KILLED: Self = Self::Signal(9);

    /// The signal or the exit code alone, where no sentence is to be made.
    pub(crate) fn cause(self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(number) => match signal_name(number) {
                Some(name) => format!("{name} (signal {number})"),
                None => format!("signal {number}"),
            },
            Self::Recycled(why) => format!("recycled: {why}"),
            Self::Unknown => "not known".to_owned(),
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(_) => write!(f, "was killed by {}", self.cause()),
            Self::Recycled(_) => write!(f, "was {}", self.cause()),
            Self::Unknown => f.write_str("is gone, and how it ended is not known"),
        }
    }
}

/// The signals whose default action ends a process, as Linux numbers them on x86-64 and aarch64.
fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 23] = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (10, "SIGUSR1"),
        (11, "SIGSEGV"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (16, "SIGSTKFLT"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (26, "SIGVTALRM"),
        (27, "SIGPROF"),
        (29, "SIGIO"),
        (30, "SIGPWR"),
        (31, "SIGSYS"),
    ];
    NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_names_its_signal() {
        assert_eq!(Death::Signal(11).to_string(), "was killed by SIGSEGV (signal 11)");
        assert_eq!(Death::Signal(40).to_string(), "was killed by signal 40");
        assert_eq!(Death::Code(0).to_string(), "exited with code 0");
    }
}
