//! Leaving items out on purpose: [`Discard`], and what a `filter_map` may return.

use std::borrow::Cow;

/// Why a stage leaves an item out; drops are counted by their reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    pub(super) reason: Cow<'static, str>,
}

impl Discard {
    /// Leaves the item out for this reason: a few words, the same for all items of a kind. Reports tell a
    /// hundred reasons of a stage apart and count the rest as `other`.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What the function of a `filter_map` returns: an `Option`, or a `Result` whose error is a [`Discard`].
///
/// `None` is counted as `filtered`.
pub trait Kept<T> {
    /// The payload, or why there is none.
    fn kept(self) -> Result<T, Discard>;
}

impl<T> Kept<T> for Option<T> {
    fn kept(self) -> Result<T, Discard> {
        self.ok_or(Discard::because("filtered"))
    }
}

impl<T> Kept<T> for Result<T, Discard> {
    fn kept(self) -> Result<T, Discard> {
        self
    }
}
