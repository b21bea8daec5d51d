//! What is logged, and how: on stderr, a line an event, above a progress bar if there is one.

use std::fmt::{self, Write as _};
use std::io::{self, Write};

use slither::ConfigError;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::print::Paint;
use crate::{progress, text};

/// What Python prints and logs is shown, and what goes wrong; the rest is for `SLITHER_LOG`.
const DEFAULT: &str = "warn,slither::output=info,slither::python=info";

/// Starts logging as `SLITHER_LOG` says.
///
/// # Errors
/// If what it says is no filter.
pub(crate) fn start() -> Result<(), ConfigError> {
    let chosen = std::env::var("SLITHER_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::try_new(chosen.as_deref().unwrap_or(DEFAULT)).map_err(|error| {
        let chosen = chosen.as_deref().unwrap_or_default();
        ConfigError::new(format!("SLITHER_LOG=`{chosen}` is no filter: {error}"))
            .hint("for example `debug`, or `warn,slither=trace`")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Lines(Paint::of(&io::stderr())))
        .with_writer(|| Above)
        .init();
    Ok(())
}

/// `[analysis/0#1] text` for what a worker prints, with level and logger for what it logs; for all else the
/// level, the message and the fields.
struct Lines(Paint);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let paint = &self.0;
        let mut found = Found::default();
        event.record(&mut found);
        let worker = paint.dim(&format!("[{}]", found.worker));
        let level = level(paint, event.metadata().level());
        match event.metadata().target() {
            "slither::output" => match found.suppressed {
                0.0 => writeln!(out, "{worker} {}", found.line),
                lines => writeln!(out, "{worker} … {lines} lines left out …"),
            },
            "slither::python" => writeln!(out, "{worker} {level} {}: {}", found.logger, found.message),
            _ => writeln!(out, "{level} {}{}", found.message, paint.dim(&found.rest)),
        }
    }
}

fn level(paint: &Paint, level: &Level) -> String {
    match *level {
        Level::ERROR => paint.red("error:"),
        Level::WARN => paint.yellow("warning:"),
        Level::INFO => "info:".to_owned(),
        Level::DEBUG => paint.dim("debug:"),
        Level::TRACE => paint.dim("trace:"),
    }
}

/// The fields of an event.
#[derive(Default)]
struct Found {
    message: String,
    worker: String,
    line: String,
    logger: String,
    suppressed: f64,
    /// All of them but the message, as `name=value`.
    rest: String,
}

impl Visit for Found {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "suppressed" {
            self.suppressed = value;
        }
        self.record_debug(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        // A traceback has lines of its own; what is left of control characters is shown and not obeyed.
        let value = text::lines(&value);
        match field.name() {
            "message" => return self.message = value.into_owned(),
            "worker" => self.worker = value.clone().into_owned(),
            "line" => self.line = value.clone().into_owned(),
            "logger" => self.logger = value.clone().into_owned(),
            _ => {}
        }
        // Ids that an event does not have are empty.
        if !value.is_empty() {
            let _ = write!(self.rest, " {}={value}", field.name());
        }
    }
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
