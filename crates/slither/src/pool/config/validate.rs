//! What a pool cannot be.

use std::time::Duration;

use super::Pool;
use crate::error::ConfigError;
use crate::routing::AUTO;
use crate::wire::Profile;

/// No frame is longer than this, whatever a pool asks for.
const LARGEST_FRAME: usize = 1 << 30;
/// No worker has more threads.
pub(super) const MOST_THREADS: usize = 256;
/// No worker runs more coroutines at once.
const MOST_COROUTINES: usize = 1024;
/// A worker needs this much address space to start.
const SMALLEST_MEMORY: u64 = 128 << 20;

impl Pool {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let zero = |what: &str, hint: &str| {
            let message = format!("pool `{}`: {what} is 0, expected at least 1", self.name);
            Err(ConfigError::new(message).hint(hint))
        };
        if self.name.is_empty() || self.name.contains(['/', '\0', '\n']) {
            let message = format!("{:?} is no name for a pool", self.name);
            return Err(ConfigError::new(message).hint("use a short word, such as `default`"));
        }
        if self.name == AUTO {
            let message = format!("no pool may be named `{AUTO}`");
            return Err(ConfigError::new(message).hint("it stands for the pool that the router chooses"));
        }
        if self.size == 0 {
            return zero("the number of workers", "leave it out to use one worker a core");
        }
        if let Some(setting) = self.misplaced {
            let message = format!(
                "pool `{}`: {setting} is set, which a pool of {} does not have",
                self.name,
                self.kind()
            );
            let hint = match setting {
                "concurrency" => "it belongs to `Pool::coroutines`",
                _ => "it belongs to `Pool::threads`",
            };
            return Err(ConfigError::new(message).hint(hint));
        }
        let (what, count, most) = match self.profile {
            Profile::Process => ("", 1, 1),
            Profile::Thread { threads, .. } => ("threads_per_worker", threads, MOST_THREADS),
            Profile::Async { concurrency } => ("concurrency", concurrency, MOST_COROUTINES),
        };
        if !(1..=most).contains(&count) {
            let message = format!("pool `{}`: {what} is {count}, expected 1 to {most}", self.name);
            return Err(ConfigError::new(message).hint("more workers take more calls, too: `Pool::size`"));
        }
        if self.chaos.is_some() && self.profile != Profile::Process {
            let message = format!(
                "pool `{}`: chaos is for pools of processes, this one is of {}",
                self.name,
                self.kind()
            );
            return Err(
                ConfigError::new(message).hint("a fault of one call would befall the others of its worker")
            );
        }
        self.validate_adapter()?;
        if self.queue == 0 {
            return zero("the queue", "leave it out for room for 1024 calls");
        }
        let limits = &self.limits;
        if limits.max_requests == Some(0) {
            return zero("max_requests", "leave it out to keep workers however many calls they have had");
        }
        if limits.ttl == Some(Duration::ZERO) {
            return zero("the ttl of workers", "leave it out to keep workers however old they are");
        }
        if limits.max_rss == Some(0) {
            return zero("max_rss", "leave it out to keep workers however large they are");
        }
        if let Some(breaker) = &self.breaker {
            breaker.validate(&self.name)?;
        }
        if !(1..=LARGEST_FRAME).contains(&self.max_frame) {
            let message = format!(
                "pool `{}`: max_frame is {}, expected 1 to {LARGEST_FRAME}",
                self.name, self.max_frame
            );
            return Err(ConfigError::new(message));
        }
        if let Some(chaos) = &self.chaos {
            chaos.validate()?;
        }
        if let Some(limit) = self.memory_limit.filter(|bytes| *bytes < SMALLEST_MEMORY) {
            let message = format!(
                "pool `{}`: memory_limit is {limit} bytes, expected at least {SMALLEST_MEMORY}",
                self.name
            );
            return Err(ConfigError::new(message).hint("it counts what is mapped, Python itself included"));
        }
        for folder in &self.python_path {
            if !folder.is_dir() {
                let message =
                    format!("pool `{}`: the python_path {} is not a folder", self.name, folder.display());
                return Err(ConfigError::new(message).hint("a relative path starts at the current folder"));
            }
        }
        Ok(())
    }

    /// What its workers run calls in.
    fn kind(&self) -> &'static str {
        match self.profile {
            Profile::Process => "processes",
            Profile::Thread { .. } => "threads",
            Profile::Async { .. } => "coroutines",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Breaker;

    #[test]
    fn limits_of_nothing_are_refused() {
        let pool = || Pool::processes("p");
        let breaker = |breaker: Breaker| pool().breaker(breaker);
        let none = Breaker { deaths: 0, ..Breaker::default() };
        let never = Breaker { cooldown: Duration::ZERO, ..Breaker::default() };
        let upside_down = Breaker { max_cooldown: Duration::from_secs(1), ..Breaker::default() };
        for (pool, message) in [
            (pool().max_requests(0), "pool `p`: max_requests is 0, expected at least 1"),
            (pool().ttl(Duration::ZERO), "pool `p`: the ttl of workers is 0, expected at least 1"),
            (pool().max_rss(0), "pool `p`: max_rss is 0, expected at least 1"),
            (breaker(none), "pool `p`: the breaker's deaths are 0, expected at least 1"),
            (breaker(never), "pool `p`: the breaker's cooldown is 0, expected some time"),
            (breaker(upside_down), "pool `p`: the breaker's max_cooldown is less than its cooldown"),
        ] {
            let error = pool.validate().unwrap_err().to_string();
            assert_eq!(error.lines().next(), Some(message));
            assert!(error.contains("\n  hint: "), "{error}");
        }
        pool().max_requests(1).ttl(Duration::from_nanos(1)).max_rss(1).breaker(None).validate().unwrap();
    }

    #[test]
    fn zero_workers_are_refused_with_a_way_out() {
        let error = Pool::processes("p").size(0).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "pool `p`: the number of workers is 0, expected at least 1\n  hint: leave it out to use one worker a core"
        );
    }
}
