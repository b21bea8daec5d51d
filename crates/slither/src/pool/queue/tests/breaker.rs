//! What comes in while a pool's breaker is not closed.

use super::*;
use crate::pool::supervisor::Note;
use crate::wire;

/// A call as a caller makes it.
fn call(id: u64) -> (Job, Waiting) {
    let context = Arc::new(Context::none());
    let frame = wire::single(id, "m:f", &context, &(), 1 << 20).unwrap();
    Job::new(id, frame, Duration::from_secs(1), context, None)
}

fn cause() -> ItemError {
    ItemError::new(ErrorKind::Unavailable, "it is broken")
}

#[tokio::test]
async fn everything_fails_with_the_cause_but_what_has_to_be_done() {
    let queue = Queue::new(9, 1, 8);
    let (before, failed) = call(1);
    let (duty, _duty) = call(2);
    queue.push(before);
    queue.push(duty.on_duty());
    queue.shut(cause());
    assert_eq!(queue.breaker(), BreakerState::Open);
    assert_eq!(failed.await.unwrap().unwrap_err(), cause());
    assert_eq!(queue.depth(), 1);
    let (late, refused) = call(3);
    queue.push(late);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (begun, refused) = call(4);
    queue.put_back(begun);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (duty, _duty) = call(5);
    queue.push(duty.on_duty());
    assert_eq!(queue.depth(), 2);
    queue.admit_all();
    assert_eq!(queue.breaker(), BreakerState::Closed);
    let (fine, _fine) = call(6);
    queue.push(fine);
    assert_eq!(queue.depth(), 3);
}

#[tokio::test]
async fn one_call_at_a_time_is_let_through_and_its_end_is_told() {
    let queue = Queue::new(9, 1, 8);
    let notes = Arc::new(Notes::new().unwrap());
    queue.shut(cause());
    queue.half_open();
    let (early, refused) = call(1);
    queue.push(early);
    assert!(refused.await.unwrap().is_err(), "a worker is tried, and no call");
    queue.admit_one(7, &notes);
    assert_eq!(queue.breaker(), BreakerState::HalfOpen);
    let (probe, waiting) = call(2);
    let (other, refused) = call(3);
    queue.push(probe);
    queue.push(other);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (import, _import) = job(4);
    queue.push(import);
    assert_eq!(queue.depth(), 2, "what prepares a call waits for the worker with it");
    assert!(notes.take().is_empty());
    drop(waiting);
    queue.sweep();
    assert!(matches!(notes.take()[..], [Note::Probed { round: 7, completed: false }]), "it was withdrawn");
    queue.admit_one(7, &notes);
    let (probe, _waiting) = call(5);
    queue.push(probe);
    assert_eq!(queue.depth(), 2, "the next may try");
}
