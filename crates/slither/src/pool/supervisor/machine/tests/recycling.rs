//! When a worker is replaced before its time, and in what order that is done.

use super::*;

fn limits() -> Limits {
    Limits { max_requests: Some(10), ttl: None, max_rss: Some(1000) }
}

/// A pool whose workers are ready.
fn pool(size: usize, limits: Limits) -> (Supervisor, Instant) {
    let now = Instant::now();
    let mut supervisor = Supervisor::new(&Plan { limits, ..plan(size) }, now);
    for epoch in starts(&supervisor.on(Event::NurseryReady, now)) {
        supervisor.on(Event::Ready(epoch), now);
    }
    (supervisor, now)
}

fn seen(epoch: Epoch, requests: u64, growth: u64, pinned: bool) -> Event {
    Event::Seen { epoch, seen: Seen { requests, growth, pinned } }
}

fn retired(actions: &[Action]) -> Vec<(Epoch, Recycled)> {
    let of = |action: &Action| match action {
        Action::Retire { epoch, why } => Some((*epoch, *why)),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

#[test]
fn the_replacement_is_ready_before_the_worker_goes_and_one_goes_at_a_time() {
    let (mut supervisor, now) = pool(3, limits());
    assert_eq!(supervisor.on(seen(1, 9, 0, false), now), []);
    assert_eq!(supervisor.on(seen(2, 10, 0, false), now), [Action::Start { slot: 1, epoch: 4 }]);
    assert_eq!(supervisor.on(seen(1, 10, 0, false), now), [], "one at a time");
    assert_eq!(supervisor.ready(), 3);
    let why = Recycled::MaxRequests { limit: 10 };
    assert_eq!(supervisor.on(Event::Ready(4), now), [Action::Retire { epoch: 2, why }]);
    assert_eq!(supervisor.ready(), 3);
    assert_eq!(starts(&supervisor.on(died(2, Cause::Asked), now)), [5], "then the next");
    assert_eq!(retired(&supervisor.on(Event::Ready(5), now)), [(1, why)]);
    assert_eq!(supervisor.on(died(1, Cause::Asked), now), []);
    assert_eq!(supervisor.ready(), 3);
}

#[test]
fn what_lives_in_a_worker_holds_it_unless_it_takes_too_much_memory() {
    let (mut supervisor, now) = pool(2, limits());
    assert_eq!(supervisor.on(seen(1, 50, 0, true), now), [], "a session is in it");
    assert_eq!(starts(&supervisor.on(seen(2, 10, 0, false), now)), [3], "which holds no other up");
    let why = Recycled::MaxRss { growth: 1001, limit: 1000 };
    supervisor.on(Event::Ready(3), now);
    supervisor.on(died(2, Cause::Asked), now);
    assert_eq!(starts(&supervisor.on(seen(1, 51, 1001, true), now)), [4]);
    assert_eq!(retired(&supervisor.on(Event::Ready(4), now)), [(1, why)]);
}

#[test]
fn one_that_waits_for_what_came_at_the_last_moment_holds_no_other_up() {
    let (mut supervisor, now) = pool(2, limits());
    assert_eq!(starts(&supervisor.on(seen(1, 10, 0, false), now)), [3]);
    supervisor.on(Event::Ready(3), now);
    assert_eq!(supervisor.on(seen(2, 10, 0, false), now), []);
    assert_eq!(starts(&supervisor.on(seen(1, 10, 0, true), now)), [4], "worker 1 waits for a session");
    supervisor.on(Event::Ready(4), now);
    supervisor.on(died(2, Cause::Asked), now);
    assert_eq!(supervisor.on(seen(3, 10, 0, false), now), [], "its slot has two workers already");
    assert_eq!(starts(&supervisor.on(died(1, Cause::Asked), now)), [5]);
}

#[test]
fn a_replacement_that_cannot_start_is_charged_and_tried_again_later() {
    let (mut supervisor, mut now) = pool(1, limits());
    let mut next = starts(&supervisor.on(seen(1, 10, 0, false), now))[0];
    for _ in 0..50 {
        let actions = supervisor.on(died(next, Cause::Nobody), now);
        let [Action::Restarting { delay, deaths, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert!(*deaths >= 1, "it is charged");
        assert_eq!((*delay, supervisor.ready()), (RestartBudget::default().period, 1), "the old one goes on");
        assert_eq!(supervisor.on(seen(1, 11, 0, false), now), []);
        now = supervisor.timer().unwrap();
        next = starts(&supervisor.on(Event::Tick, now))[0];
    }
    assert_eq!(retired(&supervisor.on(Event::Ready(next), now)).len(), 1);
}

#[test]
fn a_worker_that_dies_while_it_is_replaced_is_not_replaced_twice() {
    let (mut supervisor, now) = pool(1, limits());
    assert_eq!(starts(&supervisor.on(seen(1, 10, 0, false), now)), [2]);
    assert_eq!(starts(&supervisor.on(died(1, Cause::Call), now)), [0; 0]);
    assert_eq!(supervisor.on(Event::Ready(2), now), []);
    assert_eq!(supervisor.ready(), 1);
    // One that is late as a replacement is killed, too.
    assert_eq!(starts(&supervisor.on(seen(2, 10, 0, false), now)), [3]);
    assert_eq!(supervisor.timer(), Some(now + LIMIT));
    assert_eq!(supervisor.on(Event::Tick, now + LIMIT), [Action::Abort(3)]);
}

#[test]
fn workers_that_began_together_do_not_end_together() {
    let ttl = Duration::from_secs(100);
    let (mut supervisor, begun) = pool(8, Limits { ttl: Some(ttl), ..Limits::default() });
    let mut ends = Vec::new();
    while ends.len() < 8 {
        let now = supervisor.timer().unwrap();
        assert!(now > begun + ttl * 9 / 10 && now <= begun + ttl);
        for epoch in starts(&supervisor.on(Event::Tick, now)) {
            for (old, why) in retired(&supervisor.on(Event::Ready(epoch), now)) {
                assert_eq!(why, Recycled::Ttl { limit: ttl });
                ends.push(now);
                supervisor.on(died(old, Cause::Asked), now);
            }
        }
    }
    ends.dedup();
    assert_eq!(ends.len(), 8, "each at a time of its own");
    assert!(ends[7] - ends[0] > ttl / 50, "{ends:?}");
}

#[test]
fn the_death_of_the_nursery_ends_every_replacement() {
    let (mut supervisor, now) = pool(2, limits());
    assert_eq!(starts(&supervisor.on(seen(1, 10, 0, false), now)), [3]);
    assert_eq!(supervisor.on(Event::NurseryGone("was killed".into()), now), [Action::StartNursery]);
    assert_eq!(supervisor.on(Event::Ready(3), now), [], "of the life before");
    assert_eq!(starts(&supervisor.on(Event::NurseryReady, now)), [4, 5]);
}

#[test]
fn a_shutdown_waits_for_replaced_and_replacing_workers() {
    let (mut supervisor, now) = pool(1, limits());
    supervisor.on(seen(1, 10, 0, false), now);
    supervisor.on(Event::Ready(2), now);
    let deadline = now + SECOND;
    assert_eq!(supervisor.on(Event::Shutdown { deadline }, now), [Action::StopWorkers { deadline }]);
    assert_eq!(supervisor.on(died(2, Cause::Asked), now), []);
    assert_eq!(supervisor.on(died(1, Cause::Asked), now), [Action::StopNursery]);

    let (mut supervisor, now) = pool(1, limits());
    supervisor.on(seen(1, 10, 0, false), now);
    supervisor.on(Event::Shutdown { deadline }, now);
    assert_eq!(supervisor.on(died(1, Cause::Asked), now), []);
    assert_eq!(supervisor.on(died(2, Cause::Asked), now), [Action::StopNursery]);
}
