//! Which pools a view's caller is waited for in: [`Waits`], so that a view which calls Python never waits for itself.
//!
//! A view's handler is plain Rust, and calls a runtime that it happens to hold. What ties both together is the
//! thread: while a handler runs there, each [`Context`](crate::Context) made in it carries what is waited for, and so
//! each call that is made in it, however many stages and workers further down.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

thread_local! {
    static HERE: RefCell<Option<Arc<Waits>>> = const { RefCell::new(None) };
}

/// A worker of a pool runs a call that waits for a view, which may have been asked for by another such call.
#[derive(Debug)]
pub(crate) struct Waits {
    pool: Arc<str>,
    outer: Option<Arc<Waits>>,
    /// Why something that the view did was refused.
    refused: OnceLock<String>,
}

/// Identity says all: each wait is one.
impl PartialEq for Waits {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Waits {
    /// What is waited for in this thread.
    pub(crate) fn here() -> Option<Arc<Self>> {
        HERE.with_borrow(Clone::clone)
    }

    /// Runs a view for a call in that pool, made by whoever waits in `outer`. Returns why it was refused something.
    pub(crate) fn during<T>(
        pool: &Arc<str>,
        outer: Option<Arc<Self>>,
        view: impl FnOnce() -> T,
    ) -> (T, Option<String>) {
        let waits = Arc::new(Self { pool: pool.clone(), outer, refused: OnceLock::new() });
        let before = HERE.replace(Some(waits.clone()));
        let answer = view();
        HERE.set(before);
        (answer, waits.refused.get().cloned())
    }

    /// Whether a worker of that pool waits.
    pub(crate) fn has(&self, pool: &str) -> bool {
        *self.pool == *pool || self.outer.as_ref().is_some_and(|outer| outer.has(pool))
    }

    /// Says that the pool has no worker for this view now, and notes it.
    pub(crate) fn refuse(&self, pool: &str) -> String {
        let message = format!(
            "no worker of pool `{pool}` is free, and one of them waits for this view\n  \
             hint: let the view call another pool, or give this one more workers than calls that ask the view"
        );
        self.refused.get_or_init(|| message.clone());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn a_context_made_in_a_view_carries_who_waits_and_none_outside_it() {
        let (outer, inner): (Arc<str>, Arc<str>) = ("outer".into(), "inner".into());
        assert!(Context::run().waits.is_none());
        let (context, _) = Waits::during(&outer, None, Context::run);
        let waits = context.waits.clone().unwrap();
        assert!(waits.has("outer") && !waits.has("inner"));
        // A call made by that view asks another one.
        let ((), refused) = Waits::during(&inner, Some(waits), || {
            let waits = Context::none().waits.unwrap();
            assert!(waits.has("outer") && waits.has("inner") && !waits.has("third"));
            waits.refuse("outer");
        });
        assert!(refused.unwrap().starts_with("no worker of pool `outer` is free"));
        assert!(Waits::here().is_none());
    }
}
