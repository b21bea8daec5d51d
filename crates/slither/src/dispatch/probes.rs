//! The telemetry of a dispatch: three events, looked up once a run.

use std::fmt;

use metrics::{Counter, Histogram, Label};

use super::core::Completed;
use super::executor::BatchId;
use crate::context::Context;
use crate::telemetry::{BatchException, BatchStart, BatchStop, Event};

pub(super) struct Probes {
    start: Meter,
    stop: Meter,
    exception: Meter,
}

impl Probes {
    pub(super) fn new(context: &Context, pool: &str) -> Self {
        let named =
            [("pool", Some(pool)), ("pipe", context.pipe.as_deref()), ("stage", context.stage.as_deref())];
        let labels: Vec<Label> = named
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| Label::new(name, value.to_owned())))
            .collect();
        Self {
            start: Meter::new::<BatchStart<'_>>(&labels),
            stop: Meter::new::<BatchStop<'_>>(&labels),
            exception: Meter::new::<BatchException<'_>>(&labels),
        }
    }

    pub(super) fn start(&self, context: &Context, pool: &str, batch: BatchId, items: usize) {
        let [run, pipe, stage, session] = ids(context);
        self.start.emit(&BatchStart::new(items as f64, run, pipe, stage, session, &batch, &pool));
    }

    pub(super) fn completed(&self, context: &Context, pool: &str, completed: &Completed) {
        let [run, pipe, stage, session] = ids(context);
        let Completed { batch, items, failed, duration, error } = completed;
        let (items, seconds) = (*items as f64, duration.as_secs_f64());
        let Some(error) = error else {
            let failed = *failed as f64;
            self.stop.emit(&BatchStop::new(items, failed, seconds, run, pipe, stage, session, batch, &pool));
            return;
        };
        let worker = Absent(error.worker().map(|report| report.worker.as_str()));
        self.exception.emit(&BatchException::new(
            items,
            seconds,
            run,
            pipe,
            stage,
            session,
            batch,
            &pool,
            &worker,
            &error.kind(),
            error,
        ));
    }
}

/// An event's metrics. `telemetry::Probe` is tied to one lifetime of its event, and these events borrow anew
/// for each batch; so the handles are kept here, without the event's type.
struct Meter {
    counter: Counter,
    histograms: Vec<Histogram>,
}

impl Meter {
    fn new<E: Event>(labels: &[Label]) -> Self {
        let name = E::DESCRIPTION.name;
        let histogram =
            |measurement: &&str| metrics::histogram!(format!("{name}.{measurement}"), labels.to_vec());
        Self {
            counter: metrics::counter!(name, labels.to_vec()),
            histograms: E::DESCRIPTION.measurements.iter().map(histogram).collect(),
        }
    }

    fn emit<E: Event>(&self, event: &E) {
        self.counter.increment(1);
        for (histogram, value) in self.histograms.iter().zip(event.measurements()) {
            histogram.record(value);
        }
        event.trace();
    }
}

/// Run, pipe, stage and session, as events carry them; nothing is formatted unless someone listens.
pub(crate) fn ids(context: &Context) -> [&dyn fmt::Display; 4] {
    fn or_empty<T: fmt::Display>(value: &Option<T>) -> &dyn fmt::Display {
        match value {
            Some(value) => value,
            None => &"",
        }
    }
    [or_empty(&context.run), or_empty(&context.pipe), or_empty(&context.stage), or_empty(&context.session)]
}

struct Absent<'a>(Option<&'a str>);

impl fmt::Display for Absent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.unwrap_or_default())
    }
}
