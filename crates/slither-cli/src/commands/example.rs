//! `slither example`: lists the examples or runs one.

use slither::ConfigError;
use slither_examples::{EXAMPLES, Settings};

use crate::args::Example;
use crate::progress::Bars;
use crate::{End, print, signals};

/// Lists or runs.
pub(crate) fn run(args: &Example) -> End {
    let Some(name) = &args.name else {
        print::examples(EXAMPLES, args.json);
        return End::Done;
    };
    let listed = match slither_examples::find(name) {
        Ok(listed) => listed,
        Err(error) => return End::CouldNotRun(error),
    };
    let settings = Settings { input: args.input.clone(), workers: args.workers.map(usize::from) };
    let observer = Bars::new();
    let result = signals::guarded(|stop| slither_examples::run(listed, &settings, &observer, stop));
    drop(observer);
    match result {
        Ok(Ok(Ok(report))) => {
            print::report(&report, args.json);
            match signals::seen() {
                Some(which) => End::Interrupted(which),
                None if report.exit == 0 => End::Done,
                None => End::ItemsFailed,
            }
        }
        Ok(Ok(Err(error))) => signals::seen().map_or(End::CouldNotRun(error), End::Interrupted),
        Ok(Err(which)) => End::Interrupted(which),
        Err(error) => End::CouldNotRun(ConfigError::new(format!("the runtime cannot be started: {error}"))),
    }
}
