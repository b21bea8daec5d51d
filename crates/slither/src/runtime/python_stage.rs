//! Python stages of a pipe: what joins [`PipeBuilder`] to the pools, without pipes knowing of them.

use std::any::Any;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::caller::Caller;
use crate::error::ConfigError;
use crate::pipe::PipeBuilder;

impl<In: Send + 'static, Cur: Serialize + Send + 'static, Part> PipeBuilder<In, Cur, Part> {
    /// Sends items to a Python function, in batches. What the call leaves open is the pipe's default.
    ///
    /// The pool and the function are looked up when a run starts, before its first item is pulled; an unknown
    /// one is a [`ConfigError`] then. A pipe with such a stage is run by [`Slither::run_pipe`] or
    /// [`Slither::stream_pipe`], or by those of a [`Session`](crate::Session).
    ///
    /// [`Slither::run_pipe`]: crate::Slither::run_pipe
    /// [`Slither::stream_pipe`]: crate::Slither::stream_pipe
    pub fn python<Next>(self, name: impl Into<Arc<str>>, call: Call<Cur>) -> PipeBuilder<In, Next, Part>
    where
        Next: DeserializeOwned + Send + 'static,
    {
        // Whether they are kept is each run's to say.
        let Call { function, pool, traits, timeout, limits } = call.keep_payloads();
        self.bound_stage(name, limits, move |bindings: Arc<dyn Any + Send + Sync>| {
            let (function, pool) = (function.clone(), pool.clone());
            Box::pin(async move {
                let caller = bindings.downcast_ref::<Caller>().ok_or_else(|| {
                    ConfigError::new(format!("the stage of `{function}` needs Python workers"))
                        .hint("run the pipe with `Slither::run_pipe` or `Slither::stream_pipe`")
                })?;
                caller.placed::<Cur, Next>(&function, &pool, traits, timeout).await
            })
        })
    }
}
