//! Lives of a worker, step by step.

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
