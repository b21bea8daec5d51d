//! `slither doctor`: what is there, what is wrong, and how to mend it.

use slither::ConfigError;
use slither::python::diagnose;
use slither_examples::Observer;

use super::route;
use crate::args::Doctor;
use crate::progress::Bars;
use crate::{End, print};

/// Looks, prints, and says by the exit code whether runs can start.
pub(crate) fn run(args: &Doctor) -> Result<End, ConfigError> {
    if let Some(function) = &args.route {
        return route::run(function, args);
    }
    let bars = Bars::new();
    bars.step("asking every Python on PATH", None);
    let diagnosis = diagnose();
    drop(bars);
    print::diagnosis(&diagnosis, args.json)?;
    // A warning about something that was passed over stops no run; having no interpreter does.
    let ready = diagnosis.interpreter.is_some() && diagnosis.cache.is_some_and(|cache| cache.writable);
    Ok(if ready { End::Done } else { End::ItemsFailed })
}
