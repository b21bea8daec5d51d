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

#[cfg(test)]
mod tests {
    use super::super::{
        BoxError, OrderedSet, Scope, StoreError, Table, Tables, Transaction, View, ViewError,
    };
    use super::*;
    use crate::context::Context;

    const PRICES: Table<String, f64> = Table::set("prices");
    const PRICES_IN_ORDER: Table<String, f64, OrderedSet> = Table::ordered_set("prices");
    const PRICE: Table<String, f64> = Table::set("price");
    const STOCK: Table<String, u32> = Table::set("stock");

    /// A store put together by the test, of a type for each `N`.
    struct Made<const N: usize> {
        name: Option<&'static str>,
        tables: fn() -> Tables,
        views: &'static [&'static str],
        fails: bool,
    }

    impl<const N: usize> Store for Made<N> {
        fn name(&self) -> &str {
            self.name.unwrap_or("made")
        }

        fn tables(&self) -> Tables {
            (self.tables)()
        }

        fn views(&self) -> Vec<View> {
            let size = |name: &&str| {
                View::scalar(*name, |(): (), view| -> Result<usize, ViewError> {
                    Ok(view.snapshot().size(&PRICES))
                })
            };
            self.views.iter().map(size).map(|view| view.scope(Scope::Global)).collect()
        }

        fn load(&self, _: &mut Transaction<'_>) -> Result<(), BoxError> {
            if self.fails { Err("no such file".into()) } else { Ok(()) }
        }
    }

    fn made<const N: usize>() -> Made<N> {
        Made { name: None, tables: || Tables::new().with(&PRICES), views: &[], fails: false }
    }

    fn refused(stores: Vec<Box<dyn Store>>) -> String {
        Stores::open(stores).unwrap_err().to_string()
    }

    #[test]
    fn a_store_is_found_by_its_type() {
        let stores = vec![Box::new(made::<1>()) as Box<dyn Store>];
        let stores = Stores::open(stores).unwrap();
        let handle = stores.get::<Made<1>>().unwrap();
        handle.put(&PRICES, "tea".into(), 3.5).unwrap();
        assert_eq!(stores.get::<Made<1>>().unwrap().size(&PRICES), 1);
        assert_eq!(handle.store().name(), "made");
        let error = stores.get::<Made<2>>().unwrap_err().to_string();
        assert!(error.starts_with("no store of type `slither::store::stores::tests::Made<2>`"), "{error}");
        assert!(error.ends_with("hint: the runtime was given: made"), "{error}");
    }

    #[test]
    fn what_collides_is_refused_before_anything_is_loaded() {
        let fails = || Made { fails: true, ..made::<1>() };
        assert_eq!(
            refused(vec![Box::new(fails()), Box::new(Made { name: Some("other"), ..made::<1>() })]),
            "stores `made` and `other` are of one type\n  \
             hint: a store is found by its type; wrap one of them in a type of its own"
        );
        assert_eq!(
            refused(vec![Box::new(fails()), Box::new(made::<2>())]),
            "two stores are called `made`\n  hint: give one of them another `name()`"
        );
        let asked = Made { views: &["size"], ..fails() };
        let also = Made { name: Some("other"), views: &["size"], ..made::<2>() };
        assert_eq!(
            refused(vec![Box::new(asked), Box::new(also)]),
            "stores `made` and `other` both declare view `size`\n  hint: Python calls views by name alone"
        );
        assert_eq!(
            refused(vec![Box::new(Made { views: &["size", "size"], ..fails() })]),
            "store `made` declares view `size` twice\n  hint: Python calls views by name alone"
        );
        assert_eq!(
            refused(vec![Box::new(Made {
                tables: || Tables::new().with(&PRICES).with(&PRICES_IN_ORDER),
                ..fails()
            })]),
            "store `made` declares table `prices` twice\n  \
             hint: first as a set of `String` to `f64`, then as an ordered set of `String` to `f64`"
        );
    }

    #[test]
    fn a_failed_first_load_is_refused() {
        let error = refused(vec![Box::new(Made { fails: true, ..made::<1>() })]);
        assert_eq!(error, "store `made` could not be loaded: no such file");
    }

    #[test]
    fn a_table_that_is_not_declared_so_is_an_error_that_names_what_is() {
        let handle = StoreHandle::open(made::<1>()).unwrap();
        let error = |outcome: Result<(), StoreError>| outcome.unwrap_err().to_string();
        assert_eq!(
            error(handle.put(&PRICE, "tea".into(), 1.0)),
            "store `made` declares no table `price`\n  hint: did you mean `prices`?"
        );
        assert_eq!(
            error(handle.put(&STOCK, "tea".into(), 1)),
            "store `made` declares no table `stock`\n  hint: it declares: prices"
        );
        assert_eq!(
            error(handle.put(&PRICES_IN_ORDER, "tea".into(), 1.0)),
            "table `prices` of store `made` is a set of `String` to `f64`\n  \
             hint: it is used as an ordered set of `String` to `f64`"
        );
    }

    #[test]
    #[should_panic(expected = "declares no table `stock`")]
    fn reading_a_table_that_is_not_declared_panics() {
        let handle = StoreHandle::open(made::<1>()).unwrap();
        handle.get(&STOCK, "tea");
    }

    #[test]
    fn views_are_found_by_name_across_stores() {
        let one = Made { views: &["size"], ..made::<1>() };
        let other = Made { name: Some("other"), views: &["size_of_other"], ..made::<2>() };
        let stores = Stores::open(vec![Box::new(one), Box::new(other)]).unwrap();
        stores.get::<Made<2>>().unwrap().put(&PRICES, "tea".into(), 3.5).unwrap();
        let views = stores.views();
        let nil = [0xc0];
        assert_eq!(views.call("size", &nil, false, &Context::none()).unwrap(), [0]);
        assert_eq!(views.call("size_of_other", &nil, false, &Context::none()).unwrap(), [1]);
        assert_eq!(views.timeout("size"), Some(std::time::Duration::from_secs(5)));
        assert_eq!(views.timeout("sise"), None);
        let error = views.call("sise", &nil, false, &Context::none()).unwrap_err();
        assert_eq!(error.kind().as_str(), "unknown");
        assert_eq!(error.message(), "unknown view `sise`\n  hint: did you mean `size`?");
    }
}
