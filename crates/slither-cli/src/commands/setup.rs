//! `slither setup`: provides interpreters' packages ahead of time.

use slither::ConfigError;
use slither::python::{Environment, EnvironmentSpec};
use slither_examples::EXAMPLES;

use crate::args::Setup;
use crate::progress::Lines;
use crate::{End, print, signals};

/// Provides what is asked for.
pub(crate) fn run(args: &Setup) -> End {
    let mut requirements = Vec::new();
    for what in &args.what {
        match EXAMPLES.iter().find(|example| example.name == what) {
            Some(example) => requirements.extend(example.requirements.iter().map(|&it| it.to_owned())),
            None if what.contains('_') && !what.contains(['=', '<', '>', '~', '[', '@', ' ']) => {
                // Package names with an underscore exist, but a mistyped example is likelier to be meant.
                let names: Vec<_> = EXAMPLES.iter().map(|example| example.name).collect();
                if let Some(near) = slither::nearest(what, &names) {
                    let error = ConfigError::new(format!("unknown example `{what}`"));
                    return End::CouldNotRun(error.hint(format!("did you mean `{near}`?")));
                }
                requirements.push(what.clone());
            }
            None => requirements.push(what.clone()),
        }
    }
    let spec = EnvironmentSpec { python: None, requirements };
    let prepared = signals::guarded(|_| async move {
        tokio::task::spawn_blocking(move || Environment::prepare(&spec, &Lines)).await
    });
    match prepared {
        Ok(Ok(Ok(Ok(environment)))) => {
            print::environment(&environment);
            End::Done
        }
        Ok(Ok(Ok(Err(error)))) => signals::seen().map_or(End::CouldNotRun(error), End::Interrupted),
        Ok(Ok(Err(error))) => {
            End::CouldNotRun(ConfigError::new(format!("setting up did not finish: {error}")))
        }
        Ok(Err(which)) => End::Interrupted(which),
        Err(error) => End::CouldNotRun(ConfigError::new(format!("the runtime cannot be started: {error}"))),
    }
}
