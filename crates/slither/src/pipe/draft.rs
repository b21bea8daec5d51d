//! What a builder has been told: [`Draft`].

use std::any::{TypeId, type_name};
use std::sync::Arc;
use std::time::Duration;

use super::defaults::Defaults;
use super::plan::{Way, WayEnd};
use crate::dispatch::{Limits, MaxInFlight, OnError, Order};
use crate::error::ConfigError;

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) name: Arc<str>,
    pub(super) stages: Vec<DraftStage>,
    pub(super) outputs: Vec<Arc<str>>,
    pub(super) policies: Vec<(Arc<str>, OnError)>,
    pub(super) defaults: Defaults,
    /// The stage that was added last, a router again after its branches.
    last: Option<usize>,
    /// The stages that hand items to the next one.
    after: Vec<usize>,
    /// The router behind which no item comes.
    closed_by: Option<usize>,
    pub(super) exits: Vec<Exit>,
    /// The first mistake that could be seen at once.
    pub(super) mistake: Option<ConfigError>,
}

#[derive(Debug)]
pub(super) struct DraftStage {
    pub(super) name: Arc<str>,
    pub(super) kind: DraftKind,
    pub(super) after: Vec<usize>,
}

/// Where items leave the pipe before its end.
#[derive(Debug)]
pub(super) struct Exit {
    /// Who lets them leave, for messages.
    pub(super) from: String,
    pub(super) output: Arc<str>,
    pub(super) payload: Type,
}

/// A stage as it was described; what is none takes its default.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a pipe has a handful of them, while it is built")]
pub(super) enum DraftKind {
    Rust {
        adapter: &'static str,
        concurrency: usize,
        /// The output that it may send items to.
        aside: Option<Arc<str>>,
    },
    RustBatch {
        adapter: &'static str,
        size: usize,
        max_wait: Option<Duration>,
        concurrency: usize,
    },
    Dispatch {
        input: Type,
        valid: Result<(), ConfigError>,
        batching: Option<String>,
        max_in_flight: Option<MaxInFlight>,
        window: Option<usize>,
        order: Option<Order>,
        /// Boxed, so that the other kinds are small.
        on_error: Option<Box<OnError>>,
    },
    Router {
        ways: Vec<Way>,
    },
}

/// A type, and its name for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
}

impl Type {
    pub(super) fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

impl DraftKind {
    pub(super) fn rust(adapter: &'static str, aside: Option<Arc<str>>) -> Self {
        Self::Rust { adapter, concurrency: 1, aside }
    }

    pub(super) fn rust_batch(adapter: &'static str, size: usize) -> Self {
        Self::RustBatch { adapter, size, max_wait: None, concurrency: 1 }
    }

    pub(super) fn dispatch<I: 'static>(limits: &Limits<I>) -> Self {
        Self::Dispatch {
            input: Type::of::<I>(),
            valid: limits.validate(),
            batching: limits.batching.as_ref().map(ToString::to_string),
            max_in_flight: limits.max_in_flight,
            window: limits.window,
            order: limits.order,
            on_error: limits.on_error.clone().map(Box::new),
        }
    }
}

impl Draft {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            stages: Vec::new(),
            outputs: Vec::new(),
            policies: Vec::new(),
            defaults: Defaults::new(),
            last: None,
            after: Vec::new(),
            closed_by: None,
            exits: Vec::new(),
            mistake: None,
        }
    }

    /// Keeps a mistake, unless there was one before.
    pub(super) fn mistaken(&mut self, error: ConfigError) {
        self.mistake.get_or_insert(error);
    }

    /// Adds a stage and returns its number.
    pub(super) fn stage(&mut self, name: Arc<str>, kind: DraftKind) -> usize {
        if let Some(router) = self.closed_by {
            let router = &self.stages[router].name;
            let error = ConfigError::new(format!("stage `{name}` comes after the router `{router}`"))
                .hint("every way of that router ends in an output; a `branch` can have ways that go on");
            self.mistaken(error);
        }
        let index = self.stages.len();
        let after = std::mem::replace(&mut self.after, vec![index]);
        self.stages.push(DraftStage { name, kind, after });
        self.last = Some(index);
        index
    }

    /// Begins the stages of one way of a router.
    pub(super) fn begin_way(&mut self, router: usize) {
        self.after = vec![router];
        self.closed_by = None;
        self.last = None;
    }

    /// Ends a way, whose stages begin with `first`: at an output, or where the ways join. Returns the stages
    /// that hand items on to there.
    pub(super) fn end_way(
        &mut self,
        router: usize,
        name: Arc<str>,
        first: usize,
        output: Option<Arc<str>>,
    ) -> Vec<usize> {
        let last = std::mem::take(&mut self.after);
        let (end, joining) = match output {
            Some(output) => (WayEnd::Output(output), Vec::new()),
            None if last.is_empty() => (WayEnd::Routed, last),
            None => (WayEnd::Joins, last),
        };
        let stages = first..self.stages.len();
        if let DraftKind::Router { ways } = &mut self.stages[router].kind {
            ways.push(Way { name, stages, end });
        }
        joining
    }

    /// Items may leave the pipe by an output; `from` says who lets them.
    pub(super) fn exit(&mut self, from: String, output: Arc<str>, payload: Type) {
        self.exits.push(Exit { from, output, payload });
    }

    /// Ends the ways of a router: items come from `joining` to the next stage.
    pub(super) fn join(&mut self, router: usize, joining: Vec<usize>) {
        self.closed_by = joining.is_empty().then_some(router);
        self.after = joining;
        self.last = Some(router);
    }

    /// Sets the concurrency of the stage added last.
    pub(super) fn concurrency(&mut self, items: usize) {
        let error = match self.last.map(|last| &mut self.stages[last]) {
            Some(DraftStage { name, .. }) if items == 0 => {
                ConfigError::new(format!("stage `{name}`: `concurrency` must be at least 1, got 0"))
            }
            Some(DraftStage {
                kind: DraftKind::Rust { concurrency, .. } | DraftKind::RustBatch { concurrency, .. },
                ..
            }) => {
                *concurrency = items;
                return;
            }
            Some(DraftStage { name, kind: DraftKind::Dispatch { .. }, .. }) => {
                ConfigError::new(format!("stage `{name}` has no `concurrency`"))
                    .hint("a stage with an executor is bounded by `max_in_flight`")
            }
            Some(DraftStage { name, kind: DraftKind::Router { .. }, .. }) => {
                ConfigError::new(format!("router `{name}` has no `concurrency`"))
            }
            None => ConfigError::new("`concurrency` comes before any stage")
                .hint("it follows the stage that it is for"),
        };
        self.mistaken(error);
    }

    /// Sets how long the batches of the stage added last wait.
    pub(super) fn max_wait(&mut self, wait: Duration) {
        let error = match self.last.map(|last| &mut self.stages[last]) {
            Some(DraftStage { kind: DraftKind::RustBatch { max_wait, .. }, .. }) => {
                *max_wait = Some(wait);
                return;
            }
            Some(DraftStage { name, .. }) => ConfigError::new(format!("stage `{name}` has no `max_wait`"))
                .hint("it follows a `map_batch`; a stage with an executor takes it with its batching"),
            None => ConfigError::new("`max_wait` comes before any stage")
                .hint("it follows the stage that it is for"),
        };
        self.mistaken(error);
    }

    /// The name of a stage.
    pub(super) fn name_of(&self, stage: usize) -> &Arc<str> {
        &self.stages[stage].name
    }

    /// How many stages there are.
    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }
}
