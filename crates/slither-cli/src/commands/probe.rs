//! `slither probe`: finds out where a function belongs.

use slither::ConfigError;
use slither::python::Interpreter;
use slither_examples::{Observer, Stop};

use super::route::folders;
use crate::args::Probe;
use crate::probe::{Options, Probed, Sample, Tried, tried};
use crate::progress::Bars;
use crate::{End, print, signals};

/// Tries the function on each interpreter, and prints what was found.
pub(crate) fn run(args: Probe) -> Result<End, ConfigError> {
    let options = Options {
        items: Sample::read(&args.sample)?.items,
        path: folders(&args.path)?,
        requirements: args.requirement.clone(),
        time: args.time,
        timeout: args.timeout,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        function: args.function.clone(),
    };
    let pythons = interpreters(&args)?;
    match signals::guarded(|stop| probe(options, pythons, args.json, stop))? {
        Ok(done) => {
            let end = done?;
            Ok(signals::seen().map_or(end, End::Interrupted))
        }
        Err(which) => Ok(End::Interrupted(which)),
    }
}

async fn probe(
    options: Options,
    pythons: Vec<Interpreter>,
    as_json: bool,
    stop: Stop,
) -> Result<End, ConfigError> {
    let bars = Bars::new();
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    let alone = pythons.len() == 1;
    for python in &pythons {
        if stop.is_requested() {
            return Ok(End::Done);
        }
        match tried(&options, python, &bars).await {
            Ok(tried) => found.push(tried),
            Err(error) if alone => return Err(error),
            Err(error) => failed.push(format!("{python}: {error}")),
        }
    }
    drop(bars);
    if found.is_empty() {
        return Err(ConfigError::new(failed.join("\n")));
    }
    let probed = Probed {
        function: options.function,
        sample: options.items.len(),
        cores: options.cores,
        best: best(&found),
        pythons: found,
        failed,
    };
    print::probe(&probed, as_json)?;
    let fails = probed.pythons.iter().any(|tried| tried.failing.is_some());
    Ok(if fails { End::ItemsFailed } else { End::Done })
}

/// The interpreter on which the advised pool did most.
fn best(found: &[Tried]) -> Option<usize> {
    let rate = |tried: &Tried| {
        let advised = tried.measured.iter().filter(|it| it.profile == tried.advice.profile);
        advised.map(|it| it.undisturbed).fold(0.0, f64::max)
    };
    let ranked = found.iter().enumerate().max_by(|(_, one), (_, other)| rate(one).total_cmp(&rate(other)));
    ranked.filter(|_| found.len() > 1).map(|(at, _)| at)
}

fn interpreters(args: &Probe) -> Result<Vec<Interpreter>, ConfigError> {
    if !args.python.is_empty() {
        return args.python.iter().map(|python| Interpreter::named(python)).collect();
    }
    let bars = Bars::new();
    bars.step("looking for interpreters", None);
    let usual = Interpreter::find(None)?;
    let other = match &args.free_threaded {
        Some(python) => Some(Interpreter::named(python)?),
        None => Interpreter::find_free_threaded()?,
    };
    let other = other.filter(|other| other.executable != usual.executable);
    Ok([usual].into_iter().chain(other).collect())
}
