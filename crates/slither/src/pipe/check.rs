//! The checks that make a [`Plan`] of a draft.

use std::collections::HashSet;
use std::sync::Arc;

use super::draft::{Draft, DraftKind, DraftStage, Exit, Type};
use super::plan::{Plan, StageKind, StagePlan};
use super::router::DEFAULT_OUTPUT;
use crate::dispatch::{Batching, FixedBatch, Limits, MaxInFlight, OnError};
use crate::error::ConfigError;

/// A channel holds a batch; a huge batch size does not make a huge channel.
const LARGEST_CHANNEL: usize = 1024;

impl Draft {
    /// Checks everything; `payload` is what all outputs carry.
    pub(super) fn plan(&self, payload: Type) -> Result<Plan, ConfigError> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        if self.name.is_empty() {
            return Err(ConfigError::new("the pipe's name is empty"));
        }
        self.check_stages()?;
        self.check_policies()?;
        let mut named = Vec::new();
        for Exit { from, output, payload: carried } in &self.exits {
            named.push(output.clone());
            if carried.id != payload.id {
                let (carried, payload) = (carried.name, payload.name);
                let message = format!("{from} cannot send items to `{output}`: they are `{carried}`");
                return Err(
                    ConfigError::new(message).hint(format!("the outputs of the pipe carry `{payload}`"))
                );
            }
        }
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
            if let DraftKind::RustBatch { size: 0, .. } = stage.kind {
                let name = &stage.name;
                return Err(ConfigError::new(format!(
                    "stage `{name}`: the size of its batches must be at least 1, got 0"
                )));
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
            let rust = stage.is_some_and(|stage| !matches!(stage.kind, DraftKind::Dispatch { .. }));
            if rust && !matches!(policy, OnError::Halt | OnError::Skip) {
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
            DraftKind::Rust { adapter, concurrency, aside } => {
                StageKind::Rust { adapter, concurrency: *concurrency, aside: aside.clone() }
            }
            &DraftKind::RustBatch { adapter, size: batch_size, max_wait, concurrency } => {
                StageKind::RustBatch { adapter, batch_size, max_wait, concurrency }
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
            DraftKind::Router { ways } => StageKind::Router { ways: ways.clone() },
        };
        StagePlan { name: stage.name.clone(), kind, on_error, after: stage.after.clone() }
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
