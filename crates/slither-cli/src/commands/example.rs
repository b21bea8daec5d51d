//! `slither example`: lists the examples or runs one.

use std::sync::Arc;

use slither::ConfigError;
use slither_examples::{EXAMPLES, Settings};

use crate::args::Example;
use crate::progress::Bars;
use crate::{End, print, signals};

/// Lists or runs.
pub(crate) fn run(args: Example) -> Result<End, ConfigError> {
    let Example { name, input, output, workers, json } = args;
    let Some(name) = name else {
        print::examples(EXAMPLES, json)?;
        return Ok(End::Done);
    };
    let listed = slither_examples::find(&name)?;
    let settings = Settings { input, output, workers };
    // The work owns the bars, so that they are gone before anything is printed.
    let ended =
        signals::guarded(|stop| slither_examples::run(listed, settings, Arc::new(Bars::new()), stop))?;
    let mut report = match (ended, signals::seen()) {
        (Ok(Ok(report)), _) => report,
        // What was being prepared when the signal came was given up.
        (Ok(Err(_)), Some(which)) | (Err(which), _) => return Ok(End::Interrupted(which)),
        (Ok(Err(error)), None) => return Err(error),
    };
    let end = match signals::seen() {
        Some(which) => End::Interrupted(which),
        None if report.exit == 0 => End::Done,
        None => End::ItemsFailed,
    };
    report.exit = end.code();
    print::report(&report, json)?;
    Ok(end)
}
