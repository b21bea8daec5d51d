//! One worker, event by event.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    worker: Worker,
    now: Instant,
}

impl Bench {
    fn ready() -> Self {
        Self::of(Worker::new(true))
    }

    fn of(worker: Worker) -> Self {
        let mut bench = Self { worker, now: Instant::now() };
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

    /// One that takes so many calls at once, and has them.
    fn busy(slots: usize) -> Self {
        let mut bench = Self::of(Worker::new(false));
        bench.on(Event::Capacity(slots));
        for id in 1..=slots as CallId {
            assert_eq!(bench.give(id), [Action::Send { id, ahead: false }]);
        }
        bench
    }

    /// It writes its stack, of which two looks find the same.
    fn shows_its_stack(&mut self) {
        for bytes in [40, 80, 80] {
            assert_eq!(self.worker.dumping(), Some(1));
            self.on(Event::Dumped(bytes));
        }
        assert_eq!(self.worker.dumping(), None);
    }

    fn gone(&mut self, begun: &[CallId], culprit: Option<CallId>) -> Vec<Action> {
        self.on(Event::Gone { begun: begun.to_vec(), culprit })
    }
}

fn runs(id: CallId, ran: Duration, how: How) -> Running {
    Running { id, ran, how }
}

#[test]
fn nothing_is_sent_ahead_before_calls_are_known_to_be_short() {
    let mut bench = Bench::ready();
    assert_eq!(bench.worker.wants(), Want::Call);
    assert_eq!(bench.give(1), [Action::Send { id: 1, ahead: false }]);
    assert_eq!(bench.worker.wants(), Want::Nothing);
    assert_eq!(bench.after(Duration::from_micros(50)).on(Event::Answered(1)), [Action::Complete(1)]);
    bench.give(2);
    assert_eq!(bench.worker.wants(), Want::Ahead(4), "together they take as long as a bundle may");
    assert_eq!(bench.give(3), [Action::Send { id: 3, ahead: true }]);
    assert_eq!(bench.worker.wants(), Want::Ahead(3));
    bench.after(Duration::from_millis(5)).on(Event::Answered(2));
    assert_eq!(bench.give(4), [Action::Send { id: 4, ahead: true }]);
    assert_eq!(bench.worker.wants(), Want::Nothing, "calls take longer now, and one is ahead");
}

#[test]
fn what_is_ahead_is_filled_up_when_half_of_it_is_gone() {
    let mut bench = Bench::ready();
    bench.give(1);
    bench.after(Duration::from_micros(50)).on(Event::Answered(1));
    for id in 2..=6 {
        bench.give(id);
    }
    assert_eq!(bench.worker.wants(), Want::Nothing, "one runs, and four are ahead");
    bench.after(Duration::from_micros(50)).on(Event::Answered(2));
    assert_eq!(bench.worker.wants(), Want::Nothing, "one more alone is not worth a send");
    bench.after(Duration::from_micros(50)).on(Event::Answered(3));
    assert_eq!(bench.worker.wants(), Want::Ahead(2));
}

#[test]
fn calls_ahead_are_begun_one_by_one() {
    let mut bench = Bench::ready();
    bench.give(1);
    bench.on(Event::Answered(1));
    for id in 2..=5 {
        bench.give(id);
    }
    assert_eq!(bench.on(Event::Answered(3)), [Action::Stray(3)], "it comes before what it is behind");
    assert_eq!(bench.on(Event::TakenBack(5)), []);
    assert_eq!(bench.on(Event::Answered(2)), [Action::Complete(2)]);
    assert_eq!(bench.on(Event::Answered(4)), [Action::Stray(4)]);
    assert_eq!(bench.on(Event::Answered(3)), [Action::Complete(3)]);
    assert_eq!(bench.worker.wants(), Want::Nothing, "call 5 has not been skipped yet");
    assert_eq!(bench.on(Event::Skipped(5)), []);
    assert!(matches!(bench.worker.wants(), Want::Ahead(_)));
    assert_eq!(bench.gone(&[], None), [Action::Requeue(4)]);
}

#[test]
fn a_call_that_never_began_goes_back_and_the_running_one_is_blamed() {
    let mut bench = Bench::ready();
    bench.give(1);
    bench.on(Event::Answered(1));
    bench.give(2);
    bench.give(3);
    assert_eq!(
        bench.on(Event::Gone { begun: vec![2], culprit: None }),
        [Action::Requeue(3), Action::Blame(2, Verdict::Crash)]
    );
}

#[test]
fn a_deadline_runs_from_the_start_of_the_call_not_from_its_sending() {
    let mut bench = Bench::ready();
    bench.give(1);
    assert_eq!(bench.worker.timer(), Some(bench.now + SECOND));
    // The black box says that it began only half a second ago.
    assert_eq!(bench.after(SECOND).on(Event::Tick(vec![runs(1, SECOND / 2, How::Thread)])), []);
    assert_eq!(bench.worker.timer(), Some(bench.now + SECOND / 2));
    assert_eq!(
        bench.after(SECOND / 2).on(Event::Tick(vec![runs(1, SECOND, How::Thread)])),
        [Action::Dump(1)]
    );
    bench.shows_its_stack();
    assert_eq!(bench.after(DUMP_GRACE).on(Event::Tick(vec![])), [Action::Terminate]);
    assert_eq!(bench.after(TERM_GRACE).on(Event::Tick(vec![])), [Action::Kill]);
    assert_eq!(bench.gone(&[1], None), [Action::Blame(1, Verdict::Timeout(SECOND))]);
}

#[test]
fn a_stack_that_is_late_is_waited_for_but_not_for_ever() {
    for late in [LOOK, LATE_DUMP_GRACE - DUMP_GRACE] {
        let mut bench = Bench::ready();
        bench.give(1);
        bench.after(SECOND).on(Event::Tick(vec![runs(1, SECOND, How::Thread)]));
        assert_eq!(bench.after(DUMP_GRACE).on(Event::Tick(vec![])), [], "nothing is written yet");
        assert_eq!(bench.worker.timer(), Some(bench.now + LOOK));
        if late == LOOK {
            bench.shows_its_stack();
        }
        assert_eq!(bench.after(late).on(Event::Tick(vec![])), [Action::Terminate]);
        assert_eq!(bench.worker.timer(), Some(bench.now + TERM_GRACE));
    }
    assert!(LATE_DUMP_GRACE + TERM_GRACE < Duration::from_millis(250), "what is promised");
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
    assert_eq!(bench.after(SECOND / 4).on(Event::Tick(vec![])), [Action::Kill]);
    assert_eq!(bench.gone(&[1], None), [Action::Blame(1, Verdict::Shutdown)]);
}

#[test]
fn a_worker_of_several_slots_takes_as_many_calls_and_one_ahead_and_answers_in_any_order() {
    let mut bench = Bench::busy(3);
    assert_eq!(bench.worker.wants(), Want::Nothing, "calls are not known to be short");
    assert_eq!(bench.on(Event::Answered(2)), [Action::Complete(2)]);
    assert_eq!(bench.worker.wants(), Want::Call);
    bench.give(4);
    assert_eq!(bench.worker.wants(), Want::Ahead(1));
    assert_eq!(bench.give(5), [Action::Send { id: 5, ahead: true }]);
    assert_eq!(bench.on(Event::Answered(5)), [Action::Complete(5)], "another waits for its session");
    assert_eq!(bench.on(Event::Answered(3)), [Action::Complete(3)]);
}

#[test]
fn with_fewer_slots_nothing_is_sent_until_less_is_out() {
    let mut bench = Bench::busy(3);
    bench.on(Event::Capacity(1));
    for (id, wants) in [(1, Want::Nothing), (2, Want::Nothing), (3, Want::Ahead(1))] {
        assert_eq!(bench.worker.wants(), wants);
        bench.on(Event::Answered(id));
    }
    assert_eq!(bench.worker.wants(), Want::Call);
}

#[test]
fn each_call_has_its_own_deadline_and_costs_the_others_their_worker() {
    let mut bench = Bench::busy(2);
    bench.on(Event::Answered(1));
    bench.after(SECOND / 2).give(3);
    bench.after(SECOND / 2);
    let running = vec![runs(2, SECOND, How::Thread), runs(3, SECOND / 2, How::Thread)];
    assert_eq!(bench.on(Event::Tick(running)), [Action::Dump(2)]);
    assert_eq!(bench.worker.wants(), Want::Nothing);
    assert_eq!(bench.after(LATE_DUMP_GRACE).on(Event::Tick(vec![])), [Action::Terminate]);
    assert_eq!(bench.after(TERM_GRACE).on(Event::Tick(vec![])), [Action::Kill]);
    let verdict = Verdict::Timeout(SECOND);
    assert_eq!(
        bench.gone(&[2, 3], None),
        [Action::Collateral { id: 3, culprit: 2, verdict }, Action::Blame(2, verdict)]
    );
}

#[test]
fn what_waits_for_a_running_call_is_not_overdue_and_goes_back() {
    let mut bench = Bench::busy(2);
    // The second is of a session that has a call, or the slots became fewer: it has not begun.
    let running = vec![runs(1, SECOND / 2, How::Thread)];
    assert_eq!(bench.after(SECOND).on(Event::Tick(running)), []);
    assert_eq!(bench.worker.timer(), Some(bench.now + SECOND / 2));
    assert_eq!(bench.gone(&[1], Some(1)), [Action::Requeue(2), Action::Blame(1, Verdict::Crash)]);
}

#[test]
fn who_is_to_blame_of_several_is_known_or_they_all_are() {
    let crash = Verdict::Crash;
    assert_eq!(
        Bench::busy(2).gone(&[1, 2], Some(2)),
        [Action::Blame(2, crash), Action::Collateral { id: 1, culprit: 2, verdict: crash }]
    );
    let both = [Action::Blame(2, crash), Action::Blame(1, crash)];
    assert_eq!(Bench::busy(2).gone(&[1, 2], None), both);
    assert_eq!(Bench::busy(2).gone(&[1, 2], Some(77)), both, "no call of its own");
}

#[test]
fn a_coroutine_is_told_to_end_and_costs_the_worker_only_if_it_does_not() {
    let ended = {
        let mut bench = Bench::busy(2);
        let awaits = vec![runs(1, SECOND, How::Awaiting), runs(2, SECOND / 2, How::Awaiting)];
        assert_eq!(bench.after(SECOND).on(Event::Tick(awaits.clone())), [Action::Cancel(1)]);
        assert_eq!(bench.after(STUCK_GRACE).on(Event::Tick(awaits)), [], "it may close what it has opened");
        bench.on(Event::Answered(1))
    };
    assert_eq!(ended, [Action::Ended(1, SECOND)]);

    let mut bench = Bench::busy(2);
    let awaits = vec![runs(1, SECOND, How::Awaiting)];
    bench.after(SECOND).on(Event::Tick(awaits.clone()));
    bench.after(STUCK_GRACE).on(Event::Tick(awaits.clone()));
    assert_eq!(bench.worker.timer(), Some(bench.now - STUCK_GRACE + CANCEL_GRACE));
    assert_eq!(bench.after(CANCEL_GRACE).on(Event::Tick(awaits)), [Action::Dump(1)], "it does not end");

    let mut bench = Bench::busy(2);
    let stuck = vec![runs(1, SECOND, How::Task)];
    assert_eq!(bench.after(SECOND).on(Event::Tick(stuck.clone())), [Action::Cancel(1)]);
    assert_eq!(bench.after(STUCK_GRACE).on(Event::Tick(stuck)), [Action::Dump(1)], "it holds up the others");
}
