//! Which sessions a pool has and where each of them lives: a state machine without I/O.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::later;
use super::supervisor::Epoch;
use crate::context::SessionId;
use crate::error::WorkerReport;

/// Where a session's calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) slot: usize,
    /// The worker that keeps its state; none for a session that keeps none.
    pub(super) epoch: Option<Epoch>,
}

/// Why a session takes no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// Its worker died, and it was not opened anew.
    Lost(Arc<WorkerReport>),
    /// There is none of that id any more.
    Ended,
}

#[derive(Debug)]
enum State {
    /// No worker has said yet that it keeps it.
    Fresh,
    Open(Option<Epoch>),
    Lost(Arc<WorkerReport>),
}

#[derive(Debug)]
struct Session {
    state: State,
    slot: usize,
    /// It is being opened in its slot, for the first time or anew.
    opening: bool,
    ttl: Option<Duration>,
    /// Calls that wait or run, those included that nobody waits for any more.
    calls: usize,
    idle_since: Instant,
}

/// The sessions of a pool, at most `max` of them.
#[derive(Debug)]
pub(super) struct Sessions {
    max: usize,
    sessions: HashMap<SessionId, Session>,
}

impl Sessions {
    pub(super) fn new(max: usize) -> Self {
        Self { max, sessions: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Takes in a session that is to be opened; false if there are as many as there may be.
    pub(super) fn add(&mut self, id: &SessionId, ttl: Option<Duration>, now: Instant) -> bool {
        let room = self.sessions.len() < self.max;
        if room {
            let session =
                Session { state: State::Fresh, slot: 0, opening: false, ttl, calls: 0, idle_since: now };
            self.sessions.insert(id.clone(), session);
        }
        room
    }

    /// Chooses the slot for a session that is not open: one with the fewest sessions, rather one with a worker. A
    /// session stays where it is opened, so it waits for a worker that is only being started sooner than it shares
    /// one with another session for good. None if the session has ended.
    pub(super) fn place(&mut self, id: &SessionId, has_worker: &[bool]) -> Option<usize> {
        let mut load = vec![0usize; has_worker.len()];
        for (other, session) in &self.sessions {
            if other != id && (session.opening || matches!(session.state, State::Open(_))) {
                load[session.slot] += 1;
            }
        }
        let session = self.sessions.get_mut(id)?;
        let slots = 0..has_worker.len();
        session.opening = true;
        session.slot = slots.min_by_key(|&slot| (load[slot], !has_worker[slot])).unwrap_or(0);
        Some(session.slot)
    }

    /// The session lives from now on: in this worker, or in none for one that keeps no state. False if it has ended.
    pub(super) fn opened(&mut self, id: &SessionId, epoch: Option<Epoch>, now: Instant) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        session.state = State::Open(epoch);
        session.opening = false;
        session.idle_since = now;
        true
    }

    /// A call of the session sets out.
    pub(super) fn call(&mut self, id: &SessionId) -> Result<Home, Closed> {
        let session = self.sessions.get_mut(id).ok_or(Closed::Ended)?;
        match &session.state {
            State::Open(epoch) => {
                session.calls += 1;
                Ok(Home { slot: session.slot, epoch: *epoch })
            }
            State::Lost(report) => Err(Closed::Lost(report.clone())),
            State::Fresh => Err(Closed::Ended),
        }
    }

    /// A call of the session is over, or was withdrawn.
    pub(super) fn done(&mut self, id: &SessionId, now: Instant) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.calls = session.calls.saturating_sub(1);
            session.idle_since = now;
        }
    }

    /// The worker died: the sessions that lived in it are lost, and returned.
    pub(super) fn lose(&mut self, epoch: Epoch, report: &Arc<WorkerReport>) -> Vec<SessionId> {
        let lives = |session: &Session| matches!(session.state, State::Open(Some(at)) if at == epoch);
        let mut lost = Vec::new();
        for (id, session) in self.sessions.iter_mut().filter(|(_, session)| lives(session)) {
            session.state = State::Lost(report.clone());
            lost.push(id.clone());
        }
        lost
    }

    /// Whether any session lives in the worker.
    pub(super) fn live_in(&self, epoch: Epoch) -> bool {
        self.sessions.values().any(|session| matches!(session.state, State::Open(Some(at)) if at == epoch))
    }

    /// How the session's worker died, if it is lost.
    pub(super) fn loss(&self, id: &SessionId) -> Option<&WorkerReport> {
        match &self.sessions.get(id)?.state {
            State::Lost(report) => Some(report),
            _ => None,
        }
    }

    /// Where it lives, or is being opened.
    pub(super) fn home(&self, id: &SessionId) -> Option<Home> {
        let session = self.sessions.get(id)?;
        match session.state {
            State::Open(epoch) => Some(Home { slot: session.slot, epoch }),
            _ if session.opening => Some(Home { slot: session.slot, epoch: None }),
            State::Fresh | State::Lost(_) => None,
        }
    }

    /// Ends the session; true for the first who says so.
    pub(super) fn end(&mut self, id: &SessionId) -> bool {
        self.sessions.remove(id).is_some()
    }

    /// When to look next whether the session has been idle for too long; none if it never can be, or has ended.
    pub(super) fn due(&self, id: &SessionId, now: Instant) -> Option<Instant> {
        let session = self.sessions.get(id)?;
        let idle_since = if session.calls == 0 { session.idle_since } else { now };
        Some(later(idle_since, session.ttl?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Death;

    const SECOND: Duration = Duration::from_secs(1);

    fn report() -> Arc<WorkerReport> {
        Arc::new(WorkerReport { death: Some(Death::Signal(9)), ..WorkerReport::new("p/0#1", 7) })
    }

    fn open(sessions: &mut Sessions, workers: &[Option<Epoch>], now: Instant) -> (SessionId, usize) {
        let id = SessionId::fresh();
        assert!(sessions.add(&id, Some(SECOND), now));
        let live: Vec<bool> = workers.iter().map(Option::is_some).collect();
        let slot = sessions.place(&id, &live).unwrap();
        assert!(sessions.opened(&id, workers[slot], now));
        (id, slot)
    }

    #[test]
    fn sessions_spread_over_the_workers_and_fill_the_gap_that_one_leaves() {
        let now = Instant::now();
        let mut sessions = Sessions::new(10);
        let workers = [Some(1), None, Some(2)];
        let opened: Vec<_> = (0..5).map(|_| open(&mut sessions, &workers, now)).collect();
        let slots: Vec<_> = opened.iter().map(|(_, slot)| *slot).collect();
        assert_eq!(
            slots,
            [0, 2, 1, 0, 2],
            "those with a worker first, and none is shared sooner than need be"
        );
        assert!(sessions.end(&opened[1].0) && sessions.end(&opened[4].0));
        assert_eq!(open(&mut sessions, &workers, now).1, 2);
        let id = SessionId::fresh();
        sessions.add(&id, None, now);
        assert_eq!(
            sessions.place(&id, &[false, false, false]),
            Some(1),
            "without any worker the emptiest slot"
        );
    }

    #[test]
    fn there_are_no_more_than_the_maximum() {
        let now = Instant::now();
        let mut sessions = Sessions::new(2);
        let (first, _) = open(&mut sessions, &[Some(1)], now);
        open(&mut sessions, &[Some(1)], now);
        assert!(!sessions.add(&SessionId::fresh(), None, now));
        assert!(sessions.end(&first) && !sessions.end(&first), "it ends once");
        assert!(sessions.add(&SessionId::fresh(), None, now));
    }

    #[test]
    fn a_death_loses_the_sessions_of_that_worker_until_they_are_opened_anew() {
        let now = Instant::now();
        let mut sessions = Sessions::new(10);
        let (lost, _) = open(&mut sessions, &[Some(1), Some(2)], now);
        let (other, _) = open(&mut sessions, &[Some(1), Some(2)], now);
        assert_eq!(sessions.lose(1, &report()), std::slice::from_ref(&lost));
        assert_eq!(sessions.lose(1, &report()), [], "once");
        assert_eq!(sessions.call(&lost), Err(Closed::Lost(report())));
        assert_eq!(sessions.call(&other), Ok(Home { slot: 1, epoch: Some(2) }));
        assert_eq!(sessions.place(&lost, &[true, true]), Some(0), "a lost one weighs on no worker");
        assert_eq!(sessions.loss(&lost), Some(&*report()), "not before its worker has it");
        assert!(sessions.opened(&lost, Some(3), now));
        assert_eq!(sessions.call(&lost), Ok(Home { slot: 0, epoch: Some(3) }));
        sessions.end(&lost);
        assert_eq!(sessions.call(&lost), Err(Closed::Ended));
    }

    #[test]
    fn idle_time_runs_from_the_end_of_the_last_call() {
        let begun = Instant::now();
        let mut sessions = Sessions::new(1);
        let (id, _) = open(&mut sessions, &[Some(1)], begun);
        assert_eq!(sessions.due(&id, begun), Some(begun + SECOND));
        sessions.call(&id).unwrap();
        sessions.call(&id).unwrap();
        sessions.done(&id, begun + SECOND);
        let now = begun + 10 * SECOND;
        assert_eq!(sessions.due(&id, now), Some(now + SECOND), "one call still runs");
        sessions.done(&id, now);
        assert_eq!(sessions.due(&id, now + SECOND), Some(now + SECOND));
        sessions.end(&id);
        assert_eq!(sessions.due(&id, now), None);
    }
}
