//! What a run of plain Python found: invariants, and how its process ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use slither::Death;

/// What ought to hold, and what was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Invariant {
    /// What it is about.
    pub name: String,
    /// What ought to be.
    pub expected: Value,
    /// What was; null if the process ended before it could say.
    pub actual: Value,
    /// Whether it did not hold. What a process was still to show when it died did not hold.
    pub broke: bool,
}

/// One run: a mode on an interpreter.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// The path of the interpreter.
    pub interpreter: String,
    /// Its version.
    pub version: String,
    /// Whether there was a GIL, after everything was imported; none if it never came so far.
    pub gil: Option<bool>,
    /// `naive`: shared state without a lock; `locked`: with one wherever it belongs.
    pub mode: &'static str,
    /// How the process ended: `code 0`, `SIGSEGV`, `timed out after 60 s`.
    pub exit: String,
    /// What ought to have held.
    pub invariants: Vec<Invariant>,
    /// Its last words, if it did not end by itself.
    pub stderr: Vec<String>,
    /// From its start to its end, in seconds.
    pub elapsed_s: f64,
}

impl Run {
    /// What did not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Invariant> {
        self.invariants.iter().filter(|invariant| invariant.broke)
    }

    /// The invariant of that name, if the run got as far as to state it.
    pub fn invariant(&self, name: &str) -> Option<&Invariant> {
        self.invariants.iter().find(|invariant| invariant.name == name)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Exit {
    Died(Death),
    TimedOut(u64),
}

impl Exit {
    pub(super) fn is_clean(self) -> bool {
        self == Self::Died(Death::Code(0))
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Died(Death::Code(code)) => write!(f, "code {code}"),
            Self::Died(Death::Signal(signal)) => f.write_str(&signal_name(*signal)),
            Self::Died(_) => f.write_str("gone, and nobody knows how"),
            Self::TimedOut(seconds) => write!(f, "timed out after {seconds} s"),
        }
    }
}

/// As the manual calls it: those that a process raises by its own faults, and those that end it from outside.
fn signal_name(signal: i32) -> String {
    match signal {
        4 => "SIGILL".to_owned(),
        6 => "SIGABRT".to_owned(),
        7 => "SIGBUS".to_owned(),
        8 => "SIGFPE".to_owned(),
        9 => "SIGKILL".to_owned(),
        11 => "SIGSEGV".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

/// A line that a run writes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Begin {
        #[allow(dead_code, reason = "it tells the line from the others")]
        begin: bool,
        gil: bool,
    },
    Expect {
        expect: String,
        expected: Value,
    },
    Found {
        found: String,
        actual: Value,
        broke: bool,
    },
    End {
        #[allow(dead_code, reason = "it tells the line from the others")]
        end: bool,
        gil: bool,
    },
}

/// What a run has written so far, made sense of.
#[derive(Debug, Default)]
pub(super) struct Findings {
    gil: Option<bool>,
    invariants: Vec<Invariant>,
    ended: bool,
}

impl Findings {
    /// Takes in what was written; a line that is cut off, or none of these, says nothing.
    pub(super) fn read(text: &str) -> Self {
        let mut findings = Self::default();
        for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
            findings.take(line);
        }
        findings
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Begin { gil, .. } => self.gil = Some(gil),
            Line::Expect { expect, expected } => {
                // Until it is found to hold, it does not.
                let invariant = Invariant { name: expect, expected, actual: Value::Null, broke: true };
                self.invariants.push(invariant);
            }
            Line::Found { found, actual, broke } => {
                let stated = self.invariants.iter_mut().find(|invariant| invariant.name == found);
                if let Some(invariant) = stated {
                    (invariant.actual, invariant.broke) = (actual, broke);
                }
            }
            Line::End { gil, .. } => {
                self.gil = Some(gil);
                self.ended = true;
            }
        }
    }

    /// Whether the run said that it came to its end.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) fn gil(&self) -> Option<bool> {
        self.gil
    }

    /// What was stated, and that the process lives to its end, which is stated of each.
    pub(super) fn invariants(self, exit: Exit) -> Vec<Invariant> {
        let process = Invariant {
            name: "process_survives".to_owned(),
            expected: "code 0".into(),
            actual: exit.to_string().into(),
            broke: !exit.is_clean() || !self.ended,
        };
        self.invariants.into_iter().chain([process]).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdicts(text: &str, exit: Exit) -> Vec<(String, Value, bool)> {
        let invariants = Findings::read(text).invariants(exit);
        invariants.into_iter().map(|it| (it.name, it.actual, it.broke)).collect()
    }

    const WHOLE: &str = r#"{"begin": true, "gil": false}
{"expect": "a", "expected": 3}
{"found": "a", "actual": 3, "broke": false}
{"expect": "b", "expected": 0}
{"found": "b", "actual": 2, "broke": true}
{"end": true, "gil": true}
"#;

    #[test]
    fn what_held_and_what_did_not_is_as_it_was_found() {
        let clean = Exit::Died(Death::Code(0));
        let expected =
            [("a", json!(3), false), ("b", json!(2), true), ("process_survives", json!("code 0"), false)];
        let expected = expected.map(|(name, actual, broke)| (name.to_owned(), actual, broke));
        assert_eq!(verdicts(WHOLE, clean), expected);
        assert_eq!(Findings::read(WHOLE).gil(), Some(true), "an import may have switched it on");
    }

    #[test]
    fn what_a_dead_process_was_still_to_show_did_not_hold() {
        let cut = &WHOLE[..WHOLE.find("{\"found\": \"b\"").unwrap() + 9];
        let expected =
            [("a", json!(3), false), ("b", Value::Null, true), ("process_survives", json!("SIGSEGV"), true)];
        let expected = expected.map(|(name, actual, broke)| (name.to_owned(), actual, broke));
        assert_eq!(verdicts(cut, Exit::Died(Death::Signal(11))), expected);
    }

    #[test]
    fn an_exit_that_says_all_is_well_is_not_believed_before_the_end() {
        let early = verdicts("{\"begin\": true, \"gil\": true}\n", Exit::Died(Death::Code(0)));
        assert_eq!(early, [("process_survives".to_owned(), json!("code 0"), true)]);
        assert_eq!(Exit::TimedOut(60).to_string(), "timed out after 60 s");
    }
}
