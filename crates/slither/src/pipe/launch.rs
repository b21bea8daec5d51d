//! Starting a run: every stage is bound, then every stage becomes a task.

use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::definition::Pipe;
use super::outlet::{Entry, Inlet, Outlet};
use super::plan::Plan;
use super::router::DEFAULT_OUTPUT;
use super::run::RunOptions;
use super::source;
use super::stage::Stage;
use super::stream::PipeStream;
use super::ticket::{Run, Ticket};
use crate::context::Context;
use crate::dispatch::Executor;
use crate::error::ConfigError;
use crate::item::Failure;
use crate::metadata::Metadata;
use crate::store::Scope;

/// What stages are bound to: whatever the one who starts the run and the stages agreed on.
pub(crate) type Bindings = Arc<dyn Any + Send + Sync>;

/// An `Arc<dyn Executor<I, O>>`, its types put aside until the stage that knows them takes it.
type Erased = Box<dyn Any + Send + Sync>;
type Bind = dyn Fn(Bindings) -> BoxFuture<'static, Result<Erased, ConfigError>> + Send + Sync;

/// Finds the executor of one stage.
pub(super) struct Binder {
    stage: usize,
    bind: Box<Bind>,
}

impl Binder {
    pub(super) fn new<I: 'static, O: 'static>(
        stage: usize,
        bind: impl Fn(Bindings) -> BoxFuture<'static, Result<Arc<dyn Executor<I, O>>, ConfigError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let bind = move |bindings| -> BoxFuture<'static, Result<Erased, ConfigError>> {
            let executor = bind(bindings);
            Box::pin(async move { Ok(Box::new(executor.await?) as Erased) })
        };
        Self { stage, bind: Box::new(bind) }
    }
}

/// A run being started; the stages take from it what they need.
pub(super) struct Launch {
    pub(super) plan: Arc<Plan>,
    run: Arc<Run>,
    executors: HashMap<usize, Erased>,
    /// An `mpsc::Sender<Entry<Out>>`, for all by which items leave.
    reader: Erased,
    failures: mpsc::Sender<(Failure, Ticket)>,
    tasks: JoinSet<()>,
}

impl Launch {
    /// The executor that the stage was bound to.
    pub(super) fn executor<I: 'static, O: 'static>(&self, stage: usize) -> Arc<dyn Executor<I, O>> {
        let bound = self.executors.get(&stage);
        let executor = bound.and_then(|executor| executor.downcast_ref::<Arc<dyn Executor<I, O>>>());
        executor.expect("a stage and its binder were made together, with the same types").clone()
    }

    /// Where the stage's failed items leave the pipe, if its policy is to route them.
    pub(super) fn exit<I: 'static>(&self, stage: usize) -> Option<Outlet<I>> {
        Some(self.output(self.plan.stages[stage].on_error.output()?))
    }

    /// The way to the reader by an output.
    pub(super) fn output<T: 'static>(&self, name: &str) -> Outlet<T> {
        let output = self.plan.outputs.iter().position(|output| **output == *name);
        let output = output.expect("a plan holds every output that is named");
        let reader = self.reader.downcast_ref::<mpsc::Sender<Entry<T>>>();
        let reader = reader.expect("a plan lets only what has the type of the outputs leave");
        Outlet::leaving(reader.clone(), output)
    }

    /// A channel between two stages.
    pub(super) fn channel<T>(&self) -> (Outlet<T>, Inlet<T>) {
        Outlet::channel(self.plan.capacity)
    }

    pub(super) fn stage(&self, index: usize) -> Stage {
        let plan = &self.plan.stages[index];
        let context = self.run.context.in_stage(&self.plan.name, &plan.name);
        Stage::new(self.run.clone(), index, context, plan.on_error.clone(), self.failures.clone())
    }

    /// Starts the task of a stage. The last of a pipe comes first, so that each has where to send to.
    pub(super) fn spawn(&mut self, stage: usize, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.run.register(Some(stage), handle);
    }
}

/// Binds and starts a run.
pub(super) async fn launch<In, Out, S>(
    pipe: &Pipe<In, Out>,
    source: S,
    options: RunOptions,
) -> Result<PipeStream<Out>, ConfigError>
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stream<Item = Result<(In, Metadata), String>> + Send + 'static,
{
    let inner = &pipe.inner;
    let plan = inner.plan.clone();
    let bind = |binder: &Binder| {
        let (stage, executor) = (binder.stage, (binder.bind)(options.bindings.clone()));
        async move { Ok::<_, ConfigError>((stage, executor.await?)) }
    };
    let executors = try_join_all(inner.binders.iter().map(bind)).await?.into_iter().collect();

    let mut context = Context::run();
    context.session = match plan.view_scope {
        Scope::Global => None,
        Scope::Session => options.session.or(context.session),
    };
    context.pipe = Some(plan.name.clone());
    context.metadata.extend(options.metadata);
    let run = Run::start(context, plan.clone(), options.letters);
    let (failures, failed) = mpsc::channel(plan.capacity);
    let (reader, outputs) = mpsc::channel(plan.capacity);
    let mut launch = Launch {
        plan: plan.clone(),
        run: run.clone(),
        executors,
        reader: Box::new(reader),
        failures,
        tasks: JoinSet::new(),
    };
    let end = launch.output::<Out>(DEFAULT_OUTPUT);
    let outlet = (inner.connect)(&mut launch, end);
    let source = launch.tasks.spawn(source::pump(run.clone(), source, outlet));
    run.register(None, source);
    Ok(PipeStream::new(plan, run, outputs, failed, launch.tasks))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;
    use crate::dispatch::{InProcess, Limits};
    use crate::error::RunError;
    use crate::pipe::run_pipe;

    /// A pipe whose stage adds what its run is bound to, if that is a number.
    fn adder() -> Pipe<u64, u64> {
        let bind =
            |bindings: Bindings| -> BoxFuture<'static, Result<Arc<dyn Executor<u64, u64>>, ConfigError>> {
                Box::pin(async move {
                    let Some(&add) = bindings.downcast_ref::<u64>() else {
                        return Err(ConfigError::new("no number is bound"));
                    };
                    let add = move |payloads: Vec<u64>| {
                        Ok::<_, ConfigError>(payloads.into_iter().map(|n| n + add).collect())
                    };
                    Ok(Arc::new(InProcess::new("adder", add)) as Arc<dyn Executor<u64, u64>>)
                })
            };
        Pipe::builder("bound").bound_stage("add", Limits::new(), bind).build().unwrap()
    }

    #[tokio::test]
    async fn stages_are_bound_before_the_first_item_is_pulled() {
        let pulled = Arc::new(AtomicBool::new(false));
        let seen = pulled.clone();
        let items = (0u64..3).inspect(move |_| seen.store(true, SeqCst));
        let error = run_pipe(&adder(), items, RunOptions::new()).await.unwrap_err();
        assert!(matches!(error.cause, RunError::Config(_)));
        assert_eq!(error.to_string(), "no number is bound");
        assert!(!pulled.load(SeqCst));

        let options = RunOptions { bindings: Arc::new(100u64), ..RunOptions::new() };
        let pipe = adder();
        let run = run_pipe(&pipe, 0u64..3, options);
        let outputs = tokio::time::timeout(Duration::from_secs(20), run).await.unwrap().unwrap();
        assert_eq!(outputs.payloads("default"), [&100, &101, &102]);
    }
}
