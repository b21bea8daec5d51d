//! `slither example`: lists the examples or runs them.

use std::sync::Arc;

use slither::{Chaos, ConfigError};
use slither_examples::baseline::{self, Baseline, Interpreters};
use slither_examples::{EXAMPLES, Listed, Report, Settings, Stop};

use super::baseline::find;
use crate::args::Example;
use crate::progress::{self, Bars};
use crate::{End, print, signals};

/// An example that was run, and the same work in plain Python unless that was left out.
type Played = (Report, Option<Baseline>);

/// Lists or runs.
pub(crate) fn run(args: Example) -> Result<End, ConfigError> {
    let chaos = chaos(&args)?;
    let whole = args.all || args.stdlib;
    let chosen: Vec<_> = match &args.name {
        Some(name) => vec![slither_examples::find(name)?],
        None if whole => {
            let chosen = |it: &&Listed| !it.alone && (!args.stdlib || it.requirements.is_empty());
            EXAMPLES.iter().filter(chosen).collect()
        }
        None => {
            print::examples(EXAMPLES, args.json)?;
            return Ok(End::Done);
        }
    };
    match signals::guarded(|stop| play_all(chosen, args, chaos, whole, stop))? {
        Ok(end) => end,
        Err(which) => Ok(End::Interrupted(which)),
    }
}

/// The faults that were asked for.
fn chaos(args: &Example) -> Result<Option<Chaos>, ConfigError> {
    let Some(faults) = &args.chaos else { return Ok(None) };
    let chaos: Chaos = faults.parse()?;
    Ok(Some(args.seed.map_or(chaos.clone(), |seed| chaos.with_seed(seed))))
}

/// Plays the examples one after the other. One that cannot run keeps no other from it, unless it is alone.
async fn play_all(
    chosen: Vec<&'static Listed>,
    args: Example,
    chaos: Option<Chaos>,
    whole: bool,
    stop: Stop,
) -> Result<End, ConfigError> {
    let mut worst = End::Done;
    let (mut played, mut refused) = (Vec::new(), Vec::new());
    let (mut found, count) = (None, chosen.len());
    for (number, example) in (1..).zip(chosen) {
        if stop.is_requested() {
            break;
        }
        if whole {
            print::note(&format!("{number}/{count} {}", example.name));
        }
        let ran = play(example, &args, chaos.clone(), &mut found, &stop).await;
        progress::clear();
        let (mut report, baseline) = match (ran, signals::seen()) {
            (Ok(ran), _) => ran,
            // What was being prepared when the signal came was given up.
            (Err(_), Some(_)) => break,
            (Err(error), None) if whole => {
                print::error(&error);
                refused.push(example.name);
                continue;
            }
            (Err(error), None) => return Err(error),
        };
        let end = match signals::seen() {
            Some(which) => End::Interrupted(which),
            None if report.exit == 0 => End::Done,
            None => End::ItemsFailed,
        };
        report.exit = end.code();
        print::report(&report, baseline.as_ref(), whole, args.json)?;
        if report.exit > 0 {
            worst = end;
        }
        played.push((report, baseline));
    }
    if let Some(which) = signals::seen() {
        return Ok(End::Interrupted(which));
    }
    if whole && !args.json {
        print::summary(&played)?;
    }
    match refused.as_slice() {
        [] => Ok(worst),
        names => Err(ConfigError::new(format!("could not run: {}", names.join(", ")))
            .hint("each says above what it lacks")),
    }
}

/// One example, and then the same work in plain Python.
async fn play(
    example: &'static Listed,
    args: &Example,
    chaos: Option<Chaos>,
    found: &mut Option<Result<Interpreters, ConfigError>>,
    stop: &Stop,
) -> Result<Played, ConfigError> {
    let (input, output) = (args.input.clone(), args.output.clone());
    let settings = Settings { input, output, workers: args.workers, chaos };
    let report = slither_examples::run(example, settings, Arc::new(Bars::new()), stop.clone()).await?;
    if args.no_baseline || example.alone || stop.is_requested() {
        return Ok((report, None));
    }
    let interpreters = match found.take() {
        Some(interpreters) => interpreters,
        None => find(None).await,
    };
    let ran = match found.insert(interpreters) {
        Ok(found) => {
            let bars = Arc::new(Bars::new());
            baseline::run(example, found, args.input.clone(), bars, stop.clone()).await
        }
        Err(error) => Err(error.clone()),
    };
    // What was run with Slither stands, whatever keeps plain Python from it.
    let baseline = ran.unwrap_or_else(|error| Baseline::not_run(example, &error));
    Ok((report, (!stop.is_requested()).then_some(baseline)))
}
