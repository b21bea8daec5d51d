//! A pool as it stands, for operators and tests.

use std::time::Duration;

use serde::Serialize;

use super::chaos::{ChaosStats, Striker};
use super::progress::Progress;
use super::running::RunningPool;
use super::station::{Station, lock};
use super::supervisor::BreakerState;
use crate::python::Gil;

/// A pool as it stands, for operators and tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// Workers that take work, as name and process id.
    pub workers: Vec<(String, u32)>,
    /// What each of these workers takes.
    pub usage: Vec<WorkerUsage>,
    /// Calls that no worker has begun.
    pub queued: usize,
    /// Calls that workers have begun.
    pub running: usize,
    /// How many calls the workers run at once: one each in a pool of processes, and otherwise as many as they have said.
    pub slots: usize,
    /// Opened sessions, those included whose worker has died.
    pub sessions: usize,
    /// Workers that have died since the pool was started, for whatever reason; recycled ones that are gone, too.
    pub deaths: usize,
    /// Workers that were replaced because they had reached a limit.
    pub recycled: usize,
    /// Whether the pool takes calls.
    pub breaker: BreakerState,
    /// Answers that belonged to no call: late, or given twice.
    pub strays: u64,
    /// Batches that were run again, whole or in part, as `retry` and `isolate` do.
    pub retries: u64,
    /// How far the running calls are whose functions have said so.
    pub progress: Vec<Progress>,
    /// What [`Pool::chaos`](crate::Pool::chaos) has injected; none without it.
    pub chaos: Option<ChaosStats>,
}

impl PoolStats {
    /// What is asked of the pool in terms of what it can run at once: 1 when each slot has a call and nothing waits, 2 when
    /// as much waits as runs; 0 while it has no worker.
    pub fn saturation(&self) -> f64 {
        if self.slots == 0 { 0.0 } else { (self.running + self.queued) as f64 / self.slots as f64 }
    }
}

/// What a worker takes of its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkerUsage {
    /// Its name: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub age: Duration,
    /// Its resident set in bytes, as last sampled (every 250 ms); none if that could not be read.
    pub rss: Option<u64>,
    /// How long ago that was.
    pub sampled: Option<Duration>,
    /// By how many bytes that is more than when it became ready.
    pub growth: u64,
    /// Calls that it has completed, a batch being one.
    pub requests: u64,
    /// How many calls it runs at once.
    pub slots: usize,
    /// Calls that it has begun.
    pub running: usize,
    /// Its interpreter's lock; none before it has said so.
    pub gil: Option<Gil>,
}

impl RunningPool {
    /// The pool as it stands.
    pub(crate) fn stats(&self) -> PoolStats {
        let stations = self.queue.stations();
        let (deaths, recycled) = lock(&self.graveyard).counts();
        let (running, queued) = self.queue.load();
        // One lock after the other: what a struct's fields borrow lives until the whole of it is made.
        let sessions = lock(&self.queue.sessions).len();
        PoolStats {
            workers: stations.iter().map(|at| (at.worker.name.clone(), at.worker.pid)).collect(),
            usage: stations.iter().map(|at| at.usage()).collect(),
            queued,
            running,
            sessions,
            deaths,
            recycled,
            breaker: self.queue.breaker(),
            strays: self.service.strays(),
            retries: self.service.retries(),
            slots: stations.iter().map(|at| at.slots()).sum(),
            progress: stations.iter().flat_map(|at| progress(at)).collect(),
            chaos: self.chaos.as_ref().map(Striker::stats),
        }
    }
}

/// How far the calls of a worker are that have said so.
fn progress(station: &Station) -> Vec<Progress> {
    lock(&station.held).iter().filter_map(|job| job.progress().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};

    use rustix::event::{EventfdFlags, eventfd};
    use tokio::sync::watch;

    use super::*;
    use crate::pool::graveyard::Graveyard;
    use crate::pool::job::WorkerName;
    use crate::pool::queue::Queue;
    use crate::pool::service::Service;
    use crate::pool::supervisor::{Life, Notes};
    use crate::store::Views;

    #[tokio::test]
    async fn asking_while_workers_are_lost_never_waits_for_ever() {
        let queue = Arc::new(Queue::new(4, 1, 8));
        let service = Service::new("p".into(), Views::default(), tokio::runtime::Handle::current());
        let pool = RunningPool::around(
            1,
            queue.clone(),
            Arc::new(Notes::new().unwrap()),
            Arc::new(service),
            Arc::default(),
            Arc::new(Mutex::new(Graveyard::default())),
            watch::channel(Life::Starting).1,
        );
        let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
        let name = WorkerName { name: "p/0#1".into(), pid: 1 };
        let station = Arc::new(Station::new(name, 0, 1, token).unwrap());
        let (done, ended) = mpsc::sync_channel(2);
        let loses = move || (0..20_000).for_each(|_| drop(queue.lose(&station, &station.report(None))));
        let asks = {
            let pool = pool.clone();
            move || (0..20_000).for_each(|_| drop(pool.stats()))
        };
        let tasks: [Box<dyn FnOnce() + Send>; 2] = [Box::new(loses), Box::new(asks)];
        for task in tasks {
            let done = done.clone();
            std::thread::spawn(move || {
                task();
                done.send(()).unwrap();
            });
        }
        for _ in 0..2 {
            ended.recv_timeout(Duration::from_secs(60)).expect("two threads wait for each other");
        }
    }
}
