//! Faults on purpose, the same for every example: what they do to its pools, what heals them, and what is said of
//! them.

use std::time::{Duration, Instant};

use serde::Serialize;
use slither::{Chaos, ChaosStats, ConfigError, OnError, Pool, Retry, Slither};

use crate::report::Section;

/// How long a worker that died last may take to be replaced.
const REPLACED: Duration = Duration::from_secs(30);

/// Gives a pool the faults, and a deadline for its batches, which is what a hang costs.
pub(crate) fn inject(pool: Pool, chaos: Option<&Chaos>, deadline: Duration) -> Pool {
    match chaos {
        Some(chaos) => pool.chaos(chaos.clone()).call_timeout(deadline),
        None => pool,
    }
}

/// What happens to a batch that fails. Under chaos it runs again, and what then still fails is split.
pub(crate) fn policy(chaos: bool) -> OnError {
    match chaos {
        false => OnError::Skip,
        true => Retry::new(5)
            .backoff(Duration::from_millis(10))
            .on("slither.ChaosError")
            .then(OnError::Isolate)
            .into(),
    }
}

/// The faults that a run was given, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChaosReport {
    /// What was asked for, with its seed.
    pub faults: String,
    /// What was injected, and how many batches ran again.
    pub injected: ChaosStats,
    /// Workers that died, each of which was replaced.
    pub deaths: usize,
}

impl ChaosReport {
    /// What the pools had of it, once each worker that died has been replaced.
    ///
    /// # Errors
    /// If there is no such pool.
    pub(crate) async fn gather(
        chaos: &Chaos,
        slither: &Slither,
        pools: &[(&str, usize)],
    ) -> Result<Self, ConfigError> {
        let (mut injected, mut deaths) = (ChaosStats::default(), 0);
        for (pool, size) in pools {
            let begun = Instant::now();
            while slither.stats(pool)?.workers.len() < *size && begun.elapsed() < REPLACED {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let stats = slither.stats(pool)?;
            deaths += stats.deaths;
            if let Some(ChaosStats { kill, hang, slow, garbage, raise, again, .. }) = stats.chaos {
                injected.kill += kill;
                injected.hang += hang;
                injected.slow += slow;
                injected.garbage += garbage;
                injected.raise += raise;
                injected.again += again;
            }
        }
        Ok(Self { faults: chaos.to_string(), injected, deaths })
    }

    /// For a person, with how many items failed in the end.
    pub(crate) fn section(&self, failed: u64) -> Section {
        let ChaosStats { kill, hang, slow, garbage, raise, again, .. } = self.injected;
        let lines = vec![
            format!(
                "injected: {kill} killed, {hang} hung, {slow} slowed down, {garbage} answered garbage, {raise} raised"
            ),
            format!("{} workers died and were replaced; {again} batches ran again", self.deaths),
            format!("{failed} items failed in the end"),
        ];
        Section::Lines(format!("Chaos: {}", self.faults), lines)
    }
}
