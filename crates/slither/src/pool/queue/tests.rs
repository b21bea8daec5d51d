//! Who gets which call: a queue, and workers that are only stations.

mod breaker;
mod recycling;

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Wake, Waker};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use super::*;
use crate::context::Context;
use crate::error::ErrorKind;
use crate::pool::job::{Waiting, WorkerName};
use crate::pool::station::Order;
use crate::wire::{self, Kind};

fn station(epoch: u64) -> Arc<Station> {
    let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
    let name = WorkerName { name: format!("p/0#{epoch}"), pid: 1 };
    Arc::new(Station::new(name, usize::from(epoch > 1), epoch, token).unwrap())
}

fn job(id: u64) -> (Job, Waiting) {
    job_of(Kind::Call, id)
}

/// What prepares a call.
fn import(id: u64) -> (Job, Waiting) {
    job_of(Kind::Bind, id)
}

fn job_of(kind: Kind, id: u64) -> (Job, Waiting) {
    let frame = wire::about(kind, id);
    Job::new(id, frame, Duration::from_secs(1), Arc::new(Context::none()), None)
}

#[test]
fn what_was_handed_to_an_idle_worker_begins_before_what_came_later() {
    let queue = Queue::new(4, 1, 8);
    let idle = station(1);
    queue.join(&idle);
    assert!(queue.take_or_wait(&idle).is_none());
    let (first, _first) = job(1);
    let (second, _second) = job(2);
    queue.push(first);
    queue.push(second);
    // Its keeper has not heard of the first yet, and looks for work.
    assert!(queue.take_or_wait(&idle).is_none());
    let mut orders = Vec::new();
    idle.take_orders(&mut orders);
    assert!(matches!(&orders[..], [Order::Job(job)] if job.id == 1), "{orders:?}");
    assert_eq!(queue.take_or_wait(&idle).map(|job| job.id), Some(2));
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
    lock(&station.held).push(front, false);
    lock(&station.held).push(ahead, true);
    assert!(station.yield_ahead().is_none(), "without a token there is nothing to take back");
    station.put_tokens(1);
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

/// Notes how many places are free when it is woken.
struct WhenWoken(Queue, OnceLock<usize>);

impl Wake for WhenWoken {
    fn wake(self: Arc<Self>) {
        self.1.get_or_init(|| self.0.free_places());
    }
}

#[test]
fn a_call_counts_from_its_place_on_until_its_answer_is_there_wherever_it_is() {
    let woken = Arc::new(WhenWoken(Queue::new(4, 1, 8), OnceLock::new()));
    let queue = &woken.0;
    let busy = station(1);
    queue.join(&busy);
    assert_eq!(queue.load(), (0, 0));
    let (job, mut waiting) =
        Job::new(1, vec![0; 16], Duration::from_secs(1), Arc::new(Context::none()), queue.place_now());
    queue.push(job);
    assert_eq!(queue.load(), (0, 1), "in its line");
    let job = queue.take_or_wait(&busy).unwrap();
    assert_eq!(queue.load(), (0, 1), "on its way");
    lock(&busy.held).push(job, false);
    assert_eq!(queue.load(), (1, 0), "begun");
    let waker = Waker::from(woken.clone());
    let polled = Pin::new(&mut waiting).poll(&mut std::task::Context::from_waker(&waker));
    assert!(polled.is_pending());
    let job = lock(&busy.held).answered(1).unwrap();
    job.finish(Err(ItemError::new(ErrorKind::Pool, "the end")));
    assert_eq!(woken.1.get(), Some(&4), "whoever has the answer finds its place free");
    assert_eq!(queue.load(), (0, 0));
}

#[test]
fn what_nobody_waits_for_any_more_is_not_put_back() {
    let queue = Queue::new(1, 2, 8);
    let (job, waiting) =
        Job::new(1, vec![0; 16], Duration::from_secs(1), Arc::new(Context::none()), queue.place_now());
    drop(waiting);
    queue.put_back(job);
    assert_eq!(queue.depth(), 0);
    assert!(queue.place_now().is_some(), "its place is free");
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

/// Has the worker hold so many calls, of which it has begun the first.
fn load(station: &Station, calls: u64) -> Vec<Waiting> {
    let held = (1..=calls).map(|id| {
        let (call, waiting) = job(id);
        lock(&station.held).push(call, id > 1);
        waiting
    });
    let held = held.collect();
    station.put_tokens(calls - 1);
    held
}

fn ids(queue: &Queue, station: &Arc<Station>) -> Vec<u64> {
    std::iter::from_fn(|| queue.take_or_wait(station).map(|job| job.id)).collect()
}

fn death() -> WorkerReport {
    let death = Some(crate::error::Death::Signal(9));
    WorkerReport { death, ..WorkerReport::new("p/0#1", 1) }
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
fn calls_are_taken_ahead_as_far_as_they_leave_every_worker_half_as_many() {
    let queue = Queue::new(99, 2, 8);
    let stations = [station(1), station(2)];
    stations.iter().for_each(|station| queue.join(station));
    let mut waiting = Vec::new();
    for id in 1..=20 {
        let (call, rest) = job(id);
        queue.push(call);
        waiting.push(rest);
    }
    let take = |station: &Station, most| {
        let jobs = queue.take_ahead(most, station);
        let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
        jobs.into_iter().for_each(|job| lock(&station.held).push(job, true));
        ids
    };
    assert_eq!(take(&stations[0], 2), [1, 2], "no more than it asks for");
    assert_eq!(
        take(&stations[0], 31),
        [3, 4, 5, 6, 7, 8, 9, 10],
        "before an eleventh 10 wait, which is less than 11"
    );
    assert_eq!(take(&stations[1], 31), [11, 12, 13, 14, 15]);
    assert_eq!(take(&stations[1], 31), [0; 0], "5 wait, which is less than 6");
    let third = station(3);
    queue.join(&third);
    assert_eq!(take(&third, 31), [16, 17], "before a third 3 wait, which is less than half of 9");
}

#[test]
fn the_frames_ahead_are_bounded_together() {
    let queue = Queue::new(99, 1, 8);
    let busy = station(1);
    queue.join(&busy);
    let context = Arc::new(Context::none());
    let mut waiting = Vec::new();
    for id in 1..=9 {
        let mut half = wire::about(Kind::Call, id);
        half.resize(AHEAD_BYTES / 2, 0);
        let (call, rest) = Job::new(id, half, Duration::from_secs(1), context.clone(), None);
        queue.push(call);
        waiting.push(rest);
    }
    assert_eq!(queue.take_ahead(9, &busy).len(), 2);
}

#[test]
fn a_worker_that_answers_keeps_what_it_has_ahead_until_it_is_silent() {
    let queue = Queue::new(9, 2, 8);
    let (busy, idle) = (station(1), station(2));
    queue.join(&busy);
    queue.join(&idle);
    let _waiting = load(&busy, 4);
    busy.set_slow(false);
    assert!(queue.take_or_wait(&idle).is_none(), "it is done sooner where it is");
    busy.set_slow(true);
    queue.share(&busy, false);
    let mut orders = Vec::new();
    idle.take_orders(&mut orders);
    assert!(matches!(&orders[..], [Order::Job(job)] if job.id == 4), "the last, to the idle one: {orders:?}");
    assert_eq!(queue.depth(), 0, "the others stay, as nobody is idle any more");
    queue.share(&busy, true);
    assert_eq!((queue.depth(), busy.unclaimed()), (1, 1), "of two one is for whoever comes first");
    assert_eq!(queue.take_or_wait(&idle).map(|job| job.id), Some(3));
}

#[test]
fn what_nobody_waits_for_is_taken_back_and_what_is_behind_it_put_back() {
    let queue = Queue::new(9, 1, 8);
    let busy = station(1);
    queue.join(&busy);
    let mut waiting = load(&busy, 5);
    drop(waiting.remove(2));
    queue.sweep();
    assert_eq!(lock(&busy.held).iter().map(|job| job.id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(busy.unclaimed(), 1);
    assert_eq!(ids(&queue, &busy), [4, 5], "in their order");
}

#[test]
fn a_bound_call_goes_ahead_alone_and_is_not_passed_by_what_is_younger() {
    let queue = Queue::new(99, 1, 8);
    let busy = station(1);
    queue.join(&busy);
    let mut waiting = Vec::new();
    for id in 1..=9 {
        let route = if id == 4 { Route::Slot(0) } else { Route::Any };
        let (call, rest) = bound(id, route);
        queue.push(call);
        waiting.push(rest);
    }
    for expected in [&[1, 2, 3][..], &[4], &[5, 6]] {
        let jobs = queue.take_ahead(if expected[0] == 5 { 2 } else { 31 }, &busy);
        assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), expected);
        let mut held = lock(&busy.held);
        jobs.into_iter().for_each(|job| held.push(job, true));
        drop(held);
        if expected != [5, 6] {
            assert!(queue.take_ahead(31, &busy).is_empty(), "first these are begun");
            while lock(&busy.held).take_ahead().is_some() {}
        }
    }
}

#[test]
fn what_no_worker_may_claim_is_not_sent_ahead() {
    let queue = Queue::new(9, 1, 8);
    let busy = station(1);
    queue.join(&busy);
    let (import, _waiting) = import(1);
    queue.push(import);
    let (call, _rest) = job(2);
    queue.push(call);
    assert!(queue.take_ahead(31, &busy).is_empty());
    assert_eq!(ids(&queue, &busy), [1, 2]);
}

#[test]
fn a_call_ahead_that_is_bound_is_not_taken_by_another_worker() {
    let queue = Queue::new(4, 2, 8);
    let (busy, idle) = (station(1), station(2));
    queue.join(&busy);
    queue.join(&idle);
    let (running, _running) = job(1);
    let (ahead, _ahead) = bound(2, Route::Slot(0));
    lock(&busy.held).push(running, false);
    lock(&busy.held).push(ahead, true);
    busy.put_tokens(1);
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
    lock(&only.held).push(running, false);
    let (third, _third) = bound(3, this);
    assert_eq!(queue.push_if_free(third).unwrap_err().id, 3, "one runs");
}
