//! `slither check`: the SDK's own command, which finds what an adapter's threads write without a lock.

use slither::ConfigError;
use slither::python::{Environment, EnvironmentSpec};

use crate::End;
use crate::args::Check;
use crate::progress::Lines;

/// Has Python do it, and prints what that prints.
pub(crate) fn run(args: &Check) -> Result<End, ConfigError> {
    let place = &args.place;
    let spec = EnvironmentSpec { python: place.python.clone(), requirements: place.requirement.clone() };
    let environment = Environment::prepare(&spec, &Lines)?;
    let mut command = environment.tools();
    command.args(["check", &args.adapter]);
    command.args(["--threads", &args.threads.to_string(), "--calls", &args.calls.to_string()]);
    for folder in &place.path {
        command.arg("--path").arg(folder);
    }
    for call in &args.given {
        command.args(["--call", call]);
    }
    for file in &args.sample {
        command.arg("--sample").arg(file);
    }
    command.args(args.strict.then_some("--strict")).args(args.json.then_some("--json"));
    let python = &environment.interpreter.executable;
    let status = command
        .status()
        .map_err(|error| ConfigError::new(format!("{} cannot be started: {error}", python.display())))?;
    match status.code() {
        Some(0) => Ok(End::Done),
        Some(1) => Ok(End::ItemsFailed),
        Some(2) => Ok(End::CouldNotRun),
        _ => Err(ConfigError::new(format!(
            "the check did not finish: {} ended with {status}",
            python.display()
        ))),
    }
}
