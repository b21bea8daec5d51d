//! `slither completions`: the shell's own script.

use clap::CommandFactory;
use clap_complete::Shell;
use slither::ConfigError;

use crate::args::Args;
use crate::{End, print};

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<End, ConfigError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "slither", &mut script);
    print::data(&String::from_utf8_lossy(&script))?;
    Ok(End::Done)
}
