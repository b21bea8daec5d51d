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

/// The same where batches and workers fail on purpose: their failures are in the report, and no news.
const MEANT: &str = "error,slither::output=info,slither::python=info";

/// The same where the command itself says all that goes wrong.
const ALREADY: &str = "off,slither::output=info,slither::python=info";

/// What failures of batches, workers and pools are to the person who started the command.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    /// News.
    News,
    /// Meant by the example.
    Meant,
    /// What the command is about to say.
    Already,
}

/// Starts logging as `SLITHER_LOG` says; without it what is news.
///
/// # Errors
/// If what it says is not a filter.
pub(crate) fn start(failures: Told) -> Result<(), ConfigError> {
    let chosen = std::env::var("SLITHER_LOG").ok().filter(|filter| !filter.is_empty());
    let usual = match failures {
        Told::News => DEFAULT,
        Told::Meant => MEANT,
        Told::Already => ALREADY,
    };
    let filter = EnvFilter::try_new(chosen.as_deref().unwrap_or(usual)).map_err(|error| {
        let chosen = chosen.as_deref().unwrap_or_default();
        ConfigError::new(format!("SLITHER_LOG=`{chosen}` is not a filter: {error}"))
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
        self.record_debug(field, &format_args!("{value}"));
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
        // A stderr that nobody reads any more is no reason to fail, let alone to say so on stderr.
        let _ = progress::above(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(Lines(Paint::none()))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_a_worker_prints_and_logs_bears_its_name() {
        let lines = logged(|| {
            let worker = "analysis/0#1";
            tracing::info!(target: "slither::output", suppressed = 0.0, worker, line = "a = 1", "printed");
            tracing::info!(target: "slither::output", suppressed = 7.0, worker, line = "", "printed");
            let message = "two\nlines \u{1b}[2J";
            tracing::warn!(target: "slither::python", worker, stage = "", logger = "model", call = 3, "{message}");
        });
        assert_eq!(
            lines,
            "[analysis/0#1] a = 1\n\
             [analysis/0#1] … 7 lines left out …\n\
             [analysis/0#1] warning: model: two\nlines \\u{1b}[2J\n"
        );
    }

    #[test]
    fn an_event_shows_the_fields_it_has() {
        let lines = logged(|| {
            tracing::error!(
                delay = 0.05,
                deaths = 1.0,
                pool = "p",
                run = "",
                "slither.pool.worker.restarted"
            );
        });
        assert_eq!(lines, "error: slither.pool.worker.restarted delay=0.05 deaths=1 pool=p\n");
    }
}
