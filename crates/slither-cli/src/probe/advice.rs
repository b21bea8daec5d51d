//! Where a function belongs, from what was measured: a pure function.

use serde::Serialize;
use slither::routing::{Finding, Profile, Work};

use super::measure::Measured;
use super::report::Imported;

/// Threads that reach so much of what processes reach are worth it: they share memory, and one worker has it all.
const NEARLY: f64 = 0.75;
/// Of calls that wait so many are worth having at once, in all.
const WAITING: usize = 64;

/// A pool for a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Advice {
    /// How its workers run calls.
    pub(crate) profile: Profile,
    /// How many workers.
    pub(crate) workers: usize,
    /// How many calls each of them runs at once.
    pub(crate) at_once: usize,
    /// Why, the weightiest reason first.
    pub(crate) because: Vec<String>,
}

/// What advice is made from.
pub(super) struct Facts<'a> {
    pub(super) import: &'a Imported,
    pub(super) finding: &'a Finding,
    pub(super) work: Work,
    pub(super) cpu_share: f64,
    pub(super) measured: &'a [Measured],
    pub(super) cores: usize,
}

impl Facts<'_> {
    pub(super) fn advice(&self) -> Advice {
        let coroutine = self.import.kind == "coroutine";
        match self.finding {
            Finding::Race(what) => {
                return self.processes([format!("{} spoil its results: {what}", self.others())]);
            }
            Finding::Stateful(what) => {
                return self.processes([format!(
                    "it depends on earlier calls, which a session keeps in one process: {what}"
                )]);
            }
            Finding::Unrepeatable(what) if !coroutine => {
                return self.processes([format!(
                    "its results differ each time, so that threads could not be put to the test: {what}"
                )]);
            }
            Finding::Same | Finding::Unrepeatable(_) => {}
        }
        let waits = format!("it waits for {:.0}% of its time", 100.0 * (1.0 - self.cpu_share));
        let at_once = at_once(self.work, self.cpu_share, self.cores);
        match self.work {
            Work::Io if coroutine => {
                Advice { profile: Profile::Async, workers: 1, at_once, because: vec![waits] }
            }
            Work::Io => {
                let because = [waits].into_iter().chain(self.compared()).collect();
                Advice { profile: Profile::Threads, workers: 1, at_once, because }
            }
            Work::Cpu if coroutine => {
                self.processes(["it computes, and would hold up other coroutines".into()])
            }
            Work::Cpu => self.computing(),
        }
    }

    /// Who spoils the results of a call.
    fn others(&self) -> &'static str {
        if self.import.kind == "coroutine" { "coroutines beside it" } else { "threads" }
    }

    fn computing(&self) -> Advice {
        if self.import.gil_after {
            let why = match (&self.import.gil_by, self.import.gil_before) {
                (Some(by), _) => {
                    format!("importing {by} turns the GIL on, and threads compute one at a time")
                }
                (None, false) => "its imports turn the GIL on, and threads compute one at a time".into(),
                (None, true) => "there is a GIL, and threads compute one at a time".into(),
            };
            return self.processes([why].into_iter().chain(self.compared()));
        }
        let (Some(threads), Some(processes)) = (self.of(Profile::Threads), self.of(Profile::Processes))
        else {
            return self.processes(["threads were not measured".into()]);
        };
        let (compared, at_once) = (self.compared(), at_once(self.work, self.cpu_share, self.cores));
        if reached(&threads.rounds, &processes.rounds) < NEARLY {
            return self.processes(compared.into_iter().chain(["threads get in each other's way".into()]));
        }
        let shared = "there is no GIL, and threads make no difference to its results".to_owned();
        let because = [shared].into_iter().chain(compared).collect();
        Advice { profile: Profile::Threads, workers: 1, at_once, because }
    }

    fn processes(&self, because: impl IntoIterator<Item = String>) -> Advice {
        let workers = match self.work {
            Work::Cpu => self.cores,
            // Processes that wait cost memory and nothing else.
            Work::Io => at_once(self.work, self.cpu_share, self.cores).min(4 * self.cores),
        };
        let because = because.into_iter().collect();
        Advice { profile: Profile::Processes, workers, at_once: 1, because }
    }

    fn of(&self, profile: Profile) -> Option<&Measured> {
        // Alone comes first, and is of processes, too.
        self.measured.iter().rev().find(|measured| measured.profile == profile)
    }

    fn compared(&self) -> Option<String> {
        let (threads, processes) = (self.of(Profile::Threads)?, self.of(Profile::Processes)?);
        let mib = |measured: &Measured| measured.memory >> 20;
        Some(format!(
            "undisturbed, {} threads did {:.0} items/s in {} MiB, and {} processes {:.0} in {} MiB",
            threads.at_once,
            threads.undisturbed,
            mib(threads),
            processes.workers,
            processes.undisturbed,
            mib(processes),
        ))
    }
}

/// What share of the others' rate these reached: in the middle one of the rounds, in each of which both were measured
/// one soon after the other, so that neither a round that was held up nor a slow minute decides.
fn reached(these: &[f64], others: &[f64]) -> f64 {
    let mut shares: Vec<f64> = these.iter().zip(others).map(|(this, other)| this / other).collect();
    shares.sort_by(f64::total_cmp);
    shares.get(shares.len() / 2).copied().unwrap_or(0.0)
}

/// How many calls at once keep the processors busy.
pub(super) fn at_once(work: Work, cpu_share: f64, cores: usize) -> usize {
    match work {
        Work::Cpu => cores.max(2),
        Work::Io => ((cores as f64 / cpu_share.max(f64::EPSILON)).ceil() as usize).clamp(2, WAITING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(profile: Profile, workers: usize, at_once: usize, per_second: f64) -> Measured {
        let memory = (workers as u64 * 30) << 20;
        Measured {
            profile,
            workers,
            at_once,
            undisturbed: per_second,
            rounds: vec![per_second],
            memory,
            ..Measured::nothing()
        }
    }

    fn advised(gil: bool, kind: &str, finding: &Finding, cpu_share: f64, threads: f64) -> Advice {
        let import = Imported {
            seconds: 0.0,
            memory: 0,
            gil_before: gil,
            gil_after: gil,
            gil_by: None,
            kind: kind.into(),
        };
        let measured = [
            measured(Profile::Processes, 1, 1, 100.0),
            measured(Profile::Processes, 2, 1, 190.0),
            measured(Profile::Threads, 1, 2, threads),
        ];
        let work = if cpu_share < 0.5 { Work::Io } else { Work::Cpu };
        let facts = Facts { import: &import, finding, work, cpu_share, measured: &measured, cores: 2 };
        facts.advice()
    }

    #[test]
    fn rounds_are_compared_with_their_like_and_one_that_was_held_up_decides_nothing() {
        assert_eq!(reached(&[90.0, 45.0, 9.0], &[100.0, 50.0, 10.0]), 0.9);
        assert_eq!(reached(&[90.0, 1.0, 90.0], &[100.0, 100.0, 100.0]), 0.9);
        assert_eq!(reached(&[50.0, 50.0, 50.0], &[100.0, 1.0, 100.0]), 0.5);
    }

    #[test]
    fn advice_follows_what_was_found() {
        let race = Finding::Race("two calls gave 7".into());
        let random = Finding::Unrepeatable("item 0 gave 7, and 3 in a fresh process".into());
        let stateful = Finding::Stateful("x".into());
        let same = &Finding::Same;
        let cases = [
            (advised(false, "function", same, 1.0, 185.0), Profile::Threads, 1, 2, "there is no GIL"),
            (
                advised(false, "function", same, 1.0, 110.0),
                Profile::Processes,
                2,
                1,
                "undisturbed, 2 threads did 110 items/s",
            ),
            (advised(true, "function", same, 1.0, 99.0), Profile::Processes, 2, 1, "there is a GIL"),
            (advised(true, "function", same, 0.1, 190.0), Profile::Threads, 1, 20, "it waits for 90%"),
            (advised(true, "coroutine", same, 0.01, 190.0), Profile::Async, 1, 64, "it waits for 99%"),
            (
                advised(false, "coroutine", same, 1.0, 190.0),
                Profile::Processes,
                2,
                1,
                "it computes, and would hold",
            ),
            (
                advised(false, "function", &race, 1.0, 185.0),
                Profile::Processes,
                2,
                1,
                "threads spoil its results",
            ),
            (
                advised(false, "function", &race, 0.1, 185.0),
                Profile::Processes,
                8,
                1,
                "threads spoil its results",
            ),
            (advised(false, "function", &random, 1.0, 185.0), Profile::Processes, 2, 1, "differ each time"),
            (advised(false, "function", &stateful, 1.0, 185.0), Profile::Processes, 2, 1, "earlier calls"),
        ];
        for (advice, profile, workers, at_once, because) in cases {
            assert_eq!(
                (advice.profile, advice.workers, advice.at_once),
                (profile, workers, at_once),
                "{advice:?}"
            );
            assert!(advice.because[0].contains(because), "{advice:?}");
        }
    }
}
