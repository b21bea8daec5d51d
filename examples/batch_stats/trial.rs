//! A sound run for the tests of checks and summary: acts played by the rules, without Python.

use slither::{Death, Ledger};

use super::datasets::built_in;
use super::evidence::{Evidence, Expected, Fell, Played};
use super::flow::{Act, Batches, Described, STREAMED, WorkerStats};
use super::journal::Begun;
use crate::report::Failures;

/// Two workers; the one that meets bad datasets dies of the one that kills.
struct Stage<'a> {
    evidence: &'a Evidence,
    played: Played,
    victim: u32,
}

const SAFE: u32 = 7;

/// `fixed/skip`, `fixed/isolate` and `streaming/isolate` over the datasets of the example.
pub(super) fn sound() -> Evidence {
    let mut evidence = Evidence {
        expected: built_in().iter().map(Expected::of).collect(),
        users: false,
        acts: Vec::new(),
        slots: (100..120).map(|pid| (pid, "statistics/0".to_owned())).collect(),
        failures: Failures::default(),
        silent: Vec::new(),
        end: None,
    };
    evidence.slots.insert(SAFE, "statistics/1".to_owned());
    let acts =
        [(Batches::Fixed, false, 10), (Batches::Fixed, true, 10), (Batches::Streaming, true, STREAMED)];
    for (batches, isolate, size) in acts {
        let played = Played::new(Act { batches, isolate });
        let mut stage = Stage { evidence: &evidence, played, victim: 100 };
        let numbers: Vec<u64> = (0..evidence.expected.len() as u64).collect();
        for batch in numbers.chunks(size) {
            stage.run(batch, 1, false);
        }
        let played = stage.end();
        evidence.acts.push(played);
    }
    evidence
}

impl Stage<'_> {
    fn run(&mut self, numbers: &[u64], attempt: u32, again: bool) {
        self.played.begun.push(Begun { attempt, numbers: numbers.to_vec() });
        let Some(bad) = numbers.iter().copied().find(|number| self.evidence.is_bad(*number)) else {
            let pid = if attempt == 1 { SAFE } else { self.victim };
            numbers.iter().for_each(|number| self.describe(*number, pid));
            return;
        };
        let kills = self.evidence.at(bad).unwrap().kills;
        if kills {
            self.played.deaths += 1;
        }
        let pid = self.victim;
        self.victim += u32::from(kills);
        match numbers.len() {
            1 if kills && self.played.act.isolate && !again => self.run(numbers, attempt + 1, true),
            count if count > 1 && self.played.act.isolate => {
                let (left, right) = numbers.split_at(count.div_ceil(2));
                self.run(left, attempt + 1, false);
                self.run(right, attempt + 1, false);
            }
            _ => {
                let death = kills.then_some(Death::Signal(11));
                let (batch, message) = (numbers.to_vec(), "no good".to_owned());
                let fell = Fell { batch, message, pid: Some(pid), death, alive: false };
                self.played.fell.extend(numbers.iter().map(|number| (*number, fell.clone())));
            }
        }
    }

    fn describe(&mut self, number: u64, pid: u32) {
        let straight = self.evidence.at(number).unwrap().figures.unwrap();
        let described = Described {
            number,
            pid,
            count: straight.figures.count,
            mean: straight.figures.mean,
            stdev: straight.figures.deviation(),
            median: straight.median,
            least: straight.least,
            greatest: straight.greatest,
        };
        self.played.described.insert(number, described);
    }

    fn end(mut self) -> Played {
        for pid in [SAFE, self.victim] {
            let (datasets, figures) = self.evidence.recomputed(&self.played, pid);
            let (mean, m2) = (figures.mean, figures.m2);
            self.played.accounts.push(WorkerStats { pid, datasets, count: figures.count, mean, m2 });
        }
        let (emitted, failed) = (self.played.described.len() as u64, self.played.fell.len() as u64);
        self.played.ledger = Ledger { pulled: emitted + failed, emitted, failed, ..Ledger::default() };
        self.played.pulled_at_first = Some(4);
        self.played
    }
}
