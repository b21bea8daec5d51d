//! `slither call`: one call of an adapter's tool, in a worker of its own.

use std::time::Duration;

use slither::{Adapter, ConfigError, ErrorKind, ItemError, Pool, Slither, Value};

use crate::args::Call;
use crate::progress::Lines;
use crate::{End, print, signals, text};

const POOL: &str = "call";
/// How long the adapter's `cleanup` may take.
const GRACE: Duration = Duration::from_secs(5);

/// Builds the adapter, and calls its tool or lists them all.
pub(crate) fn run(args: Call) -> Result<End, ConfigError> {
    let given: Option<serde_json::Value> = match &args.args {
        Some(given) => Some(serde_json::from_str(given).map_err(|error| {
            ConfigError::new(format!("the arguments are no JSON: {}", text::no_json(&error))).hint(
                "an object of keyword arguments, an array of positional ones, or the only one; \
                 a text as '\"some text\"'",
            )
        })?),
        None => None,
    };
    let ended = signals::guarded(|_| async move {
        let slither = start(&args).await?;
        let adapter = slither.adapter(POOL)?.timeout(args.timeout);
        let ended = match &args.tool {
            Some(tool) => call(&adapter, tool, given).await,
            None => print::tools(adapter.class(), adapter.tools(), args.json).map(|()| End::Done),
        };
        slither.shutdown(GRACE).await;
        ended
    })?;
    ended.unwrap_or_else(|which| Ok(End::Interrupted(which)))
}

async fn start(args: &Call) -> Result<Slither, ConfigError> {
    let place = &args.place;
    let mut pool = Pool::processes(POOL).size(1).adapter(&args.adapter).requirements(&place.requirement);
    if let Some(python) = &place.python {
        pool = pool.python(python);
    }
    for folder in &place.path {
        pool = pool.python_path(folder);
    }
    if place.path.is_empty() {
        pool = pool.python_path(".");
    }
    Slither::builder().pool(pool).progress(Lines).start().await
}

async fn call(adapter: &Adapter, tool: &str, args: Option<serde_json::Value>) -> Result<End, ConfigError> {
    // JSON's null is what no arguments are, too: as the only one it is in an array.
    let args = args.unwrap_or(serde_json::Value::Null);
    let mut failed = None;
    if adapter.tools().iter().any(|known| known.name == tool && known.streaming) {
        let mut values = adapter.stream::<_, Value>(tool, &args);
        while let Some(value) = values.next().await {
            match value {
                Ok(value) => print::value(&value)?,
                Err(error) => failed = Some(told(error)?),
            }
        }
    } else {
        match adapter.call::<_, Value>(tool, &args).await {
            Ok(value) => print::value(&value)?,
            Err(error) => failed = Some(told(error)?),
        }
    }
    Ok(failed.unwrap_or(End::Done))
}

/// Tells of a failure of the tool; that there is none of its name is one of what was typed.
fn told(error: ItemError) -> Result<End, ConfigError> {
    if error.kind() == ErrorKind::Import {
        return Err(ConfigError::new(error.message()));
    }
    print::error(&error.report());
    Ok(End::ItemsFailed)
}
