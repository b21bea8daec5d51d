//! What comes in while a pool's breaker is not closed.

use super::*;
use crate::pool::supervisor::Note;

fn cause() -> ItemError {
    ItemError::new(ErrorKind::Unavailable, "it is broken")
}

#[tokio::test]
async fn everything_fails_with_the_cause_but_what_has_to_be_done() {
    let queue = Queue::new(9, 1, 8);
    let (before, failed) = job(1);
    let (duty, _duty) = job(2);
    queue.push(before);
    queue.push(duty.on_duty());
    queue.shut(cause());
    assert_eq!(queue.breaker(), BreakerState::Open);
    assert_eq!(failed.await.unwrap().unwrap_err(), cause());
    assert_eq!(queue.depth(), 1);
    let (late, refused) = job(3);
    queue.push(late);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (begun, refused) = job(4);
    queue.put_back(begun);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (duty, _duty) = job(5);
    queue.push(duty.on_duty());
    assert_eq!(queue.depth(), 2);
    queue.admit_all();
    assert_eq!(queue.breaker(), BreakerState::Closed);
    let (fine, _fine) = job(6);
    queue.push(fine);
    assert_eq!(queue.depth(), 3);
}

#[tokio::test]
async fn one_call_at_a_time_is_let_through_and_its_end_is_told() {
    let queue = Queue::new(9, 1, 8);
    let notes = Arc::new(Notes::new().unwrap());
    queue.shut(cause());
    queue.half_open();
    let (early, refused) = job(1);
    queue.push(early);
    assert!(refused.await.unwrap().is_err(), "a worker is tried, and no call");
    queue.admit_one(7, &notes);
    assert_eq!(queue.breaker(), BreakerState::HalfOpen);
    let (probe, waiting) = job(2);
    let (other, refused) = job(3);
    queue.push(probe);
    queue.push(other);
    assert_eq!(refused.await.unwrap().unwrap_err(), cause());
    let (import, _import) = import(4);
    queue.push(import);
    assert_eq!(queue.depth(), 2, "what prepares a call waits for the worker with it");
    assert!(notes.take().is_empty());
    drop(waiting);
    queue.sweep();
    assert!(matches!(notes.take()[..], [Note::Probed { round: 7, completed: false }]), "it was withdrawn");
    queue.admit_one(7, &notes);
    let (probe, _waiting) = job(5);
    queue.push(probe);
    assert_eq!(queue.depth(), 2, "the next may try");
}
