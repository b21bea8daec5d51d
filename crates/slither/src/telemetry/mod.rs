//! Telemetry: every event is a type, and emitting it writes a `tracing` event and its `metrics` together.
//!
//! The one list of them is [`CATALOGUE`]; the table in `guides/operations.md` is made from it. Rules:
//!
//! - an event's name is dotted (`slither.dispatch.batch.stop`) and is both the `tracing` message, under the
//!   target `slither`, and the name of a counter that is raised by one each time;
//! - each measurement is a field of the `tracing` event and a histogram named `<event>.<measurement>`;
//! - ids (run, batch, session, worker) are fields of the `tracing` event and never labels of a metric, so
//!   that the number of series stays bounded; labels are what the program names: pool, pipe, stage, store, view.
//!
//! Emitting never blocks and never fails. Without a subscriber and a recorder it costs a few loads.

mod catalogue;

use metrics::{Counter, Gauge, Histogram, Label};

pub use catalogue::*;

/// What an event is and carries; [`CATALOGUE`] holds one for each.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The dotted name.
    pub name: &'static str,
    /// When it is emitted.
    pub meaning: &'static str,
    /// Numbers it carries, each also a histogram; durations are in seconds.
    pub measurements: &'static [&'static str],
    /// Further fields of the `tracing` event.
    pub fields: &'static [&'static str],
}

/// An event of [`CATALOGUE`].
pub(crate) trait Event {
    const DESCRIPTION: Description;

    /// The measurements, in the order of the description.
    fn measurements(&self) -> impl Iterator<Item = f64>;

    /// Writes the `tracing` event.
    fn trace(&self);
}

/// What the program names: the labels of an event's metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Labels<'a> {
    pub(crate) pool: Option<&'a str>,
    pub(crate) pipe: Option<&'a str>,
    pub(crate) stage: Option<&'a str>,
    pub(crate) store: Option<&'a str>,
    pub(crate) view: Option<&'a str>,
}

impl Labels<'_> {
    fn to_vec(self) -> Vec<Label> {
        [
            ("pool", self.pool),
            ("pipe", self.pipe),
            ("stage", self.stage),
            ("store", self.store),
            ("view", self.view),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| Label::new(name, value.to_owned())))
        .collect()
    }
}

/// An event's metrics, looked up once for a set of labels, so that emitting on a hot path looks nothing up.
///
/// It is made for one type of event but does not name it, because events borrow their fields anew each time.
pub(crate) struct Meter {
    counter: Counter,
    histograms: Vec<Histogram>,
}

impl Meter {
    pub(crate) fn of<E: Event>(labels: Labels<'_>) -> Self {
        let labels = labels.to_vec();
        let name = E::DESCRIPTION.name;
        let histogram =
            |measurement: &&str| metrics::histogram!(format!("{name}.{measurement}"), labels.clone());
        Self {
            counter: metrics::counter!(name, labels.clone()),
            histograms: E::DESCRIPTION.measurements.iter().map(histogram).collect(),
        }
    }

    pub(crate) fn emit<E: Event>(&self, event: &E) {
        self.counter.increment(1);
        for (histogram, value) in self.histograms.iter().zip(event.measurements()) {
            histogram.record(value);
        }
        event.trace();
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

/// The gauges, each with what it says of a pool; all have the label `pool`, and are set every 250 ms.
pub const GAUGES: &[(&str, &str)] = &[
    ("slither.pool.workers", "workers that take work"),
    (
        "slither.pool.slots",
        "calls that they run at once: the pool's capacity, as the GIL and the workers are now",
    ),
    ("slither.pool.running", "calls that workers have begun"),
    ("slither.pool.queued", "calls that no worker has begun, those sent ahead to a busy worker included"),
    ("slither.pool.saturation", "running and queued calls for each slot: above 1 something waits"),
    ("slither.pool.load", "calls for each slot of the worker that has most"),
    ("slither.pool.retries", "batches that were run again since the pool was started"),
];

/// A gauge of the list.
pub(crate) fn gauge(name: &'static str, labels: Labels<'_>) -> Gauge {
    metrics::gauge!(name, labels.to_vec())
}

/// Emits a rare event, looking its metrics up.
pub(crate) fn emit<E: Event>(labels: Labels<'_>, event: &E) {
    Meter::of::<E>(labels).emit(event);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_dotted_and_unique() {
        let names: HashSet<_> = CATALOGUE.iter().map(|event| event.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
        assert!(names.iter().all(|name| name.starts_with("slither.")));
    }
}
