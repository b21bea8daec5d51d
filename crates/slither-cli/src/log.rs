//! What is logged, and where: on stderr, above a progress bar if there is one.

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

use crate::args::Args;
use crate::progress;

/// What Python prints and logs is shown, and what goes wrong; the rest is for `SLITHER_LOG`.
const DEFAULT: &str = "warn,slither::output=info,slither::python=info";

/// Starts logging as `SLITHER_LOG` says.
pub(crate) fn start(_: &Args) {
    let chosen = std::env::var("SLITHER_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = chosen.map_or_else(|| EnvFilter::new(DEFAULT), EnvFilter::new);
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_target(false)
        .without_time()
        .with_writer(|| Above)
        .init();
}

/// Writes whole events above the progress bar.
struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::above(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
