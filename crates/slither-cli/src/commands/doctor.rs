//! `slither doctor`: what is there, what is wrong, and how to mend it.

use slither::python::diagnose;

use crate::args::Doctor;
use crate::{End, print};

/// Looks, prints, and says by the exit code whether runs can start.
pub(crate) fn run(args: &Doctor) -> End {
    let diagnosis = diagnose();
    print::diagnosis(&diagnosis, args.json);
    // A warning about something that was passed over stops no run; having no interpreter does.
    match diagnosis.interpreter.is_some() && diagnosis.cache.as_ref().is_some_and(|cache| cache.writable) {
        true => End::Done,
        false => End::ItemsFailed,
    }
}
