//! What a builder has been told, and the checks that make a [`Plan`] of it.

use std::any::{TypeId, type_name};
use std::collections::HashSet;
use std::sync::Arc;

use super::defaults::Defaults;
use super::plan::{Plan, StageKind, StagePlan};
use super::router::DEFAULT_OUTPUT;
use crate::dispatch::{Batching, FixedBatch, Limits, MaxInFlight, OnError, Order};
use crate::error::ConfigError;

/// A channel holds a batch; a huge batch size does not make a huge channel.
const LARGEST_CHANNEL: usize = 1024;

#[derive(Debug)]
pub(super) struct Draft {
    name: Arc<str>,
    stages: Vec<DraftStage>,
    pub(super) outputs: Vec<Arc<str>>,
    pub(super) policies: Vec<(Arc<str>, OnError)>,
    pub(super) defaults: Defaults,
    /// The first mistake that could be seen at once.
    mistake: Option<ConfigError>,
}

#[derive(Debug)]
struct DraftStage {
    name: Arc<str>,
    kind: DraftKind,
}

/// A stage as it was described; what is none takes its default.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a pipe has a handful of them, while it is built")]
pub(super) enum DraftKind {
    Rust {
        adapter: &'static str,
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
    Router,
}

/// A type, and its name for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    id: TypeId,
    name: &'static str,
}

impl Type {
    pub(super) fn of<T: 'static>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

impl DraftKind {
    pub(super) fn rust(adapter: &'static str) -> Self {
        Self::Rust { adapter, concurrency: 1 }
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
            mistake: None,
        }
    }

    fn mistaken(&mut self, error: ConfigError) {
        self.mistake.get_or_insert(error);
    }

    /// Adds a stage and returns its number.
    pub(super) fn stage(&mut self, name: Arc<str>, kind: DraftKind) -> usize {
        if let Some(DraftStage { name: router, kind: DraftKind::Router }) = self.stages.last() {
            let error = ConfigError::new(format!("stage `{name}` comes after the router `{router}`"))
                .hint("a router ends the pipe");
            self.mistaken(error);
        }
        self.stages.push(DraftStage { name, kind });
        self.stages.len() - 1
    }

    /// Sets the concurrency of the stage added last.
    pub(super) fn concurrency(&mut self, items: usize) {
        let error = match self.stages.last_mut() {
            Some(DraftStage { name, .. }) if items == 0 => {
                ConfigError::new(format!("stage `{name}`: `concurrency` must be at least 1, got 0"))
            }
            Some(DraftStage { kind: DraftKind::Rust { concurrency, .. }, .. }) => {
                *concurrency = items;
                return;
            }
            Some(DraftStage { name, kind: DraftKind::Dispatch { .. } }) => {
                ConfigError::new(format!("stage `{name}` has no `concurrency`"))
                    .hint("a stage with an executor is bounded by `max_in_flight`")
            }
            Some(DraftStage { name, kind: DraftKind::Router }) => {
                ConfigError::new(format!("router `{name}` has no `concurrency`"))
            }
            None => ConfigError::new("`concurrency` comes before any stage")
                .hint("it follows the stage that it is for"),
        };
        self.mistaken(error);
    }

    /// Checks everything; `named` are the outputs that the router names, `payload` is what all outputs carry.
    pub(super) fn plan(&self, mut named: Vec<Arc<str>>, payload: Type) -> Result<Plan, ConfigError> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if self.name.is_empty() {
            return Err(ConfigError::new("the pipe's name is empty"));
        }
        self.check_stages()?;
        self.check_policies()?;
        let stages: Vec<StagePlan> = self.stages.iter().map(|stage| self.stage_plan(stage)).collect();
        for (stage, plan) in self.stages.iter().zip(&stages) {
            named.extend(check_route(stage, &plan.on_error, payload)?.cloned());
        }
        Ok(Plan {
            name: self.name.clone(),
            stages,
            outputs: self.all_outputs(named)?,
            capacity: self.defaults.batch_size.min(LARGEST_CHANNEL),
            batch_size: self.defaults.batch_size,
            view_scope: self.defaults.view_scope,
        })
    }

    fn check_stages(&self) -> Result<(), ConfigError> {
        Limits::<()>::new()
            .batch_size(self.defaults.batch_size)
            .max_in_flight(self.defaults.max_in_flight)
            .validate()
            .map_err(|error| ConfigError::new(format!("defaults: {error}")))?;
        let mut names = HashSet::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if stage.name.is_empty() {
                return Err(ConfigError::new(format!("the name of stage {} is empty", index + 1)));
            }
            if *stage.name == *"*" {
                return Err(ConfigError::new("no stage can be called `*`: it stands for all the others"));
            }
            if !names.insert(&stage.name) {
                return Err(ConfigError::new(format!("two stages are called `{}`", stage.name))
                    .hint("the names of stages are unique in a pipe"));
            }
            if let DraftKind::Dispatch { valid: Err(error), .. } = &stage.kind {
                return Err(ConfigError::new(format!("stage `{}`: {error}", stage.name)));
            }
        }
        Ok(())
    }

    fn check_policies(&self) -> Result<(), ConfigError> {
        let mut named = HashSet::new();
        let refuse = |error| ConfigError::new(format!("defaults: {error}"));
        self.defaults.on_error.validate().map_err(refuse)?;
        for (name, policy) in &self.policies {
            policy
                .validate()
                .map_err(|error| ConfigError::new(format!("`on_error` of `{name}`: {error}")))?;
            let stage = self.stages.iter().find(|stage| stage.name == *name);
            if let Some(DraftStage { kind: DraftKind::Rust { .. } | DraftKind::Router, .. }) = stage
                && !matches!(policy, OnError::Halt | OnError::Skip)
            {
                return Err(ConfigError::new(format!("stage `{name}` cannot {policy}: it is a Rust stage"))
                    .hint("expected halt or skip; the others are for stages with an executor"));
            }
            if **name != *"*" && !self.stages.iter().any(|stage| stage.name == *name) {
                let known = self.stages.iter().map(|stage| &*stage.name);
                return Err(ConfigError::unknown("stage", name, known));
            }
            if !named.insert(name) {
                return Err(ConfigError::new(format!("`on_error` is set twice for `{name}`")));
            }
        }
        Ok(())
    }

    fn policy(&self, stage: &str) -> Option<OnError> {
        let found = self.policies.iter().find(|(name, _)| **name == *stage);
        found.map(|(_, policy)| policy.clone())
    }

    fn stage_plan(&self, stage: &DraftStage) -> StagePlan {
        let explicit = match &stage.kind {
            DraftKind::Dispatch { on_error, .. } => on_error.as_deref().cloned(),
            _ => None,
        };
        let on_error = explicit
            .or_else(|| self.policy(&stage.name))
            .or_else(|| self.policy("*"))
            .unwrap_or_else(|| self.defaults.on_error.clone());
        // What holds for all stages means, for a Rust stage, the nearest that it can do: its items fail one by
        // one as it is, and it keeps no payload to run again or to route.
        let on_error = match (&stage.kind, on_error.last()) {
            (DraftKind::Dispatch { .. }, _) => on_error,
            (_, OnError::Halt) => OnError::Halt,
            _ => OnError::Skip,
        };
        let kind = match &stage.kind {
            DraftKind::Rust { adapter, concurrency } => {
                StageKind::Rust { adapter, concurrency: *concurrency }
            }
            DraftKind::Dispatch { batching, max_in_flight, window, order, .. } => {
                let by_default = || Batching::<()>::from(FixedBatch(self.defaults.batch_size)).to_string();
                let max_in_flight = max_in_flight.unwrap_or(self.defaults.max_in_flight);
                let by_number = match max_in_flight {
                    MaxInFlight::Batches(batches) => Some(batches.saturating_mul(4)),
                    MaxInFlight::Auto => None,
                };
                StageKind::Dispatch {
                    batching: batching.clone().unwrap_or_else(by_default),
                    max_in_flight,
                    window: window.or(by_number),
                    order: order.unwrap_or(self.defaults.order),
                }
            }
            DraftKind::Router => StageKind::Router,
        };
        StagePlan { name: stage.name.clone(), kind, on_error }
    }

    /// The declared outputs, or those that the router and the policies name; and `default`.
    fn all_outputs(&self, named: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, ConfigError> {
        let mut outputs: Vec<Arc<str>> = Vec::new();
        for output in &self.outputs {
            if output.is_empty() {
                return Err(ConfigError::new("the name of an output is empty"));
            }
            if outputs.contains(output) {
                return Err(ConfigError::new(format!("output `{output}` is declared twice")));
            }
            outputs.push(output.clone());
        }
        for output in named {
            if output.is_empty() {
                return Err(ConfigError::new("a route names no output"));
            }
            if outputs.contains(&output) {
                continue;
            }
            if !self.outputs.is_empty() && *output != *DEFAULT_OUTPUT {
                let known = self.outputs.iter().map(|output| &**output);
                return Err(ConfigError::unknown("output", &output, known));
            }
            outputs.push(output);
        }
        if !outputs.iter().any(|output| **output == *DEFAULT_OUTPUT) {
            outputs.push(DEFAULT_OUTPUT.into());
        }
        Ok(outputs)
    }
}

/// The output that a stage's policy names, if it can go there.
fn check_route<'a>(
    stage: &DraftStage,
    policy: &'a OnError,
    payload: Type,
) -> Result<Option<&'a Arc<str>>, ConfigError> {
    match (policy.output(), &stage.kind) {
        (Some(output), DraftKind::Dispatch { input, .. }) if input.id != payload.id => {
            let (name, input, payload) = (&stage.name, input.name, payload.name);
            let message = format!("stage `{name}` cannot route to `{output}`: it takes `{input}`");
            Err(ConfigError::new(message)
                .hint(format!("what is routed leaves as it came, and the outputs carry `{payload}`")))
        }
        (output, _) => Ok(output),
    }
}
