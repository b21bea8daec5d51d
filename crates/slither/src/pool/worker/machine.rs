//! What a worker may be given and what becomes of its calls: a state machine without I/O.
//!
//! The keeper feeds it what happened and when, and carries out the actions it returns. Calls are known by
//! their ids alone, so that a simulation can drive it with nothing behind them.
//!
//! A worker has *slots*: it may begin so many of its calls, each of which has a deadline of its own. More may be *ahead*:
//! one is the worker's only when the worker claims it, and may be taken back until then. It is one, or several while calls
//! are so short that what it costs to send each alone would count.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::pool::clock::later;

/// Identifies a call to a worker; unique in the life of a pool.
pub(crate) type CallId = u64;

/// A call is sent ahead only while calls take less than this.
const SHORT: Duration = Duration::from_millis(2);
/// The frames ahead are at most this long together, so that they fit the socket's buffer.
pub(crate) const AHEAD_BYTES: usize = 32 * 1024;
/// So many calls may be ahead at most, and only as many as take less than this together.
const MOST_AHEAD: usize = 31;
const BUNDLE: Duration = Duration::from_micros(200);
/// From the deadline, when Python's stack is asked for, to the polite signal.
const DUMP_GRACE: Duration = Duration::from_millis(50);
/// And at most, if the stack is not all there yet, which is looked for so often: it is when it has stopped growing.
const LATE_DUMP_GRACE: Duration = Duration::from_millis(150);
const LOOK: Duration = Duration::from_millis(10);
/// From the polite signal to the one that cannot be ignored.
const TERM_GRACE: Duration = Duration::from_millis(75);
/// From being told to end, at its deadline, a coroutine that holds up its event loop has so long to reach an `await`.
const STUCK_GRACE: Duration = Duration::from_millis(50);
/// And one that awaits something has so long to end: it may have to close what it has opened.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// What has happened to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It said hello and takes work.
    Ready,
    /// It takes so many calls at once from now on.
    Capacity(usize),
    /// A call was found for it.
    Given { id: CallId, timeout: Duration },
    /// It answered a call.
    Answered(CallId),
    /// It forgot a call that was taken back.
    Skipped(CallId),
    /// A call that was ahead now belongs to another worker.
    TakenBack(CallId),
    /// It broke the protocol.
    Broke,
    /// So many bytes are there of the stack that it was asked for.
    Dumped(usize),
    /// A timer fired; with what the black box says is running.
    Tick(Vec<Running>),
    /// It should finish what it has and stop, by the deadline.
    Stop { deadline: Instant },
    /// It should die now; the verdict is for the calls that die with it.
    Kill(Verdict),
    /// Its process is gone, and everything it had sent was read. It had begun these of its calls, and one of them is
    /// known to have brought it down.
    Gone { begun: Vec<CallId>, culprit: Option<CallId> },
}

/// A call that the black box says is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) id: CallId,
    /// For how long.
    pub(crate) ran: Duration,
    pub(crate) how: How,
}

/// How a call runs, for whoever would end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// In a thread, the main one or another: only the process can be ended.
    Thread,
    /// As a task of an event loop, which it holds up while it computes.
    Task,
    /// As a task that awaits something.
    Awaiting,
}

/// What the keeper has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write the call's frame; with `ahead`, marked as to be claimed.
    Send { id: CallId, ahead: bool },
    /// Hand the answer to whoever waits.
    Complete(CallId),
    /// Hand over the answer of a call that was told to end, at its deadline of so long.
    Ended(CallId, Duration),
    /// Tell the worker that the call is to end.
    Cancel(CallId),
    /// The answer belongs to no call: count it and forget it.
    Stray(CallId),
    /// Ask for Python's stack, of the call above all.
    Dump(CallId),
    /// Send the polite signal.
    Terminate,
    /// Send the signal that cannot be ignored.
    Kill,
    /// Tell the worker to finish and exit.
    SayStop,
    /// Put the call back at the front of the queue: it never began.
    Requeue(CallId),
    /// The call dies with the worker, and this is why.
    Blame(CallId, Verdict),
    /// The call dies with the worker because of another one.
    Collateral { id: CallId, culprit: CallId, verdict: Verdict },
}

/// Why a call died with its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The process died while it ran the call.
    Crash,
    /// The call ran past its deadline of so long.
    Timeout(Duration),
    /// The worker broke the protocol.
    Protocol,
    /// The pool was shut down before the call had finished.
    Shutdown,
}

/// What a worker would take now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing.
    Nothing,
    /// A call to run at once.
    Call,
    /// So many short calls at most to find in its socket when it has finished the running one.
    Ahead(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    Stopping { deadline: Instant },
    Overdue { id: CallId, limit: Duration, step: Step, due: Instant },
    Killed { verdict: Verdict, culprit: Option<CallId> },
    Gone,
}

/// How far the end of a worker is whose call ran too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It was asked for its stack, of which it had written so much at the last look, and may take until then at most.
    Asked { written: usize, latest: Instant },
    /// It wrote it, or was too late.
    Dumped,
    /// It was sent the polite signal.
    Termed,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    id: CallId,
    timeout: Duration,
    /// The earliest moment it can have begun; none while it is ahead in a worker that begins calls in their order.
    front: Option<Instant>,
    /// It has to be claimed, and nothing was answered since it was sent.
    ahead: bool,
    /// It was told to end, because it was past its deadline.
    cancelled: Option<Cancelled>,
}

#[derive(Debug, Clone, Copy)]
struct Cancelled {
    at: Instant,
    /// When to see what came of it.
    look: Instant,
}

impl Call {
    /// When it has to be looked at.
    fn due(&self) -> Option<Instant> {
        match self.cancelled {
            Some(cancelled) => Some(cancelled.look),
            None => Some(later(self.front?, self.timeout)),
        }
    }
}

/// One worker, from its start to its death.
#[derive(Debug)]
pub(crate) struct Worker {
    state: State,
    /// How many calls it may begin.
    slots: usize,
    /// It begins calls in the order in which they are sent; else what waits in it for a session or a thread may be passed
    /// by what was sent later.
    in_order: bool,
    /// In the order in which they were sent; the last may be ahead.
    calls: VecDeque<Call>,
    /// Calls taken back and not yet known to be forgotten.
    withdrawn: Vec<CallId>,
    /// A moving mean of how long calls take; unknown before the first.
    service: Option<Duration>,
    stop_said: bool,
}

impl Worker {
    pub(crate) fn new(in_order: bool) -> Self {
        Self {
            state: State::Starting,
            slots: 1,
            in_order,
            calls: VecDeque::with_capacity(2),
            withdrawn: Vec::new(),
            service: None,
            stop_said: false,
        }
    }

    /// What it would take now. Work is taken also while stopping is not yet asked for; never after.
    pub(crate) fn wants(&self) -> Want {
        if self.state != State::Serving {
            return Want::Nothing;
        }
        if self.calls.len() < self.slots {
            return Want::Call;
        }
        let most = self.most_ahead();
        match most.saturating_sub(self.calls.len() - self.slots) {
            // A few at a time would cost about as much each as one alone.
            room if room == 0 || 2 * room < most => Want::Nothing,
            room => Want::Ahead(room),
        }
    }

    /// How many calls may be ahead.
    fn most_ahead(&self) -> usize {
        match self.service {
            Some(mean) if mean < SHORT && self.withdrawn.is_empty() => match self.in_order {
                true => (BUNDLE.as_nanos() / mean.as_nanos().max(1)).clamp(1, MOST_AHEAD as u128) as usize,
                false => 1,
            },
            _ => 0,
        }
    }

    /// Whether it has nothing to do.
    pub(crate) fn idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether its end was asked for, or is owed to a call that ran too long.
    pub(crate) fn excused(&self) -> bool {
        match self.state {
            State::Stopping { .. } | State::Overdue { .. } => true,
            State::Killed { verdict, .. } => matches!(verdict, Verdict::Shutdown | Verdict::Timeout(_)),
            _ => false,
        }
    }

    /// Whether it was asked for its stack, and has not been found to write it.
    pub(crate) fn dumping(&self) -> Option<CallId> {
        match self.state {
            State::Overdue { id, step: Step::Asked { .. }, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether it dies because it broke the protocol.
    pub(crate) fn broken(&self) -> bool {
        matches!(self.state, State::Killed { verdict: Verdict::Protocol, .. })
    }

    /// Whether it is not ready yet.
    pub(crate) fn starting(&self) -> bool {
        self.state == State::Starting
    }

    /// Whether it takes work, now or later.
    pub(crate) fn serving(&self) -> bool {
        matches!(self.state, State::Starting | State::Serving)
    }

    /// Whether this is a call that it runs, as far as is known here.
    pub(crate) fn runs(&self, id: CallId) -> bool {
        self.calls.iter().any(|call| call.id == id && call.front.is_some())
    }

    /// How many calls it holds.
    pub(crate) fn load(&self) -> usize {
        self.calls.len()
    }

    /// When the next [`Event::Tick`] is due.
    pub(crate) fn timer(&self) -> Option<Instant> {
        match self.state {
            State::Overdue { due, .. } => Some(due),
            State::Stopping { deadline } => Some(match self.deadline() {
                Some(call) => call.min(deadline),
                None => deadline,
            }),
            State::Serving => self.deadline(),
            State::Starting | State::Killed { .. } | State::Gone => None,
        }
    }

    /// When the first of its calls has to be looked at.
    fn deadline(&self) -> Option<Instant> {
        self.calls.iter().filter_map(Call::due).min()
    }

    /// Takes in what happened at `now`; appends what has to be done.
    pub(crate) fn on(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Ready if self.state == State::Starting => self.state = State::Serving,
            Event::Ready => {}
            Event::Capacity(slots) => self.slots = slots.max(1),
            Event::Given { id, timeout } => {
                let ahead = self.calls.len() >= self.slots;
                let front = (!ahead || !self.in_order).then_some(now);
                self.calls.push_back(Call { id, timeout, front, ahead, cancelled: None });
                actions.push(Action::Send { id, ahead });
            }
            Event::Answered(id) => self.answered(id, now, actions),
            Event::Skipped(id) => match self.withdrawn.iter().position(|other| *other == id) {
                Some(at) => {
                    self.withdrawn.swap_remove(at);
                }
                // It may not refuse what is its own, and nothing else would ever end that call.
                None if self.calls.iter().any(|call| call.id == id) => {
                    self.kill(Verdict::Protocol, None, actions);
                }
                None => actions.push(Action::Stray(id)),
            },
            Event::TakenBack(id) => {
                self.calls.retain(|call| call.id != id);
                self.withdrawn.push(id);
            }
            Event::Broke => self.kill(Verdict::Protocol, None, actions),
            Event::Kill(verdict) => self.kill(verdict, None, actions),
            Event::Stop { deadline } => {
                if matches!(self.state, State::Starting | State::Serving | State::Stopping { .. }) {
                    self.state = State::Stopping { deadline };
                    self.say_stop(actions);
                }
            }
            Event::Dumped(bytes) => {
                if let State::Overdue { step, .. } = &mut self.state
                    && let Step::Asked { written, .. } = step
                {
                    match *written {
                        before if before > 0 && before == bytes => *step = Step::Dumped,
                        _ => *written = bytes,
                    }
                }
            }
            Event::Tick(running) => self.tick(&running, now, actions),
            Event::Gone { begun, culprit } => self.gone(&begun, culprit, actions),
        }
    }

    fn answered(&mut self, id: CallId, now: Instant, actions: &mut Vec<Action>) {
        let at = self.calls.iter().position(|call| call.id == id && call.front.is_some());
        let Some(call) = at.and_then(|at| self.calls.remove(at)) else {
            return actions.push(Action::Stray(id));
        };
        if let Some(front) = call.front {
            let took = now.saturating_duration_since(front);
            self.service = Some(self.service.map_or(took, |mean| (mean * 7 + took) / 8));
        }
        if let Some(next) = self.calls.iter_mut().find(|call| call.ahead) {
            next.front.get_or_insert(now);
            next.ahead = false;
        }
        actions.push(match call.cancelled {
            Some(_) => Action::Ended(id, call.timeout),
            None => Action::Complete(id),
        });
        self.say_stop(actions);
    }

    fn say_stop(&mut self, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Stopping { .. }) && self.calls.is_empty() && !self.stop_said {
            self.stop_said = true;
            actions.push(Action::SayStop);
        }
    }

    fn kill(&mut self, verdict: Verdict, culprit: Option<CallId>, actions: &mut Vec<Action>) {
        if !matches!(self.state, State::Killed { .. } | State::Gone) {
            self.state = State::Killed { verdict, culprit };
            actions.push(Action::Kill);
        }
    }

    fn tick(&mut self, running: &[Running], now: Instant, actions: &mut Vec<Action>) {
        match self.state {
            State::Overdue { id, limit, step, due } if now >= due => match step {
                Step::Asked { latest, .. } if now < latest => {
                    self.state = State::Overdue { id, limit, step, due: now + LOOK };
                }
                Step::Asked { .. } | Step::Dumped => {
                    self.state = State::Overdue { id, limit, step: Step::Termed, due: now + TERM_GRACE };
                    actions.push(Action::Terminate);
                }
                Step::Termed => self.kill(Verdict::Timeout(limit), Some(id), actions),
            },
            State::Stopping { deadline } if now >= deadline => self.kill(Verdict::Shutdown, None, actions),
            State::Serving | State::Stopping { .. } => self.look_at_each(running, now, actions),
            State::Starting | State::Overdue { .. } | State::Killed { .. } | State::Gone => {}
        }
    }

    /// Ends what is past its deadline: a coroutine alone, if it lets itself be ended; else the worker.
    fn look_at_each(&mut self, running: &[Running], now: Instant, actions: &mut Vec<Action>) {
        let busy = self.calls.iter().any(|call| running.iter().any(|other| other.id == call.id));
        for call in &mut self.calls {
            let Some(front) = call.front else { continue };
            // The clock of the black box is the better one: the call may have begun after it was sent.
            let (ran, how) = match running.iter().find(|other| other.id == call.id) {
                Some(found) => (found.ran, found.how),
                // It waits for one of the others, each of which has a deadline of its own.
                None if busy || call.ahead => (Duration::ZERO, How::Thread),
                None => (now.saturating_duration_since(front), How::Thread),
            };
            let over = match call.cancelled {
                None if ran < call.timeout => {
                    call.front = now.checked_sub(ran);
                    false
                }
                None if how == How::Thread => true,
                None => {
                    call.cancelled = Some(Cancelled { at: now, look: now + STUCK_GRACE });
                    actions.push(Action::Cancel(call.id));
                    false
                }
                Some(Cancelled { look, .. }) if now < look => false,
                Some(Cancelled { at, .. }) => {
                    let end = at + CANCEL_GRACE;
                    call.cancelled = Some(Cancelled { at, look: end });
                    how == How::Task || now >= end
                }
            };
            if over {
                let (id, limit) = (call.id, call.timeout);
                let step = Step::Asked { written: 0, latest: now + LATE_DUMP_GRACE };
                self.state = State::Overdue { id, limit, step, due: now + (DUMP_GRACE - LOOK) };
                return actions.push(Action::Dump(id));
            }
        }
    }

    fn gone(&mut self, begun: &[CallId], culprit: Option<CallId>, actions: &mut Vec<Action>) {
        let (verdict, culprit) = match self.state {
            State::Overdue { id, limit, .. } => (Verdict::Timeout(limit), Some(id)),
            State::Killed { verdict, culprit } => (verdict, culprit),
            _ => (Verdict::Crash, culprit),
        };
        let culprit = culprit.filter(|id| self.calls.iter().any(|call| call.id == *id));
        // Back to front, so that calls put back at the front of the queue keep their order.
        for Call { id, .. } in self.calls.drain(..).rev() {
            actions.push(match culprit {
                _ if !begun.contains(&id) => Action::Requeue(id),
                Some(culprit) if culprit == id => Action::Blame(id, verdict),
                Some(culprit) => Action::Collateral { id, culprit, verdict },
                None => Action::Blame(id, verdict),
            });
        }
        self.state = State::Gone;
    }
}

#[cfg(test)]
mod tests;
