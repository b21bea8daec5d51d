//! The bounded queue between dispatch and the keepers, and who is idle.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::job::Job;
use super::station::{Station, lock};
use super::worker::{AHEAD_BYTES, Want};
use crate::error::ItemError;

/// Calls that wait for a worker, and workers that wait for a call; never both.
///
/// A call goes to the worker that has been idle longest, else to the back of the queue. A worker that finds the
/// queue empty takes back the call that another worker has ahead, so that nothing waits behind a long call.
#[derive(Debug)]
pub(super) struct Queue {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: VecDeque<Arc<Station>>,
    stations: Vec<Arc<Station>>,
    closed: Option<Closed>,
}

/// Why no more work is taken.
#[derive(Debug)]
struct Closed {
    cause: ItemError,
    /// Whether what was taken in before is still done.
    finish: bool,
}

impl Queue {
    /// A queue with room for `capacity` calls that no worker holds yet.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(capacity)), state: Mutex::default() }
    }

    /// Waits for room.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => self.places.clone().acquire_owned().await.ok(),
        }
    }

    /// Adds a call at the back, or hands it to an idle worker.
    pub(super) fn push(&self, job: Job) {
        self.put(job, false);
    }

    /// Puts a call that never began back at the front.
    pub(super) fn put_back(&self, job: Job) {
        self.put(job, true);
    }

    fn put(&self, mut job: Job, front: bool) {
        loop {
            let mut state = lock(&self.state);
            match &state.closed {
                // What was taken in before the end is still done, if it was to be.
                Some(closed) if !(front && closed.finish) => {
                    let cause = closed.cause.clone();
                    drop(state);
                    return job.finish(Err(cause));
                }
                _ => {}
            }
            let Some(station) = state.idle.pop_front() else {
                return match front {
                    true => state.jobs.push_front(job),
                    false => state.jobs.push_back(job),
                };
            };
            drop(state);
            // One that has died since it was noted gives the call back, and the next is asked.
            match station.hand(job) {
                Ok(()) => return,
                Err(back) => job = back,
            }
        }
    }

    /// Drops the calls that nobody waits for any more, and with them their places.
    pub(super) fn sweep(&self) {
        let mut state = lock(&self.state);
        let (kept, abandoned) = std::mem::take(&mut state.jobs).into_iter().partition(|job| !job.abandoned());
        state.jobs = kept;
        drop(state);
        drop::<VecDeque<Job>>(abandoned);
    }

    /// The next call for a worker that wants one.
    pub(super) fn take(&self, want: Want) -> Option<Job> {
        if want == Want::Nothing {
            return None;
        }
        let mut state = lock(&self.state);
        while state.jobs.front().is_some_and(Job::abandoned) {
            state.jobs.pop_front();
        }
        match (want, state.jobs.front()) {
            (Want::Ahead, Some(job)) if job.frame.len() > AHEAD_BYTES => None,
            _ => state.jobs.pop_front(),
        }
    }

    /// A call for an idle worker: from the queue, or taken back from another worker. With none, the worker is
    /// noted as idle, and gets the next call as an order.
    pub(super) fn take_or_wait(&self, station: &Arc<Station>) -> Option<Job> {
        let mut state = lock(&self.state);
        while state.jobs.front().is_some_and(Job::abandoned) {
            state.jobs.pop_front();
        }
        let others = |other: &&Arc<Station>| other.epoch != station.epoch;
        let job = match state.jobs.pop_front() {
            Some(job) => Some(job),
            None => state.stations.iter().filter(others).find_map(|other| other.take_back()),
        };
        let noted = state.idle.iter().position(|other| other.epoch == station.epoch);
        match (&job, noted) {
            (Some(_), Some(at)) => drop(state.idle.remove(at)),
            (None, None) => state.idle.push_back(station.clone()),
            _ => {}
        }
        job
    }

    /// The worker takes work from now on.
    pub(super) fn join(&self, station: &Arc<Station>) {
        lock(&self.state).stations.push(station.clone());
    }

    /// The worker takes no more work.
    pub(super) fn leave(&self, station: &Station) {
        let mut state = lock(&self.state);
        state.idle.retain(|other| other.epoch != station.epoch);
        state.stations.retain(|other| other.epoch != station.epoch);
    }

    /// The workers that take work now.
    pub(super) fn stations(&self) -> Vec<Arc<Station>> {
        lock(&self.state).stations.clone()
    }

    /// How many workers take work now.
    pub(super) fn live(&self) -> usize {
        lock(&self.state).stations.len()
    }

    /// Why no more work is taken, if so.
    pub(super) fn closed(&self) -> Option<ItemError> {
        lock(&self.state).closed.as_ref().map(|closed| closed.cause.clone())
    }

    /// Takes no more work from outside. What waits is given back with `cause` if `flush`, else it is still done.
    pub(super) fn close(&self, cause: &ItemError, flush: bool) {
        let mut state = lock(&self.state);
        let closed = state.closed.get_or_insert_with(|| Closed { cause: cause.clone(), finish: true });
        closed.finish &= !flush;
        self.places.close();
        let waiting = if flush { std::mem::take(&mut state.jobs) } else { VecDeque::new() };
        drop(state);
        for job in waiting {
            job.finish(Err(cause.clone()));
        }
    }

    /// Calls that no worker holds.
    pub(super) fn depth(&self) -> usize {
        lock(&self.state).jobs.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;
    use crate::context::Context;
    use crate::error::ErrorKind;
    use crate::pool::job::{Waiting, WorkerName};
    use crate::pool::station::Order;

    fn station(epoch: u64) -> Arc<Station> {
        let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
        let name = WorkerName { name: format!("p/0#{epoch}"), pid: 1 };
        Arc::new(Station::new(name, epoch, token).unwrap())
    }

    fn job(id: u64) -> (Job, Waiting) {
        Job::new(id, vec![0; 16], Duration::from_secs(1), Arc::new(Context::none()), None)
    }

    #[test]
    fn a_call_for_a_worker_that_has_just_gone_goes_to_the_next() {
        let queue = Queue::new(4);
        let (gone, idle) = (station(1), station(2));
        for station in [&gone, &idle] {
            queue.join(station);
            assert!(queue.take_or_wait(station).is_none());
        }
        gone.close();
        let (first, _waiting) = job(1);
        queue.push(first);
        let mut orders = Vec::new();
        idle.take_orders(&mut orders);
        assert!(matches!(&orders[..], [Order::Job(job)] if job.id == 1), "{orders:?}");
        let (second, _waiting) = job(2);
        queue.push(second);
        assert_eq!(queue.depth(), 1, "nobody is idle any more");
    }

    #[test]
    fn whoever_takes_a_call_back_has_told_its_keeper_before_anyone_can_see() {
        let station = station(1);
        let (front, _first) = job(1);
        let (ahead, _second) = job(2);
        lock(&station.held).extend([front, ahead]);
        assert!(station.take_back().is_none(), "without a token there is nothing to take back");
        station.put_token();
        let held = lock(&station.held);
        let thief = std::thread::spawn({
            let station = station.clone();
            move || station.take_back().map(|job| job.id)
        });
        assert_eq!(held.len(), 2);
        drop(held);
        while lock(&station.held).len() == 2 {
            std::hint::spin_loop();
        }
        let mut orders = Vec::new();
        station.take_orders(&mut orders);
        assert!(matches!(orders[..], [Order::TakenBack(2)]), "{orders:?}");
        assert_eq!(thief.join().unwrap(), Some(2));
    }

    #[test]
    fn what_nobody_waits_for_leaves_the_queue_at_once() {
        let queue = Queue::new(4);
        let (first, waiting) = job(1);
        let (second, _kept) = job(2);
        queue.push(first);
        queue.push(second);
        drop(waiting);
        queue.sweep();
        assert_eq!(queue.depth(), 1);
    }

    #[tokio::test]
    async fn what_was_taken_in_before_a_drain_is_still_done_and_after_it_refused() {
        let queue = Queue::new(4);
        let cause = ItemError::new(ErrorKind::Pool, "it is shut down");
        queue.close(&cause, false);
        let (begun, kept) = job(1);
        queue.put_back(begun);
        let (late, refused) = job(2);
        queue.push(late);
        assert_eq!(queue.depth(), 1);
        assert_eq!(refused.await.unwrap().unwrap_err(), cause);
        queue.close(&cause, true);
        assert_eq!(kept.await.unwrap().unwrap_err(), cause);
    }
}
