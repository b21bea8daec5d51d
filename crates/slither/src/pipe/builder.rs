//! How a pipe is written: [`PipeBuilder`].

use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use tokio::sync::mpsc;

use super::defaults::Defaults;
use super::definition::{Inner, Pipe};
use super::discard::Kept;
use super::draft::{Draft, DraftKind, Type};
use super::launch::{Binder, Bindings, Launch};
use super::outlet::Routes;
use super::router::Router;
use super::stage::Inlet;
use super::step::{Function, Step};
use super::{executor, inline, parallel};
use crate::context::Context;
use crate::dispatch::{Executor, Limits, OnError};
use crate::error::{ConfigError, ErrorKind, ItemError};

pub(super) type Connect<In, Cur> = Box<dyn Fn(&mut Launch, Inlet<In>) -> Inlet<Cur> + Send + Sync>;

/// A pipe being written: takes `In`, and hands on `Cur` after the stages so far.
///
/// Mistakes are kept and reported by [`build`](Self::build), so that a chain reads without interruption.
#[must_use = "a builder does nothing until `build`"]
pub struct PipeBuilder<In, Cur> {
    draft: Draft,
    connect: Connect<In, Cur>,
    binders: Vec<Binder>,
    router: Option<Router<Cur>>,
}

impl<In: Send + 'static> PipeBuilder<In, In> {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            draft: Draft::new(name),
            connect: Box::new(|_, inlet| inlet),
            binders: Vec::new(),
            router: None,
        }
    }
}

impl<In: Send + 'static, Cur: Send + 'static> PipeBuilder<In, Cur> {
    /// Replaces each payload.
    pub fn map<Next, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next>
    where
        Next: Send + 'static,
        F: Fn(Cur, &Context) -> Next + Send + Sync + 'static,
    {
        self.rust(name, "map", Arc::new(move |payload, context| Step::One(function(payload, context))))
    }

    /// Replaces each payload, or fails the item with an [`ErrorKind::Handler`].
    pub fn try_map<Next, E, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next>
    where
        Next: Send + 'static,
        E: fmt::Display,
        F: Fn(Cur, &Context) -> Result<Next, E> + Send + Sync + 'static,
    {
        let step = move |payload, context: &Context| match function(payload, context) {
            Ok(next) => Step::One(next),
            Err(error) => Step::Failed(ItemError::new(ErrorKind::Handler, error.to_string())),
        };
        self.rust(name, "try_map", Arc::new(step))
    }

    /// Replaces each payload or leaves the item out, which is counted: `None` as `filtered`, a
    /// [`Discard`](super::Discard) by its reason.
    pub fn filter_map<Next, K, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next>
    where
        Next: Send + 'static,
        K: Kept<Next>,
        F: Fn(Cur, &Context) -> K + Send + Sync + 'static,
    {
        let step = move |payload, context: &Context| match function(payload, context).kept() {
            Ok(next) => Step::One(next),
            Err(discard) => Step::Left(discard),
        };
        self.rust(name, "filter_map", Arc::new(step))
    }

    /// Replaces each item by any number of children, which carry its id and metadata.
    ///
    /// Children go on as the iterator makes them, on the stage's own task, and there may be no end of them.
    /// Each beyond the first counts as expanded; an item without any is dropped as `no children`.
    pub fn flat_map<Children, F>(
        self,
        name: impl Into<Arc<str>>,
        function: F,
    ) -> PipeBuilder<In, Children::Item>
    where
        Children: IntoIterator<IntoIter: Send + 'static, Item: Send + 'static>,
        F: Fn(Cur, &Context) -> Children + Send + Sync + 'static,
    {
        let step = move |payload, context: &Context| {
            Step::Many(Box::new(function(payload, context).into_iter()) as Box<_>)
        };
        self.rust(name, "flat_map", Arc::new(step))
    }

    /// Lets the Rust stage just added run `items` at a time, in order, on tokio's threads for blocking work;
    /// 1 unless set, which runs it in its own task.
    ///
    /// Set it for functions that take longer than some 100 µs or that block: at 1 they would hold up a
    /// thread of the runtime.
    pub fn concurrency(mut self, items: usize) -> Self {
        self.draft.concurrency(items);
        self
    }

    /// Sends items to an executor, in batches. What `limits` leaves open is the pipe's default.
    pub fn dispatch<Next: Send + 'static>(
        self,
        name: impl Into<Arc<str>>,
        executor: Arc<dyn Executor<Cur, Next>>,
        limits: Limits<Cur>,
    ) -> PipeBuilder<In, Next> {
        self.bound_stage(name, limits, move |_| Box::pin(std::future::ready(Ok(executor.clone()))))
    }

    /// A stage whose executor is found when a run starts, before any input is pulled.
    pub(crate) fn bound_stage<Next: Send + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        limits: Limits<Cur>,
        bind: impl Fn(Bindings) -> BoxFuture<'static, Result<Arc<dyn Executor<Cur, Next>>, ConfigError>>
        + Send
        + Sync
        + 'static,
    ) -> PipeBuilder<In, Next> {
        let index = self.draft.stage(name.into(), DraftKind::dispatch(&limits));
        self.binders.push(Binder::new(index, bind));
        self.then(move |launch, inlet| {
            let (executor, stage, exit) = (launch.executor(index), launch.stage(index), launch.exit(index));
            let bounds = launch.plan.bounds(index, &limits);
            let (outlet, next) = mpsc::channel(launch.plan.capacity);
            launch.spawn(executor::run(stage, executor, bounds, inlet, outlet, exit));
            next
        })
    }

    /// Ends the pipe: each item leaves by the output that the router chooses.
    pub fn route(mut self, name: impl Into<Arc<str>>, router: Router<Cur>) -> Self {
        self.draft.stage(name.into(), DraftKind::Router);
        self.router = Some(router);
        self
    }

    /// Declares an output. Declaring is optional; once one is declared, routers and policies may name no others,
    /// except `default`.
    pub fn output(mut self, name: impl Into<Arc<str>>) -> Self {
        self.draft.outputs.push(name.into());
        self
    }

    /// Sets the policy of a stage, or with `*` of every stage that has none. What the stage's own limits say
    /// goes first, then the stage's name, then `*`, then the defaults.
    ///
    /// A Rust stage or a router can only halt or skip. Where `*` or the defaults say anything else, it skips; a
    /// retry that halts in the end, halts.
    pub fn on_error(mut self, stage: impl Into<Arc<str>>, policy: OnError) -> Self {
        self.draft.policies.push((stage.into(), policy));
        self
    }

    /// Sets what holds for stages that do not say otherwise.
    pub fn defaults(mut self, defaults: Defaults) -> Self {
        self.draft.defaults = defaults;
        self
    }

    /// Checks the whole and makes the pipe.
    ///
    /// # Errors
    /// If a name is empty, taken or unknown, a bound is zero, a stage follows the router, a router or a policy
    /// names an output that is not declared, or a policy does not fit its stage.
    pub fn build(self) -> Result<Pipe<In, Cur>, ConfigError> {
        let rules = self.router.iter().flat_map(Router::outputs).cloned().collect();
        let plan = self.draft.plan(rules, Type::of::<Cur>())?;
        let place = |name: &str| plan.outputs.iter().position(|output| **output == *name).unwrap_or_default();
        let default = place(super::router::DEFAULT_OUTPUT);
        let routes = self.router.map(|router| {
            let outputs = router.outputs().map(|output| place(output)).collect();
            Arc::new(Routes { router, outputs, default })
        });
        let Self { connect, binders, .. } = self;
        Ok(Pipe::new(Inner { plan: Arc::new(plan), connect, binders, routes, default }))
    }

    fn rust<Next: Send + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        adapter: &'static str,
        function: Function<Cur, Next>,
    ) -> PipeBuilder<In, Next> {
        let index = self.draft.stage(name.into(), DraftKind::rust(adapter));
        self.then(move |launch, inlet| {
            let (stage, function) = (launch.stage(index), function.clone());
            let (outlet, next) = mpsc::channel(launch.plan.capacity);
            match launch.plan.concurrency(index) {
                1 => launch.spawn(inline::run(stage, function, inlet, outlet)),
                items => launch.spawn(parallel::run(stage, function, items, inlet, outlet)),
            }
            next
        })
    }

    /// Appends what starts one more stage.
    fn then<Next>(
        self,
        start: impl Fn(&mut Launch, Inlet<Cur>) -> Inlet<Next> + Send + Sync + 'static,
    ) -> PipeBuilder<In, Next> {
        let before = self.connect;
        PipeBuilder {
            draft: self.draft,
            connect: Box::new(move |launch, inlet| {
                let inlet = before(launch, inlet);
                start(launch, inlet)
            }),
            binders: self.binders,
            router: None,
        }
    }
}

impl<In, Cur> fmt::Debug for PipeBuilder<In, Cur> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeBuilder").field("draft", &self.draft).finish_non_exhaustive()
    }
}
