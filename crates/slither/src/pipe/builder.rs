//! How a pipe is written: [`PipeBuilder`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::discard::Kept;
use super::draft::{Draft, DraftKind, Type};
use super::launch::{Binder, Bindings, Launch};
use super::outlet::Outlet;
use super::router::Router;
use super::step::{Function, Step};
use super::{executor, fork, inline, parallel};
use crate::context::Context;
use crate::dispatch::{Executor, Limits};
use crate::error::{ConfigError, ErrorKind, ItemError};

/// Starts stages, given where the last of them sends to; returns the way to the first.
pub(super) type Connect<In, Cur> = Box<dyn Fn(&mut Launch, Outlet<Cur>) -> Outlet<In> + Send + Sync>;

/// The stages of a [`PipeBuilder`] are those of a pipe.
#[derive(Debug)]
pub enum Whole {}

/// A pipe being written: takes `In`, and hands on `Cur` after the stages so far.
///
/// Mistakes are kept and reported by [`build`](Self::build), so that a chain reads without interruption. With
/// another `Part` than [`Whole`] it is a branch: see [`BranchBuilder`](super::BranchBuilder).
#[must_use = "a builder does nothing until `build`"]
pub struct PipeBuilder<In, Cur, Part = Whole> {
    pub(super) draft: Draft,
    pub(super) connect: Connect<In, Cur>,
    pub(super) binders: Vec<Binder>,
    part: PhantomData<fn() -> Part>,
}

impl<In: Send + 'static, Part> PipeBuilder<In, In, Part> {
    /// No stage yet, behind what the draft and the binders hold.
    pub(super) fn begin(draft: Draft, binders: Vec<Binder>) -> Self {
        Self { draft, connect: Box::new(|_, outlet| outlet), binders, part: PhantomData }
    }
}

impl<In: Send + 'static, Cur: Send + 'static, Part> PipeBuilder<In, Cur, Part> {
    /// Replaces each payload.
    pub fn map<Next, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next, Part>
    where
        Next: Send + 'static,
        F: Fn(Cur, &Context) -> Next + Send + Sync + 'static,
    {
        self.rust(name, "map", Arc::new(move |payload, context| Step::One(function(payload, context))))
    }

    /// Replaces each payload, or fails the item with an [`ErrorKind::Handler`].
    pub fn try_map<Next, E, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next, Part>
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
    pub fn filter_map<Next, K, F>(self, name: impl Into<Arc<str>>, function: F) -> PipeBuilder<In, Next, Part>
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
    ) -> PipeBuilder<In, Children::Item, Part>
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
    ) -> PipeBuilder<In, Next, Part> {
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
    ) -> PipeBuilder<In, Next, Part> {
        let index = self.draft.stage(name.into(), DraftKind::dispatch(&limits));
        self.binders.push(Binder::new(index, bind));
        self.then(move |launch, outlet| {
            let (executor, stage, exit) = (launch.executor(index), launch.stage(index), launch.exit(index));
            let bounds = launch.plan.bounds(index, &limits);
            let (way, inlet) = launch.channel();
            launch.spawn(index, executor::run(stage, executor, bounds, inlet, outlet, exit));
            way
        })
    }

    fn rust<Next: Send + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        adapter: &'static str,
        function: Function<Cur, Next>,
    ) -> PipeBuilder<In, Next, Part> {
        let index = self.draft.stage(name.into(), DraftKind::rust(adapter));
        self.then(move |launch, outlet| {
            let (stage, function) = (launch.stage(index), function.clone());
            let (way, inlet) = launch.channel();
            match launch.plan.concurrency(index) {
                1 => launch.spawn(index, inline::run(stage, function, inlet, outlet)),
                items => launch.spawn(index, parallel::run(stage, function, items, inlet, outlet)),
            }
            way
        })
    }

    /// Appends a router to outputs: the last stage, whatever comes behind it.
    pub(super) fn end_in_outputs(mut self, name: Arc<str>, router: Router<Cur>) -> Self {
        let index = self.draft.stage(name.clone(), DraftKind::Router { ways: Vec::new() });
        let (outputs, rules) = router.into_parts();
        for output in &outputs {
            let first = self.draft.len();
            self.draft.end_way(index, output.clone(), first, Some(output.clone()));
            self.draft.exit(format!("router `{name}`"), output.clone(), Type::of::<Cur>());
        }
        self.draft.join(index, Vec::new());
        let rules = Arc::new(rules);
        self.then(move |launch, _: Outlet<Cur>| {
            let ways = outputs.iter().map(|output| launch.output(output)).collect();
            let (way, inlet) = launch.channel();
            launch.spawn(index, fork::run(launch.stage(index), rules.clone(), inlet, ways));
            way
        })
    }

    /// Appends what starts one more stage.
    pub(super) fn then<Next>(
        self,
        start: impl Fn(&mut Launch, Outlet<Next>) -> Outlet<Cur> + Send + Sync + 'static,
    ) -> PipeBuilder<In, Next, Part> {
        let before = self.connect;
        PipeBuilder {
            draft: self.draft,
            connect: Box::new(move |launch, outlet| {
                let outlet = start(launch, outlet);
                before(launch, outlet)
            }),
            binders: self.binders,
            part: PhantomData,
        }
    }
}

impl<In, Cur, Part> fmt::Debug for PipeBuilder<In, Cur, Part> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeBuilder").field("draft", &self.draft).finish_non_exhaustive()
    }
}
