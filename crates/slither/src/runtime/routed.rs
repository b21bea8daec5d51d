//! A function whose pool the router chooses, as an executor of batches: [`Routed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_core::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use crate::context::Context;
use crate::dispatch::{Batch, Executor, Reply, Yields};
use crate::pool::PoolExecutor;
use crate::routing::{Decision, Subject};

/// Runs batches in the pool that was chosen, and moves to another when the pools have changed.
#[derive(Debug)]
pub(super) struct Routed {
    caller: Caller,
    subject: Arc<Subject>,
    timeout: Option<Duration>,
    /// The pools of the runtime, of which a place has the number.
    names: Vec<Arc<str>>,
    place: Arc<ArcSwap<Place>>,
    /// The pools as they stood when the place was last thought over.
    standing: AtomicU64,
    /// The function is just being imported elsewhere.
    moving: Arc<AtomicBool>,
    /// The first decision has been told.
    told: AtomicBool,
    /// Whether it may move.
    settled: bool,
}

/// Where batches go.
#[derive(Debug)]
struct Place {
    executor: PoolExecutor,
    decision: Decision,
    /// Which of the names it has.
    number: usize,
}

impl Place {
    fn new(executor: PoolExecutor, decision: Decision, names: &[Arc<str>]) -> Self {
        // Every decision is for one of the pools.
        let number = names.iter().position(|name| *name == decision.pool).unwrap_or_default();
        Self { executor, decision, number }
    }
}

impl Routed {
    /// A function that is bound where it was decided; one that is settled stays there.
    pub(super) fn new(
        caller: Caller,
        subject: Arc<Subject>,
        timeout: Option<Duration>,
        (executor, decision): (PoolExecutor, Decision),
        settled: bool,
    ) -> Self {
        let names: Vec<Arc<str>> = caller.slither().pools().map(|pool| pool.name.clone()).collect();
        let place = Place::new(executor, decision, &names);
        Self {
            standing: AtomicU64::new(caller.slither().standing()),
            caller,
            subject,
            timeout,
            names,
            place: Arc::new(ArcSwap::from_pointee(place)),
            moving: Arc::default(),
            told: AtomicBool::new(false),
            settled,
        }
    }

    /// Where this batch goes; decides anew if the pools have changed.
    fn place(&self, key: Option<u64>, context: &Context) -> Arc<Place> {
        let place = self.place.load_full();
        if !self.told.swap(true, Ordering::Relaxed) {
            self.caller.slither().router().note(&place.decision, context, true);
        }
        // Batches of a key belong together.
        if !self.settled && key.is_none() {
            let standing = self.caller.slither().standing();
            if self.standing.swap(standing, Ordering::Relaxed) != standing {
                self.think_again(&place, context);
            }
        }
        place
    }

    fn think_again(&self, place: &Place, context: &Context) {
        let decision = match self.caller.slither().decide_again(&self.subject) {
            Ok(decision) => decision,
            Err(error) => {
                tracing::warn!(target: "slither", %error, "no pool may run it now; it stays where it is");
                return;
            }
        };
        if decision.pool == place.decision.pool || self.moving.swap(true, Ordering::AcqRel) {
            return;
        }
        let (caller, function, timeout) = (self.caller.clone(), self.subject.function.clone(), self.timeout);
        let (target, moving, names) = (self.place.clone(), self.moving.clone(), self.names.clone());
        let context = context.clone();
        tokio::spawn(async move {
            match caller.bind(&decision.pool, &function, timeout).await {
                Ok(executor) => {
                    caller.slither().router().note(&decision, &context, true);
                    target.store(Arc::new(Place::new(executor, decision, &names)));
                }
                Err(error) => {
                    tracing::warn!(target: "slither", %error, "it stays in its pool");
                }
            }
            moving.store(false, Ordering::Release);
        });
    }
}

impl<I: Serialize, O: DeserializeOwned + Send + 'static> Executor<I, O> for Routed {
    fn execute(&self, batch: &Batch<I>, context: &Context) -> BoxFuture<'static, Reply<O>> {
        self.place(batch.key, context).executor.execute(batch, context)
    }

    fn execute_yielding(
        &self,
        batch: &Batch<I>,
        context: &Context,
        yields: Yields<O>,
    ) -> BoxFuture<'static, Reply<O>> {
        self.place(batch.key, context).executor.execute_yielding(batch, context, yields)
    }

    fn name(&self) -> &str {
        self.names.get(self.place.load().number).map_or("", |name| name)
    }

    fn slots(&self) -> usize {
        Executor::<I, O>::slots(&self.place.load().executor)
    }

    fn is_stateful(&self) -> bool {
        Executor::<I, O>::is_stateful(&self.place.load().executor)
    }
}
