//! When workers are started, replaced and given up, on a clock of the tests' own.

mod breaker;
mod recycling;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn starts(actions: &[Action]) -> Vec<Epoch> {
    let epoch = |action: &Action| match action {
        Action::Start { epoch, .. } => Some(*epoch),
        _ => None,
    };
    actions.iter().filter_map(epoch).collect()
}

fn died(epoch: Epoch, cause: Cause) -> Event {
    gone(epoch, cause, 0)
}

fn gone(epoch: Epoch, cause: Cause, completed: u64) -> Event {
    Event::Gone { epoch, cause, completed, reason: "exited with code 3".into() }
}

fn plan(size: usize) -> Plan {
    Plan {
        size,
        budget: RestartBudget::default(),
        breaker: None,
        limits: Limits::default(),
        start_timeout: LIMIT,
    }
}

#[test]
fn a_worker_that_dies_at_import_is_started_budget_plus_one_times() {
    let mut now = Instant::now();
    let budget = RestartBudget::default();
    let mut supervisor = Supervisor::new(&plan(1), now);
    let mut spawned = starts(&supervisor.on(Event::NurseryReady, now));
    let mut failed = None;
    while failed.is_none() {
        let epoch = *spawned.last().unwrap();
        let actions = supervisor.on(died(epoch, Cause::Nobody), now);
        failed = actions.iter().find_map(|action| match action {
            Action::Fail(cause) => Some(cause.clone()),
            _ => None,
        });
        if let Some(at) = supervisor.timer() {
            now = now.max(at);
            spawned.extend(starts(&supervisor.on(Event::Tick, now)));
        }
    }
    assert_eq!(spawned.len(), budget.deaths + 1);
    assert_eq!(
        failed.unwrap(),
        "a worker exited with code 3, and the restart budget of 5 deaths in 10 s without a batch to blame is spent"
    );
}

#[test]
fn deaths_that_a_batch_is_charged_with_cost_no_budget() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&plan(2), now);
    let mut epoch = starts(&supervisor.on(Event::NurseryReady, now))[0];
    for _ in 0..100 {
        supervisor.on(Event::Ready(epoch), now);
        let started = starts(&supervisor.on(died(epoch, Cause::Call), now));
        assert_eq!(started.len(), 1, "replaced at once");
        epoch = started[0];
    }
}

#[test]
fn deaths_far_apart_are_forgiven() {
    let mut now = Instant::now();
    let mut supervisor = Supervisor::new(&plan(1), now);
    let mut epoch = starts(&supervisor.on(Event::NurseryReady, now))[0];
    for _ in 0..50 {
        supervisor.on(died(epoch, Cause::Nobody), now);
        now += Duration::from_secs(3);
        epoch = starts(&supervisor.on(Event::Tick, now))[0];
    }
}

#[test]
fn a_start_that_takes_too_long_is_aborted_once() {
    let now = Instant::now();
    let limit = LIMIT;
    let mut supervisor = Supervisor::new(&plan(1), now);
    supervisor.on(Event::NurseryReady, now);
    assert_eq!(supervisor.timer(), Some(now + limit));
    assert_eq!(supervisor.on(Event::Tick, now + limit), [Action::Abort(1)]);
    assert_eq!(supervisor.timer(), None);
}

#[test]
fn shutdown_waits_for_the_workers_then_ends_the_nursery() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&plan(1), now);
    supervisor.on(Event::NurseryReady, now);
    supervisor.on(Event::Ready(1), now);
    let deadline = now + Duration::from_secs(5);
    assert_eq!(supervisor.on(Event::Shutdown { deadline }, now), [Action::StopWorkers { deadline }]);
    assert_eq!(supervisor.on(died(1, Cause::Asked), now), [Action::StopNursery]);
    assert_eq!(supervisor.on(Event::NurseryEnded, now), [Action::Finished]);
}

#[test]
fn a_shutdown_before_the_nursery_is_ready_waits_for_nothing() {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&plan(1), now);
    let deadline = now + Duration::from_secs(5);
    let end = [Action::StopWorkers { deadline }, Action::KillNursery, Action::Finished];
    assert_eq!(supervisor.on(Event::Shutdown { deadline }, now), end);
    assert_eq!(supervisor.on(Event::NurseryGone("was killed".into()), now), []);
    assert_eq!(supervisor.timer(), None);
}
