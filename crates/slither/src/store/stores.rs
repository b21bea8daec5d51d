//! [`Stores`]: the opened stores of a runtime, found by their type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use super::engine::Engine;
use super::views::Views;
use super::{Store, StoreHandle};
use crate::error::ConfigError;

/// The opened stores, and the views that they declare.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stores {
    by_type: HashMap<TypeId, Arc<Engine>>,
    views: Views,
}

impl Stores {
    /// Checks all that the stores declare, and only then loads them, one after the other. It blocks for as
    /// long as they take.
    ///
    /// # Errors
    /// When two are of one type or have one name, a declaration is not sound, or a load fails.
    pub(crate) fn open(stores: Vec<Box<dyn Store>>) -> Result<Self, ConfigError> {
        let mut by_type = HashMap::new();
        let mut engines: Vec<Arc<Engine>> = Vec::new();
        for store in stores {
            let of_type = Any::type_id(&*store);
            let engine = Arc::new(Engine::new(store)?);
            let name = engine.name();
            if let Some(other) = by_type.insert(of_type, engine.clone()) {
                let message = format!("stores `{}` and `{name}` are of one type", other.name());
                return Err(ConfigError::new(message)
                    .hint("a store is found by its type; wrap one of them in a type of its own"));
            }
            if engines.iter().any(|other| other.name() == name) {
                return Err(ConfigError::new(format!("two stores are called `{name}`"))
                    .hint("give one of them another `name()`"));
            }
            engines.push(engine);
        }
        let views = Views::of(&engines)?;
        for engine in &engines {
            engine.reload()?;
        }
        Ok(Self { by_type, views })
    }

    /// A handle of the store of type `S`.
    ///
    /// # Errors
    /// When none of that type was opened.
    pub(crate) fn get<S: Store>(&self) -> Result<StoreHandle<S>, ConfigError> {
        match self.by_type.get(&TypeId::of::<S>()) {
            Some(engine) => Ok(StoreHandle::new(engine.clone())),
            None => {
                let mut names: Vec<&str> = self.by_type.values().map(|engine| engine.name()).collect();
                names.sort_unstable();
                let error = ConfigError::new(format!("no store of type `{}`", std::any::type_name::<S>()));
                Err(error.hint(match names.is_empty() {
                    true => "the runtime was given no store; add it with `.store(…)`".to_owned(),
                    false => format!("the runtime was given: {}", names.join(", ")),
                }))
            }
        }
    }

    pub(crate) fn views(&self) -> &Views {
        &self.views
    }
}
