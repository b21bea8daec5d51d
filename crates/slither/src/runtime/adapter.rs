//! Tools of a pool's adapter, called by name: [`Adapter`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use super::slither::Slither;
use crate::context::Context;
use crate::error::{ConfigError, ErrorKind, ItemError};
use crate::pool::{AdapterStats, Each, RunningPool, ThreadSafetyReport, Tool, ToolStream};
use crate::wire;

/// Functions of the SDK that answer for a worker's adapter.
const STATS: &str = "slither._hosted:stats";
const REPORT: &str = "slither._hosted:report";

/// A handle on the adapter of one pool, from [`Slither::adapter`] or [`Session::adapter`](crate::Session::adapter). Cheap to
/// clone; like a clone of [`Slither`] it keeps the workers alive.
///
/// ```no_run
/// use slither::{Pool, Slither};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::processes("scores").size(2).python_path("python").adapter("my_adapter:Scorer");
/// let slither = Slither::builder().pool(pool).start().await?;
/// let scorer = slither.adapter("scores")?;
///
/// let score: f64 = scorer.call("score", &["a good day"]).await?;
/// let mut each = scorer.stream::<_, f64>("score_each", &[["good", "bad"]]);
/// while let Some(score) = each.next().await {
///     println!("{}", score?);
/// }
/// # let _ = score;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Adapter {
    caller: Caller,
    pool: Arc<RunningPool>,
    timeout: Duration,
}

impl Adapter {
    /// The adapter of a pool.
    pub(super) fn of(caller: Caller, pool: &Arc<RunningPool>) -> Result<Self, ConfigError> {
        match pool.adapter() {
            Some(_) => Ok(Self { caller, timeout: pool.call_timeout, pool: pool.clone() }),
            None => Err(ConfigError::new(format!("pool `{}` has no adapter", pool.name))
                .hint("give it one with `Pool::adapter`")),
        }
    }

    /// The adapter that has this tool.
    pub(super) fn with(slither: &Slither, tool: &str) -> Result<Self, ItemError> {
        let pool =
            home(slither, tool).map_err(|error| ItemError::new(ErrorKind::Import, error.to_string()))?;
        Ok(Self { caller: slither.into(), timeout: pool.call_timeout, pool: pool.clone() })
    }

    /// How long a call may run once Python has begun it, a stream to its end. Beyond it the worker is killed and
    /// replaced. Default: the pool's [`call_timeout`](crate::Pool::call_timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Its class, as the pool names it.
    pub fn class(&self) -> &str {
        self.pool.adapter().map_or("", |adapter| &adapter.name)
    }

    /// Its tools, in the order of their definition. One that calls its tools itself, by an `execute_tool` of its own, may
    /// have others than these.
    pub fn tools(&self) -> &[Tool] {
        self.pool.adapter().map_or(&[], |adapter| &adapter.tools)
    }

    /// Calls a tool on whichever worker is free, or in the session's. A map or a struct becomes keyword arguments, a
    /// sequence positional ones, `()` none, anything else the only argument. Of a streaming tool it returns all values,
    /// as a list.
    ///
    /// # Errors
    /// Of kind [`Import`](ErrorKind::Import) if there is no such tool, with those that there are; else as it failed.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the call if no worker has it yet; else its answer is discarded.
    pub async fn call<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        tool: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        self.caller.execute_in(&self.pool, &function(tool), args, self.timeout).await
    }

    /// Calls a streaming tool, a generator, and returns its values as they are made; of another tool the one that it
    /// returns. Arguments are as for [`call`](Self::call). What goes wrong comes through the stream.
    pub fn stream<A: Serialize + ?Sized, T: DeserializeOwned>(&self, tool: &str, args: &A) -> ToolStream<T> {
        self.caller.stream_in(&self.pool, &function(tool), args, self.timeout)
    }

    /// What the adapter has counted in each worker, whether or not its class has a `get_stats` of its own. It is asked for
    /// as a call is, and so has to wait where all slots are busy.
    ///
    /// # Errors
    /// If the pool takes no more work. A worker's own failure is in its reply.
    pub async fn stats(&self) -> Result<Each<AdapterStats>, ItemError> {
        self.each(STATS).await
    }

    /// What the checker of each worker has seen until now, if [`Pool::thread_safety_check`](crate::Pool::thread_safety_check) is
    /// on. What it warns of is in the log, too.
    ///
    /// # Errors
    /// As for [`stats`](Self::stats).
    pub async fn report(&self) -> Result<Each<ThreadSafetyReport>, ItemError> {
        self.each(REPORT).await
    }

    async fn each<T: DeserializeOwned>(&self, function: &str) -> Result<Each<T>, ItemError> {
        self.pool.call_each(function, &(), self.timeout, Arc::new(Context::none())).await
    }
}

/// The function of a tool: it has no module, because the worker's adapter has it.
fn function(tool: &str) -> String {
    format!(":{tool}")
}

/// The pool whose adapter has this tool.
pub(super) fn home<'a>(slither: &'a Slither, tool: &str) -> Result<&'a Arc<RunningPool>, ConfigError> {
    let pools = |which: fn(&wire::Adapter, &str) -> bool| -> Vec<_> {
        slither.pools().filter(|pool| pool.adapter().is_some_and(|adapter| which(adapter, tool))).collect()
    };
    // Who takes any name is meant by those that nobody lists.
    let mut having = pools(wire::Adapter::lists);
    if having.is_empty() {
        having = pools(|adapter, _| adapter.any_tool);
    }
    having.sort_by_key(|pool| pool.name.clone());
    match having[..] {
        [pool] => Ok(pool),
        [] => Err(unknown(slither, tool)),
        [first, second, ..] => {
            let (first, second) = (&first.name, &second.name);
            let message = format!("pool `{first}` has a tool `{tool}`, and so has pool `{second}`");
            let hint = format!("say which one, as `slither.adapter(\"{first}\")?.call(…)`");
            Err(ConfigError::new(message).hint(hint))
        }
    }
}

/// What is said of a tool that no adapter has.
fn unknown(slither: &Slither, tool: &str) -> ConfigError {
    let mut known: Vec<String> = slither
        .pools()
        .filter_map(|pool| {
            let tools = pool.adapter()?.tools.iter().map(|tool| tool.name.as_str());
            Some(format!("pool `{}` has {}", pool.name, tools.take(32).collect::<Vec<_>>().join(", ")))
        })
        .collect();
    known.sort();
    match known.is_empty() {
        true => ConfigError::new(format!("there is no tool `{tool}`: no pool has an adapter"))
            .hint("give one with `Pool::adapter`"),
        false => ConfigError::new(format!("no adapter has a tool `{tool}`: {}", known.join("; "))),
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("class", &self.class()).field("pool", &self.pool.name).finish()
    }
}
