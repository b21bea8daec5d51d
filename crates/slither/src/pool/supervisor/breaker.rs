//! When a pool fails calls at once, and when it tries again: the circuit breaker, without I/O.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::machine::Cause;
use crate::error::ConfigError;
use crate::pool::clock::later;

/// When a pool stops trying, and how long it waits before it tries again.
///
/// The breaker **opens** when `deaths` calls in a row have killed their workers and none was completed meanwhile,
/// or when the [`RestartBudget`](crate::RestartBudget) is spent. Then what waits and what comes fails at once with
/// the cause, as [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable); calls that run go on, workers that live
/// keep their sessions, and none is started. After the cooldown it is **half-open**: one worker is started, and the
/// first call that comes (or, after a spent budget, the worker's becoming ready) decides. If that works it
/// **closes**, and the pool is as before; if not it opens again, for twice as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// So many calls in a row may kill their workers, with none completed, before it opens; at least 1. The re-runs of
    /// [`isolate`](crate::OnError::Isolate) do not count, as they look for a culprit. Default 20.
    pub deaths: usize,
    /// How long it is open the first time; more than 0. Default 5 s.
    pub cooldown: Duration,
    /// Doubling ends here; at least `cooldown`. Default 60 s.
    pub max_cooldown: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { deaths: 20, cooldown: Duration::from_secs(5), max_cooldown: Duration::from_secs(60) }
    }
}

impl Breaker {
    pub(crate) fn validate(&self, pool: &str) -> Result<(), ConfigError> {
        let wrong = |what: &str, hint: &str| {
            Err(ConfigError::new(format!("pool `{pool}`: the breaker's {what}")).hint(hint))
        };
        if self.deaths == 0 {
            return wrong("deaths are 0, expected at least 1", "turn it off with `breaker(None)`");
        }
        if self.cooldown.is_zero() {
            return wrong("cooldown is 0, expected some time", "turn it off with `breaker(None)`");
        }
        if self.max_cooldown < self.cooldown {
            return wrong("max_cooldown is less than its cooldown", "raise `max_cooldown` to it at least");
        }
        Ok(())
    }
}

/// Whether a pool's breaker lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All calls go through.
    #[default]
    Closed,
    /// Every call fails at once.
    Open,
    /// One worker, or one call, is being tried.
    HalfOpen,
}

/// What has to work for the breaker to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// A worker becomes ready.
    Start,
    /// A call is completed.
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// The breaker of a pool.
#[derive(Debug)]
pub(super) struct Circuit {
    limits: Option<Breaker>,
    state: State,
    trial: Trial,
    /// How long it was open last, since it was closed.
    cooldown: Option<Duration>,
    /// Deaths with a call to blame, one after the other.
    row: usize,
    /// What the pool had completed at the last of them.
    completed: u64,
    /// Numbers the times that it was half-open.
    pub(super) round: u64,
}

impl Circuit {
    pub(super) fn new(limits: Option<Breaker>) -> Self {
        Self {
            limits,
            state: State::Closed,
            trial: Trial::Start,
            cooldown: None,
            row: 0,
            completed: 0,
            round: 0,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.limits.is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.state == State::HalfOpen
    }

    /// What has to work now, if it is being tried.
    pub(super) fn trial(&self) -> Option<Trial> {
        self.is_half_open().then_some(self.trial)
    }

    /// When it is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Counts a death, with what the pool has completed so far; the length of the row if that is too long.
    pub(super) fn count(&mut self, cause: Cause, completed: u64) -> Option<usize> {
        let limit = self.limits?.deaths;
        if completed > self.completed {
            self.completed = completed;
            self.row = 0;
        }
        if cause == Cause::Call {
            self.row += 1;
        }
        (self.row >= limit).then_some(self.row)
    }

    /// Opens it; returns for how long.
    pub(super) fn open(&mut self, trial: Trial, now: Instant) -> Duration {
        let limits = self.limits.unwrap_or_default();
        let cooldown = match self.cooldown {
            Some(last) => last.saturating_mul(2).min(limits.max_cooldown),
            None => {
                // What opened it decides what closes it, however the tries between end.
                self.trial = trial;
                limits.cooldown
            }
        };
        self.cooldown = Some(cooldown);
        self.state = State::Open { until: later(now, cooldown) };
        cooldown
    }

    /// Tries again; returns what has to work.
    pub(super) fn half_open(&mut self) -> Trial {
        self.round += 1;
        self.state = State::HalfOpen;
        self.trial
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.cooldown = None;
        self.row = 0;
    }
}
