//! `slither setup`: provides interpreters' packages ahead of time.

use slither::ConfigError;
use slither::python::{Environment, EnvironmentSpec};
use slither_examples::EXAMPLES;

use crate::args::Setup;
use crate::progress::Lines;
use crate::{End, print, signals};

/// Provides what is asked for.
pub(crate) fn run(args: Setup) -> Result<End, ConfigError> {
    let mut requirements = Vec::new();
    for what in args.what {
        match EXAMPLES.iter().find(|example| example.name == what) {
            Some(example) => requirements.extend(example.requirements.iter().map(|&it| it.to_owned())),
            None => {
                refuse_mistyped(&what)?;
                requirements.push(what);
            }
        }
    }
    let spec = EnvironmentSpec { python: None, requirements };
    let ended = signals::guarded(|_| async move {
        tokio::task::spawn_blocking(move || Environment::prepare(&spec, &Lines)).await
    })?;
    let prepared = match ended {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(error)) => return Err(ConfigError::new(format!("setting up did not finish: {error}"))),
        Err(which) => return Ok(End::Interrupted(which)),
    };
    match (prepared, signals::seen()) {
        (Ok(environment), _) => {
            print::environment(&environment)?;
            Ok(End::Done)
        }
        (Err(_), Some(which)) => Ok(End::Interrupted(which)),
        (Err(error), None) => Err(error),
    }
}

/// Refuses a package that is named nearly as an example: a mistyped example is likelier to be meant, and anyone
/// may publish a package under such a name.
fn refuse_mistyped(what: &str) -> Result<(), ConfigError> {
    let bare = what.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    if !bare || !what.contains(['_', '-']) {
        return Ok(());
    }
    let names: Vec<_> = EXAMPLES.iter().map(|example| example.name).collect();
    match slither::nearest(&what.replace('-', "_"), &names) {
        Some(near) => {
            let hint =
                format!("did you mean `{near}`? a package would be asked for with a version, as `{what}>=0`");
            Err(ConfigError::new(format!("unknown example `{what}`")).hint(hint))
        }
        None => Ok(()),
    }
}
