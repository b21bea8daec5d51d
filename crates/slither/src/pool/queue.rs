//! The bounded queue between dispatch and the keepers, and who is idle.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::job::{Job, Route};
use super::lanes::Lanes;
use super::sessions::Sessions;
use super::station::{Station, lock};
use super::supervisor::Epoch;
use super::worker::{AHEAD_BYTES, Want};
use crate::context::SessionId;
use crate::error::{ItemError, WorkerReport};

/// Calls that wait for a worker, and workers that wait for a call.
///
/// A call goes to the worker that has been idle longest, else to the back of its line; one that is bound to a slot
/// or a worker waits in the lane of its slot. Of what a worker may run it takes the oldest. A worker that finds
/// nothing takes back the call that another worker has ahead, unless it is bound, so that nothing waits behind a
/// long call that need not.
#[derive(Debug)]
pub(super) struct Queue {
    places: Arc<Semaphore>,
    state: Mutex<State>,
    /// Locked after the state: a call that ends tells its session so, wherever it is dropped.
    pub(super) sessions: Arc<Mutex<Sessions>>,
}

#[derive(Debug)]
struct State {
    lanes: Lanes,
    idle: VecDeque<Arc<Station>>,
    stations: Vec<Arc<Station>>,
    closed: Option<Closed>,
}

/// How a call is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Back,
    /// It never began, and was taken in before.
    Front,
    /// Only if its worker has nothing else to do.
    IfFree,
}

/// Why no more work is taken.
#[derive(Debug)]
struct Closed {
    cause: ItemError,
    /// Whether what was taken in before is still done.
    finish: bool,
}

impl Queue {
    /// A queue for so many workers, with room for `capacity` calls that no worker holds yet.
    pub(super) fn new(capacity: usize, slots: usize, max_sessions: usize) -> Self {
        let (lanes, idle, stations) = (Lanes::new(slots), VecDeque::new(), Vec::new());
        Self {
            places: Arc::new(Semaphore::new(capacity)),
            state: Mutex::new(State { lanes, idle, stations, closed: None }),
            sessions: Arc::new(Mutex::new(Sessions::new(max_sessions))),
        }
    }

    /// Waits for room.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => self.places.clone().acquire_owned().await.ok(),
        }
    }

    /// Takes a place if there is one now.
    pub(super) fn place_now(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    /// Adds a call at the back of its line, or hands it to an idle worker.
    pub(super) fn push(&self, job: Job) {
        // Only one that asks for a free worker comes back.
        let _ = self.put(job, Manner::Back);
    }

    /// Adds a call for one worker, if that worker has nothing to do; else gives it back.
    pub(super) fn push_if_free(&self, job: Job) -> Result<(), Job> {
        self.put(job, Manner::IfFree)
    }

    /// Puts a call that never began back at the front.
    pub(super) fn put_back(&self, job: Job) {
        let _ = self.put(job, Manner::Front);
    }

    fn put(&self, mut job: Job, manner: Manner) -> Result<(), Job> {
        let front = manner == Manner::Front;
        loop {
            let mut state = lock(&self.state);
            match &state.closed {
                // What was taken in before the end is still done, if it was to be.
                Some(closed) if !(front && closed.finish) => {
                    let cause = closed.cause.clone();
                    drop(state);
                    job.finish(Err(cause));
                    return Ok(());
                }
                _ => {}
            }
            let Some(station) = state.idle_for(job.route) else {
                if manner == Manner::IfFree && !state.is_free(job.route) {
                    return Err(job);
                }
                if let Err(job) = state.lanes.add(job, front) {
                    let last = job.route.slot().and_then(|slot| state.lanes.last(slot));
                    drop(state);
                    job.lose(last.as_ref());
                }
                return Ok(());
            };
            drop(state);
            // One that has died since it was noted gives the call back, and the next is asked.
            match station.hand(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
    }

    /// Drops the calls that nobody waits for any more, and with them their places.
    pub(super) fn sweep(&self) {
        let abandoned = lock(&self.state).lanes.sweep();
        drop::<Vec<Job>>(abandoned);
    }

    /// The next call for a worker that wants one.
    pub(super) fn take(&self, want: Want, station: &Station) -> Option<Job> {
        let longest = match want {
            Want::Nothing => return None,
            Want::Call => usize::MAX,
            Want::Ahead => AHEAD_BYTES,
        };
        lock(&self.state).lanes.take(station.slot, longest)
    }

    /// A call for an idle worker: from the queue, or taken back from another worker. With none, the worker is
    /// noted as idle, and gets the next call as an order.
    pub(super) fn take_or_wait(&self, station: &Arc<Station>) -> Option<Job> {
        let mut state = lock(&self.state);
        let others = |other: &&Arc<Station>| other.epoch != station.epoch;
        let job = match state.lanes.take(station.slot, usize::MAX) {
            Some(job) => Some(job),
            None => state.stations.iter().filter(others).find_map(|other| other.yield_ahead()),
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
        let mut state = lock(&self.state);
        state.lanes.join(station.slot, station.epoch);
        state.stations.push(station.clone());
    }

    /// The worker takes no more work. What is bound to it waits until it is known how it ended.
    pub(super) fn leave(&self, station: &Station) {
        let mut state = lock(&self.state);
        state.idle.retain(|other| other.epoch != station.epoch);
        state.stations.retain(|other| other.epoch != station.epoch);
    }

    /// The worker is dead: what was bound to it fails, and the sessions that it kept are lost, and returned.
    pub(super) fn lose(&self, station: &Station, report: &WorkerReport) -> Vec<SessionId> {
        let mut state = lock(&self.state);
        let calls = state.lanes.lose(station.slot, report);
        let lost = lock(&self.sessions).lose(station.epoch, report);
        drop(state);
        for job in calls {
            job.lose(Some(report));
        }
        lost
    }

    /// The session lives in this worker from now on; false if the worker is dead.
    pub(super) fn settle(&self, id: &SessionId, station: &Station) -> bool {
        let state = lock(&self.state);
        let there = state.lanes.holds(station.slot, station.epoch);
        if there {
            lock(&self.sessions).opened(id, Some(station.epoch), std::time::Instant::now());
        }
        there
    }

    /// The worker of that epoch, while it takes work.
    pub(super) fn station(&self, epoch: Epoch) -> Option<Arc<Station>> {
        lock(&self.state).stations.iter().find(|station| station.epoch == epoch).cloned()
    }

    /// Whether each slot has a worker that takes work.
    pub(super) fn occupied(&self) -> Vec<bool> {
        let state = lock(&self.state);
        let mut occupied = vec![false; state.lanes.slots()];
        for station in &state.stations {
            occupied[station.slot] = true;
        }
        occupied
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
        let waiting = if flush { state.lanes.drain() } else { Vec::new() };
        drop(state);
        for job in waiting {
            job.finish(Err(cause.clone()));
        }
    }

    /// Calls that no worker holds.
    pub(super) fn depth(&self) -> usize {
        lock(&self.state).lanes.depth()
    }
}

impl State {
    /// The idle worker that a call goes to, which is not idle any more.
    fn idle_for(&mut self, route: Route) -> Option<Arc<Station>> {
        let at = |wanted: &dyn Fn(&Station) -> bool| self.idle.iter().position(|station| wanted(station));
        let place = match route {
            Route::Any => Some(0),
            Route::Near(slot) => at(&|station| station.slot == slot).or(Some(0)),
            Route::Slot(slot) => at(&|station| station.slot == slot),
            Route::Worker { epoch, .. } => at(&|station| station.epoch == epoch),
        };
        self.idle.remove(place?)
    }

    /// Whether the worker that a call is bound to has nothing to do, though it may not have said so yet; or is
    /// dead.
    fn is_free(&self, route: Route) -> bool {
        let Route::Worker { slot, epoch } = route else { return true };
        match self.stations.iter().find(|station| station.epoch == epoch) {
            Some(station) => self.lanes.is_empty(slot) && station.is_free(),
            None => true,
        }
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
        Arc::new(Station::new(name, usize::from(epoch > 1), epoch, token).unwrap())
    }

    fn job(id: u64) -> (Job, Waiting) {
        Job::new(id, vec![0; 16], Duration::from_secs(1), Arc::new(Context::none()), None)
    }

    #[test]
    fn a_call_for_a_worker_that_has_just_gone_goes_to_the_next() {
        let queue = Queue::new(4, 2, 8);
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
        assert!(station.yield_ahead().is_none(), "without a token there is nothing to take back");
        station.put_token();
        let held = lock(&station.held);
        let thief = std::thread::spawn({
            let station = station.clone();
            move || station.yield_ahead().map(|job| job.id)
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
        let queue = Queue::new(4, 2, 8);
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
        let queue = Queue::new(4, 2, 8);
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

    fn bound(id: u64, route: Route) -> (Job, Waiting) {
        let (job, waiting) = job(id);
        (job.bound(route, None), waiting)
    }

    fn ids(queue: &Queue, station: &Arc<Station>) -> Vec<u64> {
        std::iter::from_fn(|| queue.take_or_wait(station).map(|job| job.id)).collect()
    }

    fn death() -> WorkerReport {
        let death = Some(crate::error::Death::Signal(9));
        WorkerReport { worker: "p/0#1".into(), pid: 1, death, phase: None, running: None, stderr: Vec::new() }
    }

    #[test]
    fn a_worker_takes_the_oldest_of_what_it_may_run_and_nothing_that_is_bound_elsewhere() {
        let queue = Queue::new(9, 2, 8);
        let (first, second) = (station(1), station(2));
        queue.join(&first);
        queue.join(&second);
        let mut waiting = Vec::new();
        for (id, route) in [
            (1, Route::Slot(1)),
            (2, Route::Any),
            (3, Route::Worker { slot: 0, epoch: 1 }),
            (4, Route::Near(1)),
            (5, Route::Slot(0)),
        ] {
            let (job, wait) = bound(id, route);
            queue.push(job);
            waiting.push(wait);
        }
        assert_eq!(queue.depth(), 5);
        assert_eq!(ids(&queue, &first), [2, 3, 4, 5]);
        assert_eq!(ids(&queue, &second), [1]);
        let (near, _near) = bound(6, Route::Near(1));
        queue.push(near);
        let mut orders = Vec::new();
        second.take_orders(&mut orders);
        assert!(matches!(&orders[..], [Order::Job(job)] if job.id == 6), "idle, and preferred: {orders:?}");
    }

    #[test]
    fn a_call_ahead_that_is_bound_is_not_taken_by_another_worker() {
        let queue = Queue::new(4, 2, 8);
        let (busy, idle) = (station(1), station(2));
        queue.join(&busy);
        queue.join(&idle);
        let (running, _running) = job(1);
        let (ahead, _ahead) = bound(2, Route::Slot(0));
        lock(&busy.held).extend([running, ahead]);
        busy.put_token();
        assert!(queue.take_or_wait(&idle).is_none());
        assert_eq!(busy.take_back().map(|job| job.id), Some(2), "its own keeper may");
    }

    #[tokio::test]
    async fn a_death_fails_what_was_for_that_worker_and_leaves_what_is_for_its_slot() {
        let queue = Queue::new(4, 1, 8);
        let gone = station(1);
        queue.join(&gone);
        let this = Route::Worker { slot: 0, epoch: 1 };
        let (waited, lost) = bound(1, this);
        let (kept, _kept) = bound(2, Route::Slot(0));
        queue.push(waited);
        queue.push(kept);
        queue.leave(&gone);
        assert_eq!(queue.depth(), 2, "until it is known how it died");
        queue.lose(&gone, &death());
        assert_eq!(lost.await.unwrap().unwrap_err().kind(), ErrorKind::SessionLost);
        let (late, refused) = bound(3, this);
        queue.push(late);
        let error = refused.await.unwrap().unwrap_err();
        assert_eq!(
            error.message(),
            "the Python object is lost: its worker p/0#1 (pid 1) was killed by SIGKILL (signal 9)"
        );
        let token = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let name = WorkerName { name: "p/0#2".into(), pid: 2 };
        let next = Arc::new(Station::new(name, 0, 2, token).unwrap());
        queue.join(&next);
        assert_eq!(ids(&queue, &next), [2]);
    }

    #[test]
    fn who_asks_for_a_free_worker_finds_it_free_or_gets_the_call_back() {
        let queue = Queue::new(4, 1, 8);
        let only = station(1);
        queue.join(&only);
        let this = Route::Worker { slot: 0, epoch: 1 };
        let (first, _first) = bound(1, this);
        assert!(queue.push_if_free(first).is_ok(), "it has not said yet that it is idle, and is");
        let (second, _second) = bound(2, this);
        assert_eq!(queue.push_if_free(second).unwrap_err().id, 2, "one waits before it");
        let running = queue.take_or_wait(&only).unwrap();
        lock(&only.held).push_back(running);
        let (third, _third) = bound(3, this);
        assert_eq!(queue.push_if_free(third).unwrap_err().id, 3, "one runs");
    }
}
