//! Running again, later, what can succeed the next time: [`Retry`].

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::on_error::OnError;
use crate::error::{ConfigError, ErrorKind, ItemError};

/// A worker may ask for no longer wait than this.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The policy that runs again what can succeed the next time: a batch whose worker died, ran out of time or ran out
/// of memory (not when that ended a session, whose state died, too), one that found its session busy, one that raised an exception of a class named by [`on`](Self::on), and whatever raised `slither.Retry` or
/// returned it for one item.
///
/// A batch that was lost to another call of its worker ([`Collateral`](crate::ErrorKind::Collateral)) is run again as well, at once and
/// without counting an attempt, up to 8 times.
///
/// Between two attempts the batch keeps its place in the window and gives its permit back. What fails
/// otherwise, or once more after the last attempt, meets the policy [`then`](Self::then).
///
/// ```
/// use std::time::Duration;
/// use slither::dispatch::{Limits, OnError, Retry};
///
/// let retry = Retry::new(5).backoff(Duration::from_millis(200)).on("requests.Timeout").then(OnError::Skip);
/// let limits: Limits<String> = Limits::new().on_error(OnError::Retry(retry));
/// assert!(limits.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    max_attempts: u32,
    backoff: Duration,
    max_backoff: Duration,
    jitter: f64,
    on: Vec<String>,
    then: Box<OnError>,
    seed: Option<u64>,
}

impl Retry {
    /// At most this many attempts, the first included; at least 1.
    pub fn new(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
            jitter: 0.5,
            on: Vec::new(),
            then: Box::new(OnError::Halt),
            seed: None,
        }
    }

    /// The wait before the second attempt, 100 ms by default; it doubles with each further one.
    #[must_use]
    pub fn backoff(mut self, first: Duration) -> Self {
        self.backoff = first;
        self
    }

    /// The longest wait between two attempts, 30 s by default. A wait that Python asks for with
    /// `slither.Retry(…, after=seconds)` is kept as it is, up to a day.
    #[must_use]
    pub fn max_backoff(mut self, longest: Duration) -> Self {
        self.max_backoff = longest;
        self
    }

    /// The share of each wait that chance may take away, from 0 to 1, 0.5 by default: what failed together
    /// does not come back together.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// Adds a class of Python exceptions, subclasses included, as `module.Class`, or `Class` for a builtin one.
    #[must_use]
    pub fn on(mut self, exception: impl Into<String>) -> Self {
        self.on.push(exception.into());
        self
    }

    /// The policy for what is not run again, by default [`OnError::Halt`]; any but another retry.
    #[must_use]
    pub fn then(mut self, policy: OnError) -> Self {
        self.then = Box::new(policy);
        self
    }

    /// Makes the jitter the same each time, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    #[cfg(test)]
    pub(crate) fn attempts(&self) -> u32 {
        self.max_attempts
    }

    pub(super) fn last(&self) -> &OnError {
        &self.then
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        super::batching::at_least_one("max_attempts", u64::from(self.max_attempts))?;
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError::new(format!("`jitter` must be from 0 to 1, got {}", self.jitter)));
        }
        if self.on.iter().any(String::is_empty) {
            return Err(ConfigError::new("`on` names no exception class")
                .hint("expected `module.Class`, or `Class` for a builtin one"));
        }
        match &*self.then {
            OnError::Retry(_) => Err(ConfigError::new("`then` is another `retry`")
                .hint("expected halt, skip, isolate or route; raise `max_attempts` for more attempts")),
            _ => Ok(()),
        }
    }

    /// Whether attempt number `attempt` that failed so is followed by another.
    pub(super) fn again(&self, attempt: u32, error: &ItemError) -> bool {
        attempt < self.max_attempts
            && (matches!(
                error.kind(),
                ErrorKind::Crash
                    | ErrorKind::OutOfMemory
                    | ErrorKind::Timeout
                    | ErrorKind::Retry
                    | ErrorKind::SessionBusy
            ) || error.exception().iter().any(|class| self.on.contains(class)))
    }

    /// How long to wait after attempt number `attempt`, if nobody asked for a wait of their own.
    pub(super) fn wait(&self, attempt: u32, asked: Option<Duration>, chance: &mut Chance) -> Duration {
        if let Some(asked) = asked {
            return asked.min(LONGEST_WAIT);
        }
        let doublings = attempt.saturating_sub(1).min(31);
        let wait = self.backoff.saturating_mul(1 << doublings).min(self.max_backoff).min(LONGEST_WAIT);
        wait.mul_f64(1.0 - self.jitter * chance.draw())
    }

    pub(super) fn chance(&self) -> Chance {
        Chance::new(self.seed)
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry, {} attempts, then {}", self.max_attempts, self.then)
    }
}

/// Numbers that look random: splitmix64, which is enough to spread retries and can be replayed.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(seed.unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish()))
    }

    /// From 0 to 1, without 1.
    fn draw(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Any number.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_only_shortens_them() {
        let ms = Duration::from_millis;
        let plain = Retry::new(9).backoff(ms(100)).max_backoff(ms(350)).jitter(0.0);
        let mut chance = plain.chance();
        let waits: Vec<_> = (1..5).map(|attempt| plain.wait(attempt, None, &mut chance)).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(350), ms(350)]);
        assert_eq!(plain.wait(1, Some(ms(900)), &mut chance), ms(900));
        assert_eq!(plain.wait(u32::MAX, None, &mut chance), ms(350));

        let draw = |seed| {
            let shaken = Retry::new(9).backoff(ms(100)).jitter(0.5).seed(seed);
            let mut chance = shaken.chance();
            [(); 20].map(|()| shaken.wait(1, None, &mut chance))
        };
        assert!(draw(7).iter().all(|wait| (ms(50)..=ms(100)).contains(wait)));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn only_what_can_succeed_next_time_is_run_again() {
        let retry = Retry::new(3).on("shop.Busy");
        let raised = |classes: &[&str]| {
            let classes = classes.iter().map(ToString::to_string).collect();
            ItemError::new(ErrorKind::Exception, "x").with_traceback(None, classes)
        };
        for kind in [ErrorKind::Crash, ErrorKind::OutOfMemory, ErrorKind::Timeout, ErrorKind::Retry] {
            assert!(retry.again(1, &ItemError::new(kind, "x")), "{kind}");
        }
        assert!(retry.again(2, &raised(&["shop.VeryBusy", "shop.Busy", "Exception"])));
        assert!(!retry.again(1, &raised(&["ValueError", "Exception"])));
        assert!(!retry.again(1, &ItemError::new(ErrorKind::Contract, "x")));
        assert!(!retry.again(3, &ItemError::new(ErrorKind::Crash, "x")), "there are three attempts");
    }

    #[test]
    fn a_retry_that_makes_no_sense_is_refused() {
        let message = |retry: Retry| retry.validate().unwrap_err().message().to_owned();
        assert_eq!(message(Retry::new(0)), "`max_attempts` must be at least 1, got 0");
        assert_eq!(message(Retry::new(2).jitter(1.5)), "`jitter` must be from 0 to 1, got 1.5");
        assert_eq!(message(Retry::new(2).jitter(f64::NAN)), "`jitter` must be from 0 to 1, got NaN");
        assert_eq!(message(Retry::new(2).on("")), "`on` names no exception class");
        assert_eq!(message(Retry::new(2).then(Retry::new(2).into())), "`then` is another `retry`");
    }
}
