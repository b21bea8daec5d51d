//! From what is wanted to what runs: [`Builder`].

use std::collections::HashMap;
use std::sync::Arc;

use super::slither::Slither;
use crate::error::ConfigError;
use crate::pool::{Pool, RunningPool};
use crate::python::{Environment, EnvironmentSpec, Progress, Traced};
use crate::store::{Store, Stores};

/// Pools and stores to start together; made by [`Slither::builder`].
pub struct Builder {
    pools: Vec<Pool>,
    stores: Vec<Box<dyn Store>>,
    progress: Arc<dyn Progress + Send + Sync>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { pools: Vec::new(), stores: Vec::new(), progress: Arc::new(Traced) }
    }

    /// Adds a pool.
    #[must_use]
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Adds a store; it is loaded by [`start`](Self::start).
    #[must_use]
    pub fn store<S: Store>(mut self, store: S) -> Self {
        self.stores.push(Box::new(store));
        self
    }

    /// Where lines go that tell of slow steps, such as packages that are installed at the first start. Default:
    /// `tracing` events of level info.
    #[must_use]
    pub fn progress(mut self, progress: impl Progress + Send + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }

    /// Loads the stores, provides the environments, starts the pools, and waits until every worker is ready.
    ///
    /// # Errors
    /// If two pools or stores share a name, a store does not load, there is no usable interpreter, a package
    /// cannot be installed, or a worker does not become ready; nothing is left running then.
    ///
    /// # Panics
    /// If called outside a tokio runtime.
    pub async fn start(self) -> Result<Slither, ConfigError> {
        let mut names: Vec<&str> = self.pools.iter().map(|pool| pool.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::new(format!("two pools are named `{}`", twice[0]))
                .hint("give each pool a name of its own"));
        }
        for pool in &self.pools {
            pool.validate()?;
        }
        let progress = self.progress;
        let specs: Vec<_> = self
            .pools
            .iter()
            .map(|pool| EnvironmentSpec {
                python: pool.python.clone(),
                requirements: pool.requirements.clone(),
            })
            .collect();
        let stores = self.stores;
        let prepared = tokio::task::spawn_blocking(move || {
            let stores = Stores::open(stores)?;
            let mut environments = Vec::new();
            for spec in &specs {
                environments.push(Environment::prepare(spec, &*progress)?);
            }
            Ok::<_, ConfigError>((stores, environments))
        })
        .await;
        let (stores, environments) = match prepared {
            Ok(prepared) => prepared?,
            Err(error) => return Err(ConfigError::new(format!("the start did not finish: {error}"))),
        };
        let mut pools = HashMap::new();
        for (config, environment) in self.pools.iter().zip(environments) {
            let pool = RunningPool::start(config, environment, stores.views().clone()).await?;
            pools.insert(config.name.clone(), pool);
        }
        Ok(Slither::new(pools, stores))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("pools", &self.pools).finish_non_exhaustive()
    }
}
