//! How busy a pool is, as gauges: looked up once, and set each time that its workers are sampled.

use metrics::Gauge;

use super::queue::Queue;
use super::service::Service;
use super::station::lock;
use crate::telemetry::{Labels, gauge};

/// The gauges of one pool, of the list in [`GAUGES`](crate::telemetry::GAUGES).
#[derive(Debug)]
pub(super) struct Gauges {
    workers: Gauge,
    slots: Gauge,
    running: Gauge,
    queued: Gauge,
    saturation: Gauge,
    load: Gauge,
    retries: Gauge,
}

impl Gauges {
    pub(super) fn of(pool: &str) -> Self {
        let labels = Labels { pool: Some(pool), ..Labels::default() };
        let gauge = |name| gauge(name, labels);
        Self {
            workers: gauge("slither.pool.workers"),
            slots: gauge("slither.pool.slots"),
            running: gauge("slither.pool.running"),
            queued: gauge("slither.pool.queued"),
            saturation: gauge("slither.pool.saturation"),
            load: gauge("slither.pool.load"),
            retries: gauge("slither.pool.retries"),
        }
    }

    pub(super) fn set(&self, queue: &Queue, service: &Service) {
        let workers: Vec<(usize, usize)> =
            queue.stations().iter().map(|at| (lock(&at.held).begun(), at.slots())).collect();
        let slots = workers.iter().map(|(_, slots)| slots).sum();
        let (running, queued) = queue.load();
        let share = |of: usize, slots: usize| if slots == 0 { 0.0 } else { of as f64 / slots as f64 };
        let load = workers.iter().map(|(running, slots)| share(*running, *slots)).fold(0.0, f64::max);
        self.workers.set(workers.len() as f64);
        self.slots.set(slots as f64);
        self.running.set(running as f64);
        self.queued.set(queued as f64);
        self.saturation.set(share(running + queued, slots));
        self.load.set(load);
        self.retries.set(service.retries() as f64);
    }
}
