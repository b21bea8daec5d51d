//! A validated pipe, ready to run any number of times: [`Pipe`].

use std::fmt;
use std::sync::Arc;

use super::builder::{Connect, PipeBuilder};
use super::launch::Binder;
use super::plan::Plan;

/// Stages from `In` to `Out`, validated; runs any number of times, also at once. Cheap to clone.
pub struct Pipe<In, Out> {
    pub(super) inner: Arc<Inner<In, Out>>,
}

pub(super) struct Inner<In, Out> {
    pub(super) plan: Arc<Plan>,
    pub(super) connect: Connect<In, Out>,
    pub(super) binders: Vec<Binder>,
}

impl<In: Send + 'static> Pipe<In, In> {
    /// Begins a pipe.
    pub fn builder(name: impl Into<Arc<str>>) -> PipeBuilder<In, In> {
        PipeBuilder::new(name.into())
    }
}

impl<In, Out> Pipe<In, Out> {
    pub(super) fn new(inner: Inner<In, Out>) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// What the pipe consists of.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }
}

impl<In, Out> Clone for Pipe<In, Out> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<In, Out> fmt::Debug for Pipe<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe").field("plan", &self.inner.plan).finish()
    }
}
