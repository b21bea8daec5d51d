//! What is called, where, and within which bounds: [`Call`].

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::dispatch::{Batching, Limits, MaxInFlight, OnError, Order};
use crate::error::ConfigError;
use crate::routing::{AUTO, Traits, check_function};

/// A Python function to be dispatched to, with its pool and its bounds. `I` is the type of the payloads.
///
/// ```
/// use slither::{Call, OnError};
/// use std::time::Duration;
///
/// let call: Call<String> = Call::new("my_model:predict_batch")
///     .pool("default")
///     .batch_size(32)
///     .max_in_flight(4)
///     .timeout(Duration::from_secs(5))
///     .on_error(OnError::Skip);
/// # let _ = call;
/// ```
pub struct Call<I> {
    pub(crate) function: String,
    pub(crate) pool: String,
    pub(crate) traits: Traits,
    pub(crate) timeout: Option<Duration>,
    pub(crate) limits: Limits<I>,
}

impl<I: Serialize> Call<I> {
    /// See [`Limits::keep_payloads`]. A stage of a pipe needs it not: its run says so, with
    /// [`RunOptions::dead_letters`](crate::RunOptions::dead_letters).
    #[must_use]
    pub fn keep_payloads(mut self) -> Self {
        self.limits = self.limits.keep_payloads();
        self
    }
}

impl<I> Call<I> {
    /// A call of `module:function` (or `module:Class.method`) in the pool `default`. The function takes a list
    /// of payloads and returns a list of results of the same length.
    pub fn new(function: impl Into<String>) -> Self {
        let (function, pool) = (function.into(), "default".to_owned());
        Self { function, pool, traits: Traits::new(), timeout: None, limits: Limits::new() }
    }

    /// Calls of a tool of the pool's [`adapter`](crate::Pool::adapter), one for each payload: a map or a struct holds
    /// keyword arguments, a sequence positional ones, `()` is none, anything else the only argument. Its result is what the
    /// tool returns; of a streaming tool, all that it yields, as a list.
    ///
    /// A batch is one payload, so that each call has a deadline and a slot of its own. With a larger
    /// [`batch_size`](Self::batch_size) a batch is so many calls one after the other, with one deadline, and fails with
    /// the first of them that does.
    pub fn tool(name: impl fmt::Display) -> Self {
        Self::new(format!(":{name}")).batch_size(1)
    }

    /// The pool that runs it; `auto` for [`auto`](Self::auto). Default: `default`.
    #[must_use]
    pub fn pool(mut self, name: impl Into<String>) -> Self {
        self.pool = name.into();
        self
    }

    /// Leaves the choice of the pool to Slither: from the call's traits, from what the function's source declares
    /// with `@slither.traits` and `__thread_safe__`, from what the compatibility matrix says of the libraries that it
    /// imports, from the verdicts of `slither probe`, and from the pools as they stand. Where none of these says that
    /// a function is safe in threads it goes to processes. See [`routing`](crate::routing) for what is guaranteed,
    /// and [`Slither::route`](crate::Slither::route) for the decision and its reason.
    ///
    /// It is made when a run begins, and again when a pool changes: when an import turns its GIL on, or its breaker
    /// opens. Then the batches to come go elsewhere, as soon as the function is imported there; those of a sticky
    /// [`KeyPartition`](crate::KeyPartition) stay. In a session all calls go to the session's pool.
    #[must_use]
    pub fn auto(self) -> Self {
        self.pool(AUTO)
    }

    /// What the function is, for [`auto`](Self::auto); for a pool that is named it makes no difference. It adds to
    /// what was said before.
    #[must_use]
    pub fn traits(mut self, traits: Traits) -> Self {
        self.traits = traits.or(self.traits);
        self
    }

    /// See [`Traits::cpu_bound`].
    #[must_use]
    pub fn cpu_bound(mut self) -> Self {
        self.traits = self.traits.cpu_bound();
        self
    }

    /// See [`Traits::io_bound`].
    #[must_use]
    pub fn io_bound(mut self) -> Self {
        self.traits = self.traits.io_bound();
        self
    }

    /// See [`Traits::thread_safe`].
    #[must_use]
    pub fn thread_safe(mut self) -> Self {
        self.traits = self.traits.thread_safe();
        self
    }

    /// See [`Traits::stateful`].
    #[must_use]
    pub fn stateful(mut self) -> Self {
        self.traits = self.traits.stateful();
        self
    }

    /// See [`Traits::unsafe_native`].
    #[must_use]
    pub fn unsafe_native(mut self) -> Self {
        self.traits = self.traits.unsafe_native();
        self
    }

    /// How long a batch may run once Python has begun it. Beyond it the worker is killed and replaced. Default:
    /// the pool's [`call_timeout`](crate::Pool::call_timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// See [`Limits::batch_size`].
    #[must_use]
    pub fn batch_size(mut self, items: usize) -> Self {
        self.limits = self.limits.batch_size(items);
        self
    }

    /// See [`Limits::batching`].
    #[must_use]
    pub fn batching(mut self, batching: impl Into<Batching<I>>) -> Self {
        self.limits = self.limits.batching(batching);
        self
    }

    /// See [`Limits::max_in_flight`].
    #[must_use]
    pub fn max_in_flight(mut self, batches: impl Into<MaxInFlight>) -> Self {
        self.limits = self.limits.max_in_flight(batches);
        self
    }

    /// See [`Limits::window`].
    #[must_use]
    pub fn window(mut self, batches: usize) -> Self {
        self.limits = self.limits.window(batches);
        self
    }

    /// See [`Limits::order`].
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.limits = self.limits.order(order);
        self
    }

    /// See [`Limits::on_error`].
    #[must_use]
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.limits = self.limits.on_error(policy);
        self
    }

    /// See [`Limits::rate_limit`].
    #[must_use]
    pub fn rate_limit(mut self, items: u64, per: Duration) -> Self {
        self.limits = self.limits.rate_limit(items, per);
        self
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        check_function(&self.function)?;
        self.limits.validate()
    }
}

impl<I> Clone for Call<I> {
    fn clone(&self) -> Self {
        Self {
            function: self.function.clone(),
            pool: self.pool.clone(),
            traits: self.traits,
            timeout: self.timeout,
            limits: self.limits.clone(),
        }
    }
}

impl<I> fmt::Debug for Call<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("function", &self.function)
            .field("pool", &self.pool)
            .field("traits", &self.traits)
            .field("timeout", &self.timeout)
            .field("limits", &self.limits)
            .finish()
    }
}
