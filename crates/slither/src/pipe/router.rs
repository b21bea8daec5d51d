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

    pub(super) fn outputs(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|(output, _)| output)
    }

    /// The number, among `outputs`, of the first rule that matches; none for `default`.
    pub(super) fn choose(&self, payload: &T) -> Result<Option<usize>, ItemError> {
        let choose = || self.rules.iter().position(|(_, predicate)| predicate(payload));
        catch_unwind(AssertUnwindSafe(choose)).map_err(|panic| ItemError::panicked(&*panic))
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.outputs()).finish()
    }
}
