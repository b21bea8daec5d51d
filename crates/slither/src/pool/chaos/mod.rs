//! Faults on purpose: what share of a pool's batches is to fail, and how. [`Chaos`].

mod spec;
mod strike;

use std::time::Duration;

use crate::error::ConfigError;

pub use self::strike::ChaosStats;
pub(crate) use self::strike::{Planned, Striker};

/// Faults that a pool injects into its batches, for real, to show what a program does when Python fails.
///
/// Each batch meets one fault at most; the shares are of all batches, and together at most 1. What is injected
/// happens in the worker, and goes the way of any such fault: deadline, policy, supervision, restart budget.
///
/// ```
/// use slither::{Chaos, Pool};
/// use std::time::Duration;
///
/// let chaos = Chaos::seeded(7).kill(0.05).hang(0.01).slow(0.1, Duration::from_millis(50));
/// assert_eq!(chaos.to_string(), "kill=5%,hang=1%,slow=10%:50ms,seed=7");
/// assert_eq!("kill=0.05, hang=1%, slow=10%:50ms, seed=7".parse(), Ok(chaos.clone()));
/// let pool = Pool::processes("default").call_timeout(Duration::from_secs(2)).chaos(chaos);
/// # let _ = pool;
/// ```
///
/// # What can be repeated
/// Which fault a batch meets follows from the seed, the function, the stage, the attempt, and the ids of the batch's
/// items, and from nothing else. The same input in the same batches meets the same faults, whatever the timing;
/// another attempt is another draw. What is left to chance is which worker it is, what else that worker was doing,
/// and which items share a batch where `max_wait` decides it.
///
/// # What is left alone
/// Single calls (`execute`, `call_each`), imports, and what sessions run at their end.
#[derive(Debug, Clone, PartialEq)]
pub struct Chaos {
    seed: u64,
    kill: f64,
    hang: f64,
    slow: f64,
    slow_by: Duration,
    garbage: f64,
    raise: f64,
}

impl Chaos {
    /// No fault yet, drawn from this seed.
    pub fn seeded(seed: u64) -> Self {
        let slow_by = Duration::from_millis(100);
        Self { seed, kill: 0.0, hang: 0.0, slow: 0.0, slow_by, garbage: 0.0, raise: 0.0 }
    }

    /// The same faults drawn from another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// This share of the batches has its worker killed with SIGKILL: before the function, during it, after it, or when
    /// half of the reply is written.
    #[must_use]
    pub fn kill(mut self, share: f64) -> Self {
        self.kill = share;
        self
    }

    /// This share of the batches hangs, half of them in a call that holds the GIL, until the deadline takes the
    /// worker: mind [`Pool::call_timeout`](crate::Pool::call_timeout).
    #[must_use]
    pub fn hang(mut self, share: f64) -> Self {
        self.hang = share;
        self
    }

    /// This share of the batches begins so much later. At most an hour.
    #[must_use]
    pub fn slow(mut self, share: f64, by: Duration) -> Self {
        self.slow = share;
        self.slow_by = by;
        self
    }

    /// This share of the batches is answered with bytes that break the protocol: a length beyond the cap, a kind that
    /// there is not, or a body that is no msgpack. The worker is killed for it.
    #[must_use]
    pub fn garbage(mut self, share: f64) -> Self {
        self.garbage = share;
        self
    }

    /// This share of the batches raises `slither.ChaosError` in place of calling the function.
    #[must_use]
    pub fn raise(mut self, share: f64) -> Self {
        self.raise = share;
        self
    }

    /// Whether any of its faults costs a worker, and with it what Python keeps there: `kill`, `hang` and `garbage` do.
    pub fn is_deadly(&self) -> bool {
        self.kill > 0.0 || self.hang > 0.0 || self.garbage > 0.0
    }

    /// The faults with their shares, in the order in which they are drawn and written.
    fn shares(&self) -> [(&'static str, f64); 5] {
        [
            ("kill", self.kill),
            ("hang", self.hang),
            ("slow", self.slow),
            ("garbage", self.garbage),
            ("raise", self.raise),
        ]
    }

    /// Checks the shares.
    ///
    /// # Errors
    /// If one is no share, or together they are more than all.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (fault, share) in self.shares() {
            if !(0.0..=1.0).contains(&share) {
                let percent = share * 100.0;
                return Err(ConfigError::new(format!("chaos: `{fault}` is {percent}%, expected 0% to 100%"))
                    .hint("a share is written as 5% or as 0.05"));
            }
        }
        let all: f64 = self.shares().iter().map(|(_, share)| share).sum();
        if all > 1.0 + 1e-9 {
            let percent = (all * 1e6).round() / 1e4;
            return Err(ConfigError::new(format!(
                "chaos: the faults are {percent}% together, expected at most 100%"
            ))
            .hint("a batch meets one fault at most"));
        }
        if self.slow_by > Duration::from_secs(3600) {
            return Err(ConfigError::new(format!(
                "chaos: `slow` by {:?}, expected at most an hour",
                self.slow_by
            )));
        }
        Ok(())
    }
}
