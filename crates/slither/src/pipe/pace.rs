//! Where the function of a Rust stage runs: in the stage's task, or on threads. Decides by what calls took.

use std::time::Duration;

/// A call in the stage's task that takes longer holds up a thread of the runtime: no more of them there.
const TOO_LONG_HERE: Duration = Duration::from_millis(1);
/// Calls that take no longer cost less than handing them to a thread.
const SHORT: Duration = Duration::from_micros(20);
/// A chunk goes to a thread as one piece, and is sized by what it costs: a hand-over takes some 10 µs, and a
/// long chunk would hold items that another thread could run.
const ENOUGH: Duration = Duration::from_micros(200);
const TOO_LONG: Duration = Duration::from_millis(1);
const LARGEST: usize = 64;

/// Begins on threads, because nothing is known of the function; comes to the stage's task when calls are short,
/// and leaves it for good after one that was not.
pub(super) struct Pace {
    /// Items of a chunk on a thread.
    chunk: usize,
    here: bool,
    /// Whether calls may run in the stage's task.
    may_be_here: bool,
}

impl Pace {
    /// More than one at a time is on threads anyway.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { chunk: 1, here: false, may_be_here: concurrency == 1 }
    }

    /// Whether the next call runs in the stage's task.
    pub(super) fn is_here(&self) -> bool {
        self.here
    }

    /// How many items go to a thread together.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// A call in the stage's task took so long.
    pub(super) fn ran_here(&mut self, took: Duration) {
        if took > TOO_LONG_HERE {
            (self.here, self.may_be_here) = (false, false);
        }
    }

    /// A chunk came back from a thread.
    pub(super) fn came_back(&mut self, items: usize, took: Duration) {
        self.here = self.may_be_here && took <= SHORT * items as u32;
        if took < ENOUGH {
            self.chunk = (self.chunk * 2).min(LARGEST);
        } else if took > TOO_LONG {
            self.chunk = (self.chunk / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn short_calls_come_to_the_stage_and_one_long_one_sends_them_away_for_good() {
        let mut pace = Pace::new(1);
        assert!(!pace.is_here(), "nothing is known of the first call");
        pace.came_back(1, micros(500));
        assert!(!pace.is_here());
        pace.came_back(4, micros(8));
        assert!(pace.is_here());
        pace.ran_here(micros(900));
        assert!(pace.is_here());
        pace.ran_here(micros(1100));
        assert!(!pace.is_here());
        pace.came_back(64, micros(1));
        assert!(!pace.is_here());
    }

    #[test]
    fn several_at_a_time_stay_on_threads_in_chunks_that_are_worth_it() {
        let mut pace = Pace::new(2);
        for _ in 0..10 {
            pace.came_back(pace.chunk(), micros(100));
        }
        assert_eq!((pace.is_here(), pace.chunk()), (false, 64));
        for _ in 0..10 {
            pace.came_back(pace.chunk(), micros(5000));
        }
        assert_eq!(pace.chunk(), 1);
    }
}
