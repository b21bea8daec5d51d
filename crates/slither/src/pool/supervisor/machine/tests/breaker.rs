//! When the breaker opens, what it tries, and what closes it.

use super::*;

const COOLDOWN: Duration = Duration::from_secs(5);

/// A pool that has begun, with its breaker.
fn begun(size: usize, breaker: Breaker) -> (Supervisor, Instant) {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&Plan { breaker: Some(breaker), ..plan(size) }, now);
    for epoch in starts(&supervisor.on(Event::NurseryReady, now)) {
        supervisor.on(Event::Ready(epoch), now);
    }
    (supervisor, now)
}

fn after(deaths: usize) -> Breaker {
    Breaker { deaths, ..Breaker::default() }
}

fn opened(actions: &[Action]) -> Option<(String, Duration)> {
    actions.iter().find_map(|action| match action {
        Action::Open { cause, cooldown } => Some((cause.clone(), *cooldown)),
        _ => None,
    })
}

/// Kills the worker with a call, and makes its replacement ready; until the breaker opens.
fn kill(supervisor: &mut Supervisor, epoch: Epoch, completed: u64, now: Instant) -> Result<Epoch, String> {
    let actions = supervisor.on(gone(epoch, Cause::Call, completed), now);
    match opened(&actions) {
        Some((cause, _)) => Err(cause),
        None => {
            let next = starts(&actions)[0];
            supervisor.on(Event::Ready(next), now);
            Ok(next)
        }
    }
}

#[test]
fn it_opens_after_so_many_deaths_in_a_row_and_a_completed_call_breaks_the_row() {
    let (mut supervisor, now) = begun(1, after(20));
    let mut epoch = 1;
    for _ in 0..19 {
        epoch = kill(&mut supervisor, epoch, 7, now).unwrap();
    }
    for _ in 0..19 {
        epoch = kill(&mut supervisor, epoch, 8, now).expect("one was completed in between");
    }
    let cause = kill(&mut supervisor, epoch, 8, now).unwrap_err();
    assert_eq!(cause, "20 calls in a row have killed the worker; the last worker exited with code 3");
    assert_eq!(supervisor.timer(), Some(now + COOLDOWN), "nothing else is due");
}

#[test]
fn a_search_for_culprits_does_not_count() {
    let (mut supervisor, now) = begun(1, after(2));
    let mut epoch = kill(&mut supervisor, 1, 0, now).unwrap();
    for _ in 0..100 {
        let actions = supervisor.on(died(epoch, Cause::Rerun), now);
        assert_eq!(opened(&actions), None);
        epoch = starts(&actions)[0];
        supervisor.on(Event::Ready(epoch), now);
    }
    assert!(kill(&mut supervisor, epoch, 0, now).is_err(), "it did not break the row either");
}

#[test]
fn one_call_decides_and_the_others_wait_for_it() {
    let (mut supervisor, mut now) = begun(3, after(1));
    for epoch in 1..=3 {
        supervisor.on(died(epoch, Cause::Call), now);
    }
    assert_eq!(supervisor.on(Event::Tick, now), [], "while it is open no worker is started");
    for cooldown in [10, 20, 40, 60, 60] {
        now = supervisor.timer().unwrap();
        let actions = supervisor.on(Event::Tick, now);
        let [Action::HalfOpen, Action::Start { epoch, .. }, Action::Admit { round }] = actions[..] else {
            panic!("one worker and one call: {actions:?}")
        };
        assert_eq!(supervisor.on(Event::Ready(epoch), now), []);
        let withdrawn = Event::Probed { round, completed: false };
        assert_eq!(supervisor.on(withdrawn, now), [Action::Admit { round }], "the next may try");
        let (cause, for_how_long) = opened(&supervisor.on(died(epoch, Cause::Call), now)).unwrap();
        assert_eq!(cause, "when it was tried again a worker exited with code 3");
        assert_eq!(for_how_long, Duration::from_secs(cooldown));
        assert_eq!(supervisor.on(Event::Probed { round, completed: true }, now), [], "too late");
    }
    now = supervisor.timer().unwrap();
    let actions = supervisor.on(Event::Tick, now);
    let epoch = starts(&actions)[0];
    supervisor.on(Event::Ready(epoch), now);
    let Some(Action::Admit { round }) = actions.last().cloned() else { panic!("{actions:?}") };
    let actions = supervisor.on(Event::Probed { round, completed: true }, now);
    assert_eq!((&actions[0], starts(&actions).len()), (&Action::Close, 2), "{actions:?}");
    let again = opened(&supervisor.on(died(epoch, Cause::Call), now)).unwrap();
    assert_eq!(again.1, COOLDOWN, "closed is closed");
}

#[test]
fn after_a_spent_budget_a_worker_that_starts_decides() {
    let (mut supervisor, mut now) = begun(2, after(20));
    let mut cause = opened(&supervisor.on(died(1, Cause::Nobody), now));
    while cause.is_none() {
        now = supervisor.timer().unwrap();
        let epoch = starts(&supervisor.on(Event::Tick, now))[0];
        cause = opened(&supervisor.on(died(epoch, Cause::Nobody), now));
    }
    assert!(
        cause
            .unwrap()
            .0
            .ends_with("the restart budget of 5 deaths in 10 s without a batch to blame is spent")
    );
    now = supervisor.timer().unwrap();
    let actions = supervisor.on(Event::Tick, now);
    let [Action::HalfOpen, Action::Start { epoch, .. }] = actions[..] else { panic!("{actions:?}") };
    assert!(opened(&supervisor.on(died(epoch, Cause::Nobody), now)).is_some(), "one death is enough now");
    now = supervisor.timer().unwrap();
    let epoch = starts(&supervisor.on(Event::Tick, now))[0];
    assert_eq!(supervisor.on(Event::Ready(epoch), now), [Action::Close]);
    let actions = supervisor.on(died(epoch, Cause::Nobody), now);
    assert_eq!(opened(&actions), None, "the budget is whole again");
}

#[test]
fn a_nursery_that_cannot_start_again_is_tried_again() {
    let (mut supervisor, mut now) = begun(2, after(20));
    let mut cause = None;
    while cause.is_none() {
        cause = opened(&supervisor.on(Event::NurseryGone("was killed".into()), now));
    }
    now = supervisor.timer().unwrap();
    assert_eq!(supervisor.on(Event::Tick, now), [Action::HalfOpen, Action::StartNursery]);
    let failed = supervisor.on(Event::NurseryFailed("no module".into()), now);
    assert_eq!(failed[0], Action::KillNursery);
    assert_eq!(opened(&failed), Some(("no module".to_owned(), 2 * COOLDOWN)));
    assert_eq!(supervisor.on(Event::NurseryGone("was killed".into()), now), [], "as was asked for");
    now = supervisor.timer().unwrap();
    assert_eq!(supervisor.on(Event::Tick, now), [Action::HalfOpen, Action::StartNursery]);
    now += LIMIT;
    assert_eq!(supervisor.on(Event::Tick, now)[0], Action::KillNursery, "it hangs");
    now = supervisor.timer().unwrap();
    supervisor.on(Event::Tick, now);
    let epoch = starts(&supervisor.on(Event::NurseryReady, now))[..].to_vec();
    assert_eq!(epoch.len(), 1, "one worker is enough to know");
    let actions = supervisor.on(Event::Ready(epoch[0]), now);
    assert_eq!((&actions[0], starts(&actions).len()), (&Action::Close, 1));
}

#[test]
fn a_pool_that_has_not_begun_or_has_no_breaker_fails_for_good() {
    let now = Instant::now();
    for (breaker, ready) in [(Some(Breaker::default()), 1), (None, 2)] {
        let mut supervisor = Supervisor::new(&Plan { breaker, ..plan(2) }, now);
        let mut epochs = starts(&supervisor.on(Event::NurseryReady, now));
        for epoch in &epochs[..ready] {
            supervisor.on(Event::Ready(*epoch), now);
        }
        let mut at = now;
        let mut failed = false;
        while let (false, Some(epoch)) = (failed, epochs.pop()) {
            let actions = supervisor.on(died(epoch, Cause::Nobody), at);
            failed = actions.iter().any(|action| matches!(action, Action::Fail(_)));
            assert_eq!(opened(&actions), None);
            if let Some(due) = supervisor.timer().filter(|_| !failed) {
                at = at.max(due);
                epochs.extend(starts(&supervisor.on(Event::Tick, at)));
            }
        }
        assert!(failed);
    }
}

#[test]
fn a_shutdown_ends_it_in_any_state() {
    for (ticks, nursery) in [(0, true), (1, true), (0, false), (1, false)] {
        let (mut supervisor, now) = begun(1, after(1));
        supervisor.on(died(1, Cause::Call), now);
        if !nursery {
            supervisor.on(Event::NurseryGone("was killed".into()), now);
        }
        let mut living = Vec::new();
        for _ in 0..ticks {
            living = starts(&supervisor.on(Event::Tick, supervisor.timer().unwrap()));
        }
        let mut actions = supervisor.on(Event::Shutdown { deadline: now }, now);
        for epoch in living {
            actions.extend(supervisor.on(died(epoch, Cause::Asked), now));
        }
        // A nursery that is only being started has nothing to finish.
        if (ticks, nursery) != (1, false) {
            assert_eq!(actions.last(), Some(&Action::StopNursery), "{ticks} {nursery}");
            actions = supervisor.on(Event::NurseryEnded, now);
        }
        assert_eq!(actions.last(), Some(&Action::Finished), "{ticks} {nursery}");
        assert_eq!(supervisor.timer(), None);
    }
}

#[test]
fn what_turns_out_to_work_after_the_shutdown_starts_no_worker_and_holds_up_nothing() {
    let (mut supervisor, now) = begun(3, after(1));
    assert!(opened(&supervisor.on(died(1, Cause::Call), now)).is_some());
    supervisor.on(died(2, Cause::Asked), now);
    let later = supervisor.timer().unwrap();
    assert_eq!(starts(&supervisor.on(Event::Tick, later)), [4]);
    supervisor.on(Event::Shutdown { deadline: later }, later);
    let actions = supervisor.on(Event::Probed { round: 1, completed: true }, later);
    assert_eq!(actions, [Action::Close]);
    assert_eq!(supervisor.on(died(4, Cause::Asked), later), []);
    assert_eq!(supervisor.on(died(3, Cause::Asked), later), [Action::StopNursery]);
    assert_eq!(supervisor.timer(), None);
}

#[test]
fn while_one_worker_is_started_to_try_no_other_is() {
    let (mut supervisor, now) = begun(2, after(1));
    assert!(opened(&supervisor.on(died(1, Cause::Call), now)).is_some());
    let later = supervisor.timer().unwrap();
    assert_eq!(starts(&supervisor.on(Event::Tick, later)), [3]);
    assert_eq!(supervisor.on(died(2, Cause::Asked), later), [], "the third is on its way");
    assert_eq!(starts(&supervisor.on(died(3, Cause::Asked), later)), [4], "and has shown nothing");
    assert_eq!(starts(&supervisor.on(Event::Probed { round: 1, completed: true }, later)), [5]);
}
