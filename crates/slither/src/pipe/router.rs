//! Where items leave a pipe: [`Router`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::ItemError;

/// The output of what no rule of a router matches, and of pipes without a router.
pub const DEFAULT_OUTPUT: &str = "default";

type Predicate<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// Rules that choose an item's output. The first that matches wins; the rest goes to
/// [`default`](DEFAULT_OUTPUT).
pub struct Router<T> {
    rules: Vec<(Arc<str>, Predicate<T>)>,
}

/// The predicates of a router, in order.
pub(super) struct Rules<T>(Vec<Predicate<T>>);

impl<T> Rules<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, predicate: impl Fn(&T) -> bool + Send + Sync + 'static) {
        self.0.push(Arc::new(predicate));
    }

    /// The number of the first rule that matches; one more than the last if none does.
    pub(super) fn choose(&self, payload: &T) -> Result<usize, ItemError> {
        let choose = || self.0.iter().position(|predicate| predicate(payload));
        let chosen = catch_unwind(AssertUnwindSafe(choose)).map_err(|panic| ItemError::panicked(&*panic))?;
        Ok(chosen.unwrap_or(self.0.len()))
    }
}

impl<T> Router<T> {
    /// No rule: everything goes to `default`.
    pub fn new() -> Self {
        Self { rules: Vec::new() }
    }

    /// Items for which `predicate` holds, and no rule before it, go to `output`. A predicate that panics is
    /// a failure of its item.
    #[must_use]
    pub fn when(
        mut self,
        output: impl Into<Arc<str>>,
        predicate: impl Fn(&T) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.push((output.into(), Arc::new(predicate)));
        self
    }

    /// The output of each rule and, last, that of the rest; and the rules.
    pub(super) fn into_parts(self) -> (Vec<Arc<str>>, Rules<T>) {
        let (mut outputs, rules): (Vec<_>, _) = self.rules.into_iter().unzip();
        outputs.push(DEFAULT_OUTPUT.into());
        (outputs, Rules(rules))
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|(output, _)| output)).finish()
    }
}
