//! Moments to wait for, and how `poll` is told of them.

use std::time::{Duration, Instant};

use rustix::event::Timespec;

/// So far ahead that nobody waits for it, and near enough for every clock.
const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Now, as every decision of a pool sees it: where tokio's clock is paused, its time.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The moment `by` after `at`; a duration that no clock can hold means never.
pub(super) fn later(at: Instant, by: Duration) -> Instant {
    at + by.min(NEVER)
}

/// How long `poll` may sleep to be awake at `due`; as long as it likes without one.
pub(super) fn until(due: Option<Instant>) -> Option<Timespec> {
    due.map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_duration_is_no_overflow() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) > now);
        assert!(until(Some(later(now, Duration::MAX))).is_some_and(|left| left.tv_sec > 0));
        assert!(until(Some(now)).is_some_and(|left| left.tv_sec == 0 && left.tv_nsec == 0));
    }
}
