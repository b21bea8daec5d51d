//! The telemetry of a dispatch: four events, looked up once a run.

use std::fmt;

use super::core::{Completed, Partial};
use super::executor::BatchId;
use crate::context::Context;
use crate::telemetry::{BatchException, BatchPartial, BatchStart, BatchStop, Labels, Meter};

pub(super) struct Probes {
    start: Meter,
    partial: Meter,
    stop: Meter,
    exception: Meter,
}

impl Probes {
    pub(super) fn new(context: &Context, pool: &str) -> Self {
        let labels = Labels {
            pool: Some(pool),
            pipe: context.pipe.as_deref(),
            stage: context.stage.as_deref(),
            ..Labels::default()
        };
        Self {
            start: Meter::of::<BatchStart<'_>>(labels),
            partial: Meter::of::<BatchPartial<'_>>(labels),
            stop: Meter::of::<BatchStop<'_>>(labels),
            exception: Meter::of::<BatchException<'_>>(labels),
        }
    }

    pub(super) fn start(&self, context: &Context, pool: &str, batch: BatchId, items: usize) {
        let [run, pipe, stage, session] = ids(context);
        self.start.emit(&BatchStart::new(items as f64, run, pipe, stage, session, &batch, &pool));
    }

    pub(super) fn partial(&self, context: &Context, pool: &str, partial: &Partial) {
        let [run, pipe, stage, session] = ids(context);
        let Partial { batch, items, failed } = partial;
        let (items, failed) = (*items as f64, *failed as f64);
        self.partial.emit(&BatchPartial::new(items, failed, run, pipe, stage, session, batch, &pool));
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
