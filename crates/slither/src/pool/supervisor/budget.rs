//! How many deaths without a batch to blame are borne, and how long to wait after each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often workers may die without a batch to blame, and how long to wait before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartBudget {
    /// So many deaths that no batch is charged with (before ready, or idle) within `period` are borne; with one
    /// more the pool's [`Breaker`](crate::Breaker) opens, or without one the pool fails for good. Default 5.
    pub deaths: usize,
    /// The period they are counted over. Default 10 s.
    pub period: Duration,
    /// The wait before the first replacement of such a death; doubled for each further one in the period,
    /// up to a second. Default 50 ms.
    pub backoff: Duration,
}

impl Default for RestartBudget {
    fn default() -> Self {
        Self { deaths: 5, period: Duration::from_secs(10), backoff: Duration::from_millis(50) }
    }
}

/// The deaths of the last period.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) limits: RestartBudget,
    deaths: VecDeque<Instant>,
}

impl Budget {
    pub(super) fn new(limits: RestartBudget) -> Self {
        Self { limits, deaths: VecDeque::new() }
    }

    /// Counts a death; false if it is beyond the budget.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let over = |death: &Instant| now.saturating_duration_since(*death) > self.limits.period;
        while self.deaths.front().is_some_and(over) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        self.deaths.len() <= self.limits.deaths
    }

    /// Deaths that count still.
    pub(super) fn deaths(&self) -> usize {
        self.deaths.len()
    }

    /// How long to wait after the last of them.
    pub(super) fn delay(&self) -> Duration {
        let doublings = u32::try_from(self.deaths.len().saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        self.limits.backoff.saturating_mul(2u32.pow(doublings)).min(Duration::from_secs(1))
    }

    /// Counts from nothing again.
    pub(super) fn forgive(&mut self) {
        self.deaths.clear();
    }

    /// That it is spent, for whoever reads the cause.
    pub(super) fn spent(&self) -> String {
        format!(
            "and the restart budget of {} deaths in {} s without a batch to blame is spent",
            self.limits.deaths,
            self.limits.period.as_secs_f64()
        )
    }
}
