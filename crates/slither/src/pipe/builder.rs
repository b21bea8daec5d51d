//! How a pipe is written: [`PipeBuilder`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;

use super::batches::{BatchFunction, Gather};
use super::discard::Kept;
use super::draft::{Draft, DraftKind, Type};
use super::launch::{Binder, Bindings, Launch};
use super::outlet::Outlet;
use super::router::Router;
use super::step::{Delivery, Function, Step};
use super::{batches, executor, fork, function};
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
        let step = move |payload, context: &Context| Step::One(function(payload, context));
        self.rust(name, "map", Arc::new(step))
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
    /// Children go on as the iterator makes them, and there may be no end of them. Each beyond the first counts
    /// as expanded; an item without any is dropped as `no children`. An iterator that takes long over a child is
    /// moved to a thread, which then makes up to 64 children ahead.
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

    /// Replaces each payload, or sends the item straight to an output: `Ok` goes on, `Err` leaves by `output`.
    ///
    /// What leaves has the type of the pipe's outputs, and counts as handed on by this stage; it is no failure.
    ///
    /// ```
    /// use slither::Context;
    /// use slither::pipe::{Pipe, RunOptions, run_pipe};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pipe = Pipe::builder("ages")
    ///     .divert("parse", "unreadable", |text: String, _: &Context| {
    ///         text.parse::<u8>().map_err(|error| format!("{text}: {error}"))
    ///     })
    ///     .map("say", |age: u8, _: &Context| format!("{age} years"))
    ///     .build()
    ///     .unwrap();
    /// let outputs = run_pipe(&pipe, ["7", "old"], RunOptions::new()).await.unwrap();
    /// assert_eq!(outputs.payloads("default"), ["7 years"]);
    /// assert_eq!(outputs.payloads("unreadable"), ["old: invalid digit found in string"]);
    /// # }
    /// ```
    pub fn divert<Next, Out, F>(
        mut self,
        name: impl Into<Arc<str>>,
        output: impl Into<Arc<str>>,
        function: F,
    ) -> PipeBuilder<In, Next, Part>
    where
        Next: Send + 'static,
        Out: Send + 'static,
        F: Fn(Cur, &Context) -> Result<Next, Out> + Send + Sync + 'static,
    {
        let (name, output) = (name.into(), output.into());
        self.draft.exit(format!("stage `{name}`"), output.clone(), Type::of::<Out>());
        let step = move |payload, context: &Context| match function(payload, context) {
            Ok(next) => Step::One(next),
            Err(aside) => Step::Aside(aside),
        };
        self.rust_or_aside(name, "divert", Some(output), Arc::new(step))
    }

    /// Replaces the payloads of up to `size` items at a time: one for each, in their order.
    ///
    /// A partial batch waits for more items, or for the end of the input, unless a
    /// [`max_wait`](Self::max_wait) is set. Batches run on tokio's threads for blocking work, one at a time
    /// unless [`concurrency`](Self::concurrency) is set, and hand on in order. A function that panics, or that
    /// returns another number of results, fails all items of its batch.
    ///
    /// ```
    /// use std::time::Duration;
    /// use slither::Context;
    /// use slither::pipe::{Pipe, RunOptions, run_pipe};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let pipe = Pipe::builder("shares")
    ///     .map_batch("share", 3, |numbers: Vec<f64>, _: &Context| {
    ///         let total: f64 = numbers.iter().sum();
    ///         numbers.into_iter().map(|n| n / total).collect()
    ///     })
    ///     .max_wait(Duration::from_millis(50))
    ///     .build()
    ///     .unwrap();
    /// let outputs = run_pipe(&pipe, [1.0, 1.0, 2.0, 5.0], RunOptions::new()).await.unwrap();
    /// assert_eq!(outputs.payloads("default"), [&0.25, &0.25, &0.5, &1.0]);
    /// # }
    /// ```
    pub fn map_batch<Next, F>(
        self,
        name: impl Into<Arc<str>>,
        size: usize,
        function: F,
    ) -> PipeBuilder<In, Next, Part>
    where
        Next: Send + 'static,
        F: Fn(Vec<Cur>, &Context) -> Vec<Next> + Send + Sync + 'static,
    {
        let each = move |payloads, context: &Context| {
            function(payloads, context).into_iter().map(Ok).collect::<Vec<_>>()
        };
        self.rust_batch(name, "map_batch", size, Arc::new(each))
    }

    /// [`map_batch`](Self::map_batch) whose function may fail single items, with an [`ErrorKind::Handler`].
    pub fn try_map_batch<Next, E, F>(
        self,
        name: impl Into<Arc<str>>,
        size: usize,
        function: F,
    ) -> PipeBuilder<In, Next, Part>
    where
        Next: Send + 'static,
        E: fmt::Display,
        F: Fn(Vec<Cur>, &Context) -> Vec<Result<Next, E>> + Send + Sync + 'static,
    {
        let failed = |error: E| ItemError::new(ErrorKind::Handler, error.to_string());
        let each = move |payloads, context: &Context| {
            let results = function(payloads, context);
            results.into_iter().map(|result| result.map_err(failed)).collect::<Vec<_>>()
        };
        self.rust_batch(name, "try_map_batch", size, Arc::new(each))
    }

    /// Closes a batch of the stage just added, a [`map_batch`](Self::map_batch), when its first item has waited
    /// this long; not set, it waits for more items. Needs a tokio runtime with its timer on.
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.draft.max_wait(wait);
        self
    }

    /// Lets the Rust stage just added run so many items at a time, or batches, on tokio's threads for blocking
    /// work; results keep the order. 1 unless set.
    ///
    /// At 1 a function that takes items runs in the stage's own task as long as its calls are short, some 20 µs.
    /// It begins on a thread, and goes back to one for the rest of the run after a call that took more than a
    /// millisecond, so that it holds up no thread of the runtime.
    pub fn concurrency(mut self, at_a_time: usize) -> Self {
        self.draft.concurrency(at_a_time);
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
        self,
        name: impl Into<Arc<str>>,
        adapter: &'static str,
        function: Function<Cur, Next>,
    ) -> PipeBuilder<In, Next, Part> {
        self.rust_or_aside(name.into(), adapter, None, function)
    }

    fn rust_or_aside<Next: Send + 'static, Out: Send + 'static>(
        mut self,
        name: Arc<str>,
        adapter: &'static str,
        aside: Option<Arc<str>>,
        function: Function<Cur, Next, Out>,
    ) -> PipeBuilder<In, Next, Part> {
        let index = self.draft.stage(name, DraftKind::rust(adapter, aside.clone()));
        self.then(move |launch, outlet| {
            let (stage, function) = (launch.stage(index), function.clone());
            let concurrency = launch.plan.concurrency(index);
            let aside = aside.as_ref().map(|output| launch.output(output));
            let (way, inlet) = launch.channel();
            let delivery = Delivery::new(outlet, aside);
            launch.spawn(index, function::run(stage, function, concurrency, inlet, delivery));
            way
        })
    }

    fn rust_batch<Next: Send + 'static>(
        mut self,
        name: impl Into<Arc<str>>,
        adapter: &'static str,
        size: usize,
        function: BatchFunction<Cur, Next>,
    ) -> PipeBuilder<In, Next, Part> {
        let index = self.draft.stage(name.into(), DraftKind::rust_batch(adapter, size));
        self.then(move |launch, outlet| {
            let (stage, function) = (launch.stage(index), function.clone());
            let (max_wait, concurrency) = (launch.plan.max_wait(index), launch.plan.concurrency(index));
            let (way, inlet) = launch.channel();
            let gather = Gather { size, max_wait, concurrency };
            launch.spawn(index, batches::run(stage, function, gather, inlet, outlet));
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
