//! What only a whole pipe has: its end, outputs, policies and checks.

use std::sync::Arc;

use super::builder::PipeBuilder;
use super::defaults::Defaults;
use super::definition::{Inner, Pipe};
use super::draft::{Draft, Type};
use super::router::Router;
use crate::dispatch::OnError;
use crate::error::ConfigError;

impl<In: Send + 'static> PipeBuilder<In, In> {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self::begin(Draft::new(name), Vec::new())
    }
}

impl<In: Send + 'static, Cur: Send + 'static> PipeBuilder<In, Cur> {
    /// Ends the pipe: each item leaves by the output that the router chooses.
    pub fn route(self, name: impl Into<Arc<str>>, router: Router<Cur>) -> Self {
        self.end_in_outputs(name.into(), router)
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
    /// If a name is empty, taken or unknown, a bound is zero, a stage follows a router that ends the pipe,
    /// something goes to an output that is not declared or carries another type, or a policy does not fit its
    /// stage.
    pub fn build(self) -> Result<Pipe<In, Cur>, ConfigError> {
        let plan = self.draft.plan(Type::of::<Cur>())?;
        let Self { connect, binders, .. } = self;
        Ok(Pipe::new(Inner { plan: Arc::new(plan), connect, binders }))
    }
}
