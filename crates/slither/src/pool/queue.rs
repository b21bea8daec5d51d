//! The bounded queue between dispatch and the keepers, and who is idle.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admission::Admission;
use super::clock::now;
use super::job::{Job, Route};
use super::lanes::Lanes;
use super::sessions::Sessions;
use super::station::{Station, lock};
use super::supervisor::{BreakerState, Epoch, Notes};
use super::worker::AHEAD_BYTES;
use crate::context::SessionId;
use crate::error::{Death, ItemError, Recycled, WorkerReport};

/// Calls that wait for a worker, and workers that wait for a call.
///
/// A call goes to the worker that has been idle longest, else to the back of its line; one that is bound to a slot
/// or a worker waits in the lane of its slot. Of what a worker may run it takes the oldest. A worker that finds
/// nothing takes back a call that another worker has ahead, unless it is bound, so that nothing waits behind a
/// long call that need not; a worker that answers one call after the other keeps what it has.
#[derive(Debug)]
pub(super) struct Queue {
    /// How many calls may be in the pool at once, wherever they are.
    room: usize,
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
    /// Replaced before their time: they finish what is for them alone, and go.
    outgoing: Vec<Outgoing>,
    admission: Admission,
    closed: Option<Closed>,
}

#[derive(Debug)]
struct Outgoing {
    station: Arc<Station>,
    /// It waits for what lives in it.
    waits: bool,
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
    /// A queue for so many workers, with room for `capacity` calls, those included that workers hold.
    pub(super) fn new(capacity: usize, slots: usize, max_sessions: usize) -> Self {
        let state = State {
            lanes: Lanes::new(slots),
            idle: VecDeque::new(),
            stations: Vec::new(),
            outgoing: Vec::new(),
            admission: Admission::default(),
            closed: None,
        };
        Self {
            room: capacity,
            places: Arc::new(Semaphore::new(capacity)),
            state: Mutex::new(state),
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

    /// Adds a call if a worker that may run it has nothing to do; else gives it back.
    pub(super) fn push_if_free(&self, job: Job) -> Result<(), Job> {
        self.put(job, Manner::IfFree)
    }

    /// Puts a call that never began back at the front, if somebody still waits for it.
    pub(super) fn put_back(&self, job: Job) {
        if job.abandoned() {
            return;
        }
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
            if let Err(cause) = state.admission.admit(&mut job) {
                drop(state);
                job.finish(Err(cause));
                return Ok(());
            }
            let Some(station) = state.idle_for(&job) else {
                if manner == Manner::IfFree && !state.is_free(&job) {
                    return Err(job);
                }
                let route = job.route;
                let added = state.lanes.add(job, front);
                state.wake(route);
                if let Err(job) = added {
                    let last = job.route.slot().and_then(|slot| state.lanes.last(slot));
                    drop(state);
                    job.lose(last.as_deref());
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

    /// Drops the calls that no worker has begun and nobody waits for any more, and with them their places.
    pub(super) fn sweep(&self) {
        let abandoned = lock(&self.state).lanes.sweep();
        drop::<Vec<Job>>(abandoned);
        for station in self.stations() {
            for job in station.sweep() {
                self.put_back(job);
            }
        }
    }

    /// Calls for a busy worker to find when it has finished what it runs: at most so many, and beyond the first no more
    /// than leave each worker, this one included, half as many: what is ahead is hard to share out. One that is bound to this
    /// worker goes alone: it may not be taken from behind the others, nor they from before it.
    pub(super) fn take_ahead(&self, most: usize, station: &Station) -> Vec<Job> {
        let mut state = lock(&self.state);
        let workers = state.stations.len();
        let (mut ahead, mut bytes, mut bound) = {
            let held = lock(&station.held);
            let bytes = held.ahead().map(|job| job.frame.len()).sum::<usize>();
            (held.ahead().count(), bytes, held.ahead().any(|job| job.route.slot().is_some()))
        };
        let mut jobs = Vec::new();
        while jobs.len() < most
            && !bound
            && (ahead == 0 || 2 * state.lanes.for_any() >= (ahead + 1) * workers)
        {
            let longest = AHEAD_BYTES.saturating_sub(bytes);
            let may = |job: &Job| station.may_take(job);
            let alone = |job: &Job| job.route.slot().is_none() || ahead == 0;
            let fits = |job: &Job| job.may_be_ahead() && job.frame.len() <= longest && alone(job);
            let Some(job) = state.lanes.take(station.slot, station.epoch, may, fits) else { break };
            ahead += 1;
            bytes += job.frame.len();
            bound = job.route.slot().is_some();
            jobs.push(job);
        }
        jobs
    }

    /// A call for an idle worker: from the queue, or taken back from another worker. With none, the worker is
    /// noted as idle, and gets the next call as an order.
    pub(super) fn take_or_wait(&self, station: &Arc<Station>) -> Option<Job> {
        let mut state = lock(&self.state);
        if station.was_handed() {
            // What was handed over came before all that waits here, and its bell rings.
            return None;
        }
        let own = state.lanes.take(station.slot, station.epoch, |job| station.may_take(job), |_| true);
        if state.outgoing.iter().any(|outgoing| outgoing.station.epoch == station.epoch) {
            return own;
        }
        let job = match own {
            Some(job) => Some(job),
            None => {
                let slow = |other: &&Arc<Station>| other.epoch != station.epoch && other.is_slow();
                state.takers().filter(slow).find_map(|other| other.yield_ahead())
            }
        };
        let noted = state.idle.iter().position(|other| other.epoch == station.epoch);
        match (&job, noted) {
            (Some(_), Some(at)) => drop(state.idle.remove(at)),
            (None, None) => state.idle.push_back(station.clone()),
            _ => {}
        }
        job
    }

    /// The worker has turned out to be slow: what it has ahead goes to those that are idle. If it is stuck, all but one
    /// go to whoever comes to be free.
    pub(super) fn share(&self, station: &Station, stuck: bool) {
        while (!lock(&self.state).idle.is_empty() || (stuck && lock(&station.held).ahead().count() > 1))
            && let Some(job) = station.yield_ahead()
        {
            self.put_back(job);
        }
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
        state.outgoing.retain(|outgoing| outgoing.station.epoch != station.epoch);
    }

    /// The worker is replaced: from now on it takes only what is for it alone. If nothing is to wait for what lives in
    /// it, the sessions that it kept are lost with that, and returned.
    pub(super) fn retire(&self, station: &Arc<Station>, why: Recycled) -> Vec<SessionId> {
        let mut state = lock(&self.state);
        state.idle.retain(|other| other.epoch != station.epoch);
        let Some(at) = state.stations.iter().position(|other| other.epoch == station.epoch) else {
            return Vec::new();
        };
        state.stations.remove(at);
        state.lanes.retire(station.slot, station.epoch);
        state.outgoing.push(Outgoing { station: station.clone(), waits: !why.is_hard() });
        let ahead: Vec<Job> = std::iter::from_fn(|| station.yield_ahead()).collect();
        drop(state);
        for job in ahead {
            // Whoever is idle has looked for work already, and finds it only in the queue.
            self.put_back(job);
        }
        match why.is_hard() {
            true => self.lose(station, &station.report(Some(Death::Recycled(why)))),
            false => Vec::new(),
        }
    }

    /// Lets a replaced worker go that has nothing to do; false if something is or lives in it that is to end before.
    pub(super) fn release(&self, station: &Station) -> bool {
        let mut state = lock(&self.state);
        let Some(at) = state.outgoing.iter().position(|other| other.station.epoch == station.epoch) else {
            return true;
        };
        let free = state.lanes.is_empty(station.slot, station.epoch) && station.is_free();
        if !free || (state.outgoing[at].waits && self.is_pinned(station)) {
            return false;
        }
        state.outgoing.remove(at);
        // Nothing comes to live in it any more.
        state.lanes.forget(station.slot, station.epoch);
        true
    }

    /// Whether something lives in the worker: a session, or an object that somebody has a handle to.
    pub(super) fn is_pinned(&self, station: &Station) -> bool {
        station.is_pinned() || lock(&self.sessions).live_in(station.epoch)
    }

    /// Has the replaced workers look whether they may go.
    pub(super) fn wake_outgoing(&self) {
        for outgoing in &lock(&self.state).outgoing {
            outgoing.station.bell.ring();
        }
    }

    /// The breaker is open: what waits and what comes fails with the cause.
    pub(super) fn shut(&self, cause: ItemError) {
        let mut state = lock(&self.state);
        let waiting = state.lanes.flush();
        state.admission = Admission::Refused { cause: cause.clone(), half_open: false };
        drop(state);
        for job in waiting {
            job.finish(Err(cause.clone()));
        }
    }

    /// The breaker is half-open.
    pub(super) fn half_open(&self) {
        lock(&self.state).admission.half_open();
    }

    /// One call may come in; `notes` hears of its end.
    pub(super) fn admit_one(&self, round: u64, notes: &Arc<Notes>) {
        lock(&self.state).admission.admit_one(round, notes);
    }

    /// The breaker is closed.
    pub(super) fn admit_all(&self) {
        lock(&self.state).admission = Admission::All;
    }

    /// Where the breaker stands.
    pub(super) fn breaker(&self) -> BreakerState {
        lock(&self.state).admission.state()
    }

    /// The worker is dead: what was bound to it fails, and the sessions that it kept are lost, and returned.
    pub(super) fn lose(&self, station: &Station, report: &WorkerReport) -> Vec<SessionId> {
        // With the end of its stderr a report may be large: all that remember it share it.
        let shared = Arc::new(report.clone());
        let mut state = lock(&self.state);
        let calls = state.lanes.lose(station.slot, station.epoch, shared.clone());
        let lost = lock(&self.sessions).lose(station.epoch, &shared);
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
            lock(&self.sessions).opened(id, Some(station.epoch), now());
        }
        there
    }

    /// The worker of that epoch, while it takes any work.
    pub(super) fn station(&self, epoch: Epoch) -> Option<Arc<Station>> {
        lock(&self.state).station(epoch).cloned()
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

    /// Whether a call waits that this worker may run.
    #[cfg(test)]
    pub(super) fn waits_for(&self, station: &Station) -> bool {
        lock(&self.state).lanes.has(station.slot, station.epoch, |job| station.may_take(job))
    }

    /// Whether a call waits that nobody wants any more.
    #[cfg(test)]
    pub(super) fn holds_abandoned(&self) -> bool {
        lock(&self.state).lanes.holds_abandoned()
    }

    /// Places that nothing holds.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    /// How many calls the workers take at once, as they say.
    pub(super) fn capacity(&self) -> usize {
        lock(&self.state).stations.iter().map(|station| station.slots()).sum()
    }

    /// Has workers look which of their calls nobody waits for any more.
    pub(super) fn wake_holders(&self) {
        for station in lock(&self.state).takers().filter(|station| !lock(&station.held).is_empty()) {
            station.bell.ring();
        }
    }

    /// Calls that no worker holds.
    pub(super) fn depth(&self) -> usize {
        lock(&self.state).lanes.depth()
    }

    /// How many calls workers have begun, and how many none has: those ahead, and those on their way from hand to hand,
    /// included. Together never more than there were at one moment, as each has its place.
    pub(super) fn load(&self) -> (usize, usize) {
        let running = self.stations().iter().map(|station| lock(&station.held).begun()).sum();
        let taken = self.room - self.places.available_permits();
        (running, taken.saturating_sub(running))
    }
}

impl State {
    /// The idle worker that a call goes to, which is not idle any more.
    fn idle_for(&mut self, job: &Job) -> Option<Arc<Station>> {
        let at = |wanted: &dyn Fn(&Station) -> bool| self.idle.iter().position(|station| wanted(station));
        let place = match job.route {
            Route::Any => Some(0),
            Route::Near(slot) => at(&|station| station.slot == slot).or(Some(0)),
            Route::Slot(slot) => at(&|station| station.slot == slot),
            Route::Worker { epoch, .. } => at(&|station| station.epoch == epoch && station.may_take(job)),
        };
        self.idle.remove(place?)
    }

    /// Whether a worker that may run a call would begin it at once, though it may not have said so yet; or the one that
    /// it is bound to is dead.
    fn is_free(&self, job: &Job) -> bool {
        let free = |station: &Arc<Station>| {
            self.lanes.is_empty(station.slot, station.epoch) && station.has_room_for(job)
        };
        match job.route {
            Route::Any | Route::Near(_) => self.stations.iter().any(free),
            Route::Slot(slot) => self.stations.iter().any(|station| station.slot == slot && free(station)),
            Route::Worker { epoch, .. } => self.station(epoch).is_none_or(free),
        }
    }

    fn station(&self, epoch: Epoch) -> Option<&Arc<Station>> {
        self.takers().find(|station| station.epoch == epoch)
    }

    /// Every worker that takes any work.
    fn takers(&self) -> impl Iterator<Item = &Arc<Station>> {
        self.stations.iter().chain(self.outgoing.iter().map(|outgoing| &outgoing.station))
    }

    /// A replaced worker does not wait for calls as an idle one does: it is told of those that are for it alone.
    fn wake(&self, route: Route) {
        if let Route::Worker { epoch, .. } = route
            && let Some(outgoing) = self.outgoing.iter().find(|other| other.station.epoch == epoch)
        {
            outgoing.station.bell.ring();
        }
    }
}

#[cfg(test)]
mod tests;
