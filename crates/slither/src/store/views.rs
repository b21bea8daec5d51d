//! [`Views`]: the views of all opened stores, by name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::{View, ViewContext, ViewError};
use crate::context::Context;
use crate::error::ConfigError;

/// The views of all opened stores. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views(Arc<HashMap<String, (View, Arc<Engine>)>>);

impl Views {
    /// # Errors
    /// When two views have one name, or one has no name or no time.
    pub(super) fn of(engines: &[Arc<Engine>]) -> Result<Self, ConfigError> {
        let mut views: HashMap<String, (View, Arc<Engine>)> = HashMap::new();
        for engine in engines {
            for view in engine.views() {
                let (name, store) = (view.name(), engine.name());
                if name.is_empty() {
                    return Err(ConfigError::new(format!(
                        "store `{store}` declares a view with an empty name"
                    )));
                }
                if view.time().is_zero() {
                    let message = format!("view `{name}` of store `{store}` has a timeout of 0 s");
                    return Err(ConfigError::new(message).hint("the default is 5 s"));
                }
                if let Some((_, other)) = views.insert(name.to_owned(), (view.clone(), engine.clone())) {
                    let message = match other.name() {
                        other if other == store => format!("store `{store}` declares view `{name}` twice"),
                        other => format!("stores `{other}` and `{store}` both declare view `{name}`"),
                    };
                    return Err(ConfigError::new(message).hint("Python calls views by name alone"));
                }
            }
        }
        Ok(Self(Arc::new(views)))
    }

    /// Answers one call, on the calling thread and for as long as it takes: whoever calls gives it a thread
    /// that may block, and keeps the time. With `many` both `args` and the answer are arrays.
    pub(crate) fn call(
        &self,
        name: &str,
        args: &[u8],
        many: bool,
        context: &Context,
    ) -> Result<Vec<u8>, ViewError> {
        let (view, engine) =
            self.0.get(name).ok_or_else(|| ViewError::unknown(name, self.0.keys().map(String::as_str)))?;
        view.call(args, many, &ViewContext::new(engine.snapshot(), context.clone()))
    }

    /// How long a call of that view may take; none if there is no such view.
    pub(crate) fn timeout(&self, name: &str) -> Option<Duration> {
        self.0.get(name).map(|(view, _)| view.time())
    }
}
