//! `slither baseline`: the work of examples in plain Python.

use std::path::PathBuf;
use std::sync::Arc;

use slither::ConfigError;
use slither_examples::baseline::{self, Interpreters};
use slither_examples::{EXAMPLES, Listed, Observer, Stop};

use crate::args::Baseline;
use crate::progress::{self, Bars};
use crate::{End, print, signals};

/// Runs, and reports whatever came of it.
pub(crate) fn run(args: Baseline) -> Result<End, ConfigError> {
    let Baseline { name, all: _, python, json } = args;
    let chosen: Vec<_> = match name {
        Some(name) => vec![slither_examples::find(&name)?],
        None => EXAMPLES.iter().filter(|example| !example.alone).collect(),
    };
    match signals::guarded(|stop| play(chosen, python, json, stop))? {
        Ok(played) => played?,
        Err(which) => return Ok(End::Interrupted(which)),
    }
    Ok(signals::seen().map_or(End::Done, End::Interrupted))
}

async fn play(
    chosen: Vec<&'static Listed>,
    python: Option<PathBuf>,
    json: bool,
    stop: Stop,
) -> Result<(), ConfigError> {
    let interpreters = find(python).await?;
    let several = chosen.len() > 1;
    for example in chosen {
        if stop.is_requested() {
            break;
        }
        let ran = baseline::run(example, &interpreters, None, Arc::new(Bars::new()), stop.clone()).await;
        progress::clear();
        let ran = ran?;
        // Half a comparison would be taken for a whole one.
        if !stop.is_requested() {
            print::baseline(&ran, several, json)?;
        }
    }
    Ok(())
}

/// The interpreters: asking each takes its time.
pub(super) async fn find(python: Option<PathBuf>) -> Result<Interpreters, ConfigError> {
    let bars = Bars::new();
    bars.step("looking for interpreters", None);
    let found = tokio::task::spawn_blocking(move || Interpreters::find(python.as_deref())).await;
    found.map_err(|error| ConfigError::new(format!("no interpreter could be looked for: {error}")))?
}
