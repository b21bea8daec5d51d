//! What a worker may be given and what becomes of its calls: a state machine without I/O.
//!
//! The keeper feeds it what happened and when, and carries out the actions it returns. Calls are known by
//! their ids alone, so that a simulation can drive it with nothing behind them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::pool::clock::later;

/// Identifies a call to a worker; unique in the life of a pool.
pub(crate) type CallId = u64;

/// A call is sent ahead only while calls take less than this.
const SHORT: Duration = Duration::from_millis(2);
/// A call is sent ahead only if its frame is at most this long, so that it fits the socket's buffer.
pub(crate) const AHEAD_BYTES: usize = 32 * 1024;
/// From the deadline, when Python's stack is asked for, to the polite signal.
const DUMP_GRACE: Duration = Duration::from_millis(50);
/// From the deadline to the signal that cannot be ignored.
const TERM_GRACE: Duration = Duration::from_millis(150);

/// What has happened to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It said hello and takes work.
    Ready,
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
    /// A timer fired; with what the black box says is running, and for how long.
    Tick(Option<(CallId, Duration)>),
    /// It should finish what it has and stop, by the deadline.
    Stop { deadline: Instant },
    /// It should die now; the verdict is for the calls that die with it.
    Kill(Verdict),
    /// Its process is gone, and everything it had sent was read. `unstarted` of its calls were never begun.
    Gone { unstarted: usize },
}

/// What the keeper has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Write the call's frame; with `ahead`, marked as to be claimed.
    Send { id: CallId, ahead: bool },
    /// Hand the answer to whoever waits.
    Complete(CallId),
    /// The answer belongs to no call: count it and forget it.
    Stray(CallId),
    /// Ask for Python's stack.
    Dump,
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
    /// A short call to find in its socket when it has finished the running one.
    Ahead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    Stopping { deadline: Instant },
    Overdue { since: Instant, termed: bool, limit: Duration },
    Killed { verdict: Verdict },
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    id: CallId,
    timeout: Duration,
    /// When it came to the front: the earliest moment it can have begun.
    front: Option<Instant>,
}

/// One worker, from its start to its death.
#[derive(Debug)]
pub(crate) struct Worker {
    state: State,
    calls: VecDeque<Call>,
    /// Calls taken back and not yet known to be forgotten.
    withdrawn: Vec<CallId>,
    /// A moving mean of how long calls take; unknown before the first.
    service: Option<Duration>,
    stop_said: bool,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Starting,
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
        match self.calls.len() {
            0 => Want::Call,
            1 if self.withdrawn.is_empty() && self.service.is_some_and(|mean| mean < SHORT) => Want::Ahead,
            _ => Want::Nothing,
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
            State::Killed { verdict } => matches!(verdict, Verdict::Shutdown | Verdict::Timeout(_)),
            _ => false,
        }
    }

    /// Whether it dies because it broke the protocol.
    pub(crate) fn broken(&self) -> bool {
        self.state == State::Killed { verdict: Verdict::Protocol }
    }

    /// Whether it is not ready yet.
    pub(crate) fn starting(&self) -> bool {
        self.state == State::Starting
    }

    /// Whether it takes work, now or later.
    pub(crate) fn serving(&self) -> bool {
        matches!(self.state, State::Starting | State::Serving)
    }

    /// Whether this is the call that it runs, as far as is known here.
    pub(crate) fn runs(&self, id: CallId) -> bool {
        self.calls.front().is_some_and(|call| call.id == id)
    }

    /// How many calls it holds.
    pub(crate) fn load(&self) -> usize {
        self.calls.len()
    }

    /// When the next [`Event::Tick`] is due.
    pub(crate) fn timer(&self) -> Option<Instant> {
        match self.state {
            State::Overdue { since, termed: false, .. } => Some(since + DUMP_GRACE),
            State::Overdue { since, termed: true, .. } => Some(since + TERM_GRACE),
            State::Stopping { deadline } => Some(match self.deadline() {
                Some(call) => call.min(deadline),
                None => deadline,
            }),
            State::Serving => self.deadline(),
            State::Starting | State::Killed { .. } | State::Gone => None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let call = self.calls.front()?;
        Some(later(call.front?, call.timeout))
    }

    /// Takes in what happened at `now`; appends what has to be done.
    pub(crate) fn on(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Ready if self.state == State::Starting => self.state = State::Serving,
            Event::Ready => {}
            Event::Given { id, timeout } => {
                let ahead = !self.calls.is_empty();
                let front = (!ahead).then_some(now);
                self.calls.push_back(Call { id, timeout, front });
                actions.push(Action::Send { id, ahead });
            }
            Event::Answered(id) => self.answered(id, now, actions),
            Event::Skipped(id) => match self.withdrawn.iter().position(|other| *other == id) {
                Some(at) => {
                    self.withdrawn.swap_remove(at);
                }
                // It may not refuse what is its own, and nothing else would ever end that call.
                None if self.calls.iter().any(|call| call.id == id) => {
                    self.kill(Verdict::Protocol, actions);
                }
                None => actions.push(Action::Stray(id)),
            },
            Event::TakenBack(id) => {
                self.calls.retain(|call| call.id != id);
                self.withdrawn.push(id);
                self.promote(now);
            }
            Event::Broke => self.kill(Verdict::Protocol, actions),
            Event::Kill(verdict) => self.kill(verdict, actions),
            Event::Stop { deadline } => {
                if matches!(self.state, State::Starting | State::Serving | State::Stopping { .. }) {
                    self.state = State::Stopping { deadline };
                    self.say_stop(actions);
                }
            }
            Event::Tick(reading) => self.tick(reading, now, actions),
            Event::Gone { unstarted } => self.gone(unstarted, actions),
        }
    }

    fn answered(&mut self, id: CallId, now: Instant, actions: &mut Vec<Action>) {
        match self.calls.front() {
            Some(call) if call.id == id => {
                if let Some(front) = call.front {
                    let took = now.saturating_duration_since(front);
                    self.service = Some(self.service.map_or(took, |mean| (mean * 7 + took) / 8));
                }
                self.calls.pop_front();
                self.promote(now);
                actions.push(Action::Complete(id));
                self.say_stop(actions);
            }
            _ => actions.push(Action::Stray(id)),
        }
    }

    fn promote(&mut self, now: Instant) {
        if let Some(call) = self.calls.front_mut() {
            call.front.get_or_insert(now);
        }
    }

    fn say_stop(&mut self, actions: &mut Vec<Action>) {
        if matches!(self.state, State::Stopping { .. }) && self.calls.is_empty() && !self.stop_said {
            self.stop_said = true;
            actions.push(Action::SayStop);
        }
    }

    fn kill(&mut self, verdict: Verdict, actions: &mut Vec<Action>) {
        if !matches!(self.state, State::Killed { .. } | State::Gone) {
            self.state = State::Killed { verdict };
            actions.push(Action::Kill);
        }
    }

    fn tick(&mut self, reading: Option<(CallId, Duration)>, now: Instant, actions: &mut Vec<Action>) {
        match self.state {
            State::Overdue { since, termed: false, limit } if now >= since + DUMP_GRACE => {
                self.state = State::Overdue { since, termed: true, limit };
                actions.push(Action::Terminate);
            }
            State::Overdue { since, limit, .. } if now >= since + TERM_GRACE => {
                self.kill(Verdict::Timeout(limit), actions);
            }
            State::Stopping { deadline } if now >= deadline => self.kill(Verdict::Shutdown, actions),
            State::Serving | State::Stopping { .. } => {
                let Some(call) = self.calls.front_mut() else { return };
                // The clock of the black box is the better one: the call may have begun after it was sent.
                let ran = match (reading, call.front) {
                    (Some((id, ran)), _) if id == call.id => ran,
                    (_, Some(front)) => now.saturating_duration_since(front),
                    (_, None) => return,
                };
                if ran >= call.timeout {
                    let limit = call.timeout;
                    self.state = State::Overdue { since: now, termed: false, limit };
                    actions.push(Action::Dump);
                } else {
                    call.front = now.checked_sub(ran);
                }
            }
            State::Starting | State::Overdue { .. } | State::Killed { .. } | State::Gone => {}
        }
    }

    fn gone(&mut self, unstarted: usize, actions: &mut Vec<Action>) {
        let verdict = match self.state {
            State::Overdue { limit, .. } => Verdict::Timeout(limit),
            State::Killed { verdict } => verdict,
            _ => Verdict::Crash,
        };
        let begun = self.calls.len().saturating_sub(unstarted);
        // Back to front, so that calls put back at the front of the queue keep their order.
        for (place, call) in self.calls.drain(..).enumerate().rev() {
            actions.push(match place < begun {
                true => Action::Blame(call.id, verdict),
                false => Action::Requeue(call.id),
            });
        }
        self.state = State::Gone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        worker: Worker,
        now: Instant,
    }

    impl Bench {
        fn ready() -> Self {
            let mut bench = Self { worker: Worker::new(), now: Instant::now() };
            assert_eq!(bench.on(Event::Ready), []);
            bench
        }

        fn on(&mut self, event: Event) -> Vec<Action> {
            let mut actions = Vec::new();
            self.worker.on(event, self.now, &mut actions);
            actions
        }

        fn after(&mut self, delay: Duration) -> &mut Self {
            self.now += delay;
            self
        }

        fn give(&mut self, id: CallId) -> Vec<Action> {
            self.on(Event::Given { id, timeout: SECOND })
        }
    }

    #[test]
    fn nothing_is_sent_ahead_before_calls_are_known_to_be_short() {
        let mut bench = Bench::ready();
        assert_eq!(bench.worker.wants(), Want::Call);
        assert_eq!(bench.give(1), [Action::Send { id: 1, ahead: false }]);
        assert_eq!(bench.worker.wants(), Want::Nothing);
        assert_eq!(bench.after(Duration::from_micros(50)).on(Event::Answered(1)), [Action::Complete(1)]);
        bench.give(2);
        assert_eq!(bench.worker.wants(), Want::Ahead);
        assert_eq!(bench.give(3), [Action::Send { id: 3, ahead: true }]);
        assert_eq!(bench.worker.wants(), Want::Nothing);
    }

    #[test]
    fn a_call_that_never_began_goes_back_and_the_running_one_is_blamed() {
        let mut bench = Bench::ready();
        bench.give(1);
        bench.on(Event::Answered(1));
        bench.give(2);
        bench.give(3);
        assert_eq!(
            bench.on(Event::Gone { unstarted: 1 }),
            [Action::Requeue(3), Action::Blame(2, Verdict::Crash)]
        );
    }

    #[test]
    fn a_deadline_runs_from_the_start_of_the_call_not_from_its_sending() {
        let mut bench = Bench::ready();
        bench.give(1);
        assert_eq!(bench.worker.timer(), Some(bench.now + SECOND));
        // The black box says that it began only half a second ago.
        assert_eq!(bench.after(SECOND).on(Event::Tick(Some((1, SECOND / 2)))), []);
        assert_eq!(bench.worker.timer(), Some(bench.now + SECOND / 2));
        assert_eq!(bench.after(SECOND / 2).on(Event::Tick(Some((1, SECOND)))), [Action::Dump]);
        assert_eq!(bench.after(DUMP_GRACE).on(Event::Tick(None)), [Action::Terminate]);
        assert_eq!(bench.after(TERM_GRACE).on(Event::Tick(None)), [Action::Kill]);
        assert_eq!(bench.on(Event::Gone { unstarted: 0 }), [Action::Blame(1, Verdict::Timeout(SECOND))]);
    }

    #[test]
    fn a_call_taken_back_stops_sending_ahead_until_it_is_forgotten() {
        let mut bench = Bench::ready();
        bench.give(1);
        bench.on(Event::Answered(1));
        bench.give(2);
        bench.give(3);
        assert_eq!(bench.on(Event::TakenBack(3)), []);
        assert_eq!(bench.worker.wants(), Want::Nothing);
        assert_eq!(bench.on(Event::Answered(2)), [Action::Complete(2)]);
        assert_eq!(bench.worker.wants(), Want::Call);
        assert_eq!(bench.on(Event::Skipped(3)), []);
        assert_eq!(bench.on(Event::Skipped(3)), [Action::Stray(3)]);
        bench.give(4);
        assert_eq!(bench.on(Event::Skipped(4)), [Action::Kill], "a call that is its own");
    }

    #[test]
    fn late_and_doubled_answers_are_strays() {
        let mut bench = Bench::ready();
        bench.give(1);
        assert_eq!(bench.on(Event::Answered(7)), [Action::Stray(7)]);
        assert_eq!(bench.on(Event::Answered(1)), [Action::Complete(1)]);
        assert_eq!(bench.on(Event::Answered(1)), [Action::Stray(1)]);
    }

    #[test]
    fn stopping_waits_for_the_running_call_and_no_longer_than_its_deadline() {
        let mut bench = Bench::ready();
        bench.give(1);
        let deadline = bench.now + SECOND / 4;
        assert_eq!(bench.on(Event::Stop { deadline }), []);
        assert_eq!(bench.worker.wants(), Want::Nothing);
        assert_eq!(bench.worker.timer(), Some(deadline));
        assert_eq!(bench.after(SECOND / 4).on(Event::Tick(None)), [Action::Kill]);
        assert_eq!(bench.on(Event::Gone { unstarted: 0 }), [Action::Blame(1, Verdict::Shutdown)]);
    }
}
