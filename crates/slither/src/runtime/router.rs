//! Calls of the pool `auto`: what the router is told of a function, and what it has decided so far.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::slither::Slither;
use crate::context::Context;
use crate::dispatch::ids;
use crate::error::{ConfigError, ItemError};
use crate::pool::{PoolStats, RunningPool, Via, open_single};
use crate::python::Matrix;
use crate::routing::{self, Candidate, Decision, Profile, Source, Subject, Traits, Verdicts};
use crate::telemetry::{Labels, RouteDecided, emit};
use crate::wire;

/// What in the SDK reads a function's source.
const DESCRIBE: &str = "slither._source:describe";
/// Functions of which the source is remembered, and places of which the decision is; beyond it all are forgotten.
const MOST: usize = 1024;

/// Where the calls of a place go that leave the choice to Slither, as it was last decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Route {
    /// `module:qualified.name`.
    pub function: Arc<str>,
    /// The pipe; none outside one.
    pub pipe: Option<Arc<str>>,
    /// The stage; none outside a pipe.
    pub stage: Option<Arc<str>>,
    /// The pool.
    pub pool: Arc<str>,
    /// How its workers run calls.
    pub profile: Profile,
    /// Why it goes there.
    pub reason: String,
    /// How often it was decided: once a run, and once for each change. Single calls count each.
    pub decided: u64,
    /// How often it went elsewhere than the time before.
    pub changed: u64,
}

/// A runtime as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// Its pools, by name.
    pub pools: BTreeMap<String, PoolStats>,
    /// Where the calls go that left the choice to Slither, by function, pipe and stage.
    pub routes: Vec<Route>,
}

type Place = (Arc<str>, Option<Arc<str>>, Option<Arc<str>>);

/// The memory of a runtime's decisions.
#[derive(Debug, Default)]
pub(super) struct Router {
    known: Mutex<HashMap<Arc<str>, Arc<Subject>>>,
    routes: Mutex<BTreeMap<Place, Route>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Router {
    /// Where calls go that were left to Slither, by function, pipe and stage.
    pub(super) fn routes(&self) -> Vec<Route> {
        lock(&self.routes).values().cloned().collect()
    }

    /// Notes a decision. Whoever begins a run tells it; otherwise it is told when it is another than before.
    pub(super) fn note(&self, decision: &Decision, context: &Context, begins: bool) {
        let Decision { function, pool, profile, reason, slots, .. } = decision;
        let (mut before, mut told) = (None, true);
        {
            let mut routes = lock(&self.routes);
            let place = (function.clone(), context.pipe.clone(), context.stage.clone());
            if routes.len() >= MOST && !routes.contains_key(&place) {
                routes.clear();
            }
            let route = routes.entry(place).or_insert_with(|| Route {
                function: function.clone(),
                pipe: context.pipe.clone(),
                stage: context.stage.clone(),
                pool: pool.clone(),
                profile: *profile,
                reason: String::new(),
                decided: 0,
                changed: 0,
            });
            if route.pool != *pool {
                before = Some(std::mem::replace(&mut route.pool, pool.clone()));
                route.changed += 1;
                route.profile = *profile;
            }
            route.decided += 1;
            if route.reason != *reason {
                route.reason.clone_from(reason);
            } else {
                told = begins;
            }
        }
        if told || before.is_some() {
            let [run, pipe, stage, session] = ids(context);
            let before: &str = before.as_deref().unwrap_or_default();
            let labels = Labels {
                pool: Some(pool),
                pipe: context.pipe.as_deref(),
                stage: context.stage.as_deref(),
                ..Labels::default()
            };
            let slots = *slots as f64;
            let event =
                RouteDecided::new(slots, run, pipe, stage, session, pool, function, profile, reason, &before);
            emit(labels, &event);
        }
    }
}

impl Slither {
    /// Decides where a function goes.
    pub(super) async fn decide(
        &self,
        function: &str,
        traits: Traits,
    ) -> Result<(Arc<Subject>, Decision), ConfigError> {
        let subject = self.subject(function, traits).await?;
        let decision = self.decide_again(&subject)?;
        Ok((subject, decision))
    }

    /// In a session nothing is left to decide.
    pub(super) fn decide_for_session(&self, function: &str, pool: &RunningPool) -> (Arc<Subject>, Decision) {
        let subject = Subject::named(function);
        let decision =
            Decision::settled(&subject, &pool.candidate(), "it is called in a session of this pool");
        (Arc::new(subject), decision)
    }

    /// Decides with the pools as they stand now.
    pub(super) fn decide_again(&self, subject: &Subject) -> Result<Decision, ConfigError> {
        let pools: Vec<Candidate> = self.pools().map(|pool| pool.candidate()).collect();
        routing::decide(subject, &pools)
    }

    /// Changes when a decision may.
    pub(super) fn standing(&self) -> u64 {
        // Which pool changed makes a difference, and their order is that of one map.
        self.pools()
            .fold(0, |sum: u64, pool| sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(pool.standing()))
    }

    async fn subject(&self, function: &str, traits: Traits) -> Result<Arc<Subject>, ConfigError> {
        let known = lock(&self.router().known).get(function).cloned();
        let known = match known {
            Some(known) => known,
            None => {
                let found = Arc::new(self.look_up(function).await?);
                let mut all = lock(&self.router().known);
                if all.len() >= MOST {
                    all.clear();
                }
                all.insert(function.into(), found.clone());
                found
            }
        };
        match traits.or(known.traits) {
            same if same == known.traits => Ok(known),
            _ => Ok(Arc::new(Subject::clone(&known).with(traits))),
        }
    }

    /// Finds out what there is to know of a function, without importing it.
    async fn look_up(&self, function: &str) -> Result<Subject, ConfigError> {
        let source = self.source(function).await?;
        let name = function.to_owned();
        let known = move || Subject::of(&name, &source, Matrix::builtin(), &Verdicts::locate());
        tokio::task::spawn_blocking(known)
            .await
            .map_err(|error| ConfigError::new(format!("the verdicts on `{function}` were not read: {error}")))
    }

    /// What the source of a function says, read by whichever pool answers: processes first.
    async fn source(&self, function: &str) -> Result<Source, ConfigError> {
        let mut pools: Vec<(Candidate, &Arc<RunningPool>)> =
            self.pools().map(|pool| (pool.candidate(), pool)).collect();
        pools.sort_by_key(|(it, _)| (it.failing, it.profile != Profile::Processes, it.pool.clone()));
        let mut failure = None;
        for (_, pool) in pools {
            match describe(pool, function).await {
                Ok(source) => return Ok(source),
                Err(error) => failure = Some(error),
            }
        }
        let why = failure.map_or_else(|| "there is no pool".to_owned(), |error| error.to_string());
        Err(ConfigError::new(format!("`{function}` cannot be routed: {why}")))
    }
}

async fn describe(pool: &Arc<RunningPool>, function: &str) -> Result<Source, ItemError> {
    #[derive(Serialize)]
    struct Asked<'a> {
        function: &'a str,
        known: Vec<&'a str>,
    }
    let known = Matrix::builtin().libraries().iter().map(|library| library.import.as_str()).collect();
    let (id, context) = (pool.next_id(), Arc::new(Context::none()));
    let frame = wire::single(id, DESCRIBE, &context, &Asked { function, known }, pool.max_frame)?;
    open_single(&pool.submit(id, frame, pool.call_timeout, context, &Via::Any).await?)
}
