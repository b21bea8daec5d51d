//! What a worker still gets that was replaced before its time, and when it may go.

use super::*;

const AGED: Recycled = Recycled::Ttl { limit: Duration::from_secs(1) };
const GROWN: Recycled = Recycled::MaxRss { growth: 3 << 20, limit: 1 << 20 };
const OLD: Route = Route::Worker { slot: 0, epoch: 1 };

/// A queue with one slot, in which a worker is replaced by another.
fn replaced(why: Recycled, before: impl FnOnce(&Queue, &Arc<Station>)) -> (Queue, [Arc<Station>; 2]) {
    let queue = Queue::new(9, 1, 8);
    let old = station(1);
    let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
    let name = WorkerName { name: "p/0#2".into(), pid: 2 };
    let next = Arc::new(Station::new(name, 0, 2, token).unwrap());
    queue.join(&old);
    before(&queue, &old);
    queue.join(&next);
    queue.retire(&old, why);
    (queue, [old, next])
}

fn session(queue: &Queue, at: &Station) -> SessionId {
    let id = SessionId::fresh();
    let mut sessions = lock(&queue.sessions);
    assert!(sessions.add(&id, None, std::time::Instant::now()));
    sessions.place(&id, &[true]);
    drop(sessions);
    assert!(queue.settle(&id, at));
    id
}

#[test]
fn it_gets_only_what_is_for_it_alone_and_is_told_of_that() {
    let (queue, [old, next]) = replaced(AGED, |_, _| ());
    let mut waiting = Vec::new();
    for (id, route) in [(1, Route::Any), (2, OLD), (3, Route::Slot(0))] {
        let (job, wait) = bound(id, route);
        queue.push(job);
        waiting.push(wait);
    }
    assert!(old.bell.rang());
    assert_eq!(queue.stations().len(), 1);
    assert!(!queue.release(&old), "a call waits for it");
    assert_eq!(ids(&queue, &old), [2]);
    assert_eq!(ids(&queue, &next), [1, 3]);
    assert!(queue.release(&old));
    let (late, _late) = bound(4, Route::Any);
    queue.push(late);
    let mut orders = Vec::new();
    next.take_orders(&mut orders);
    assert!(matches!(&orders[..], [Order::Job(job)] if job.id == 4), "the old one is idle for nobody");
}

#[tokio::test]
async fn it_waits_for_a_session_and_for_who_holds_an_object() {
    let (queue, [old, _next]) = replaced(AGED, |_, _| ());
    // An answer that was on its way when it was replaced.
    let id = session(&queue, &old);
    old.pin();
    assert!(!queue.release(&old));
    lock(&queue.sessions).end(&id);
    assert!(!queue.release(&old), "somebody holds an object");
    old.unpin();
    assert!(queue.release(&old));
    let id = SessionId::fresh();
    lock(&queue.sessions).add(&id, None, std::time::Instant::now());
    assert!(!queue.settle(&id, &old), "nothing comes to live in it any more");
    let (late, refused) = bound(1, OLD);
    queue.push(late);
    assert_eq!(refused.await.unwrap().unwrap_err().kind(), ErrorKind::SessionLost);
}

#[tokio::test]
async fn one_that_has_grown_too_much_waits_for_neither_and_says_why() {
    let mut lost = None;
    let mut home = None;
    let (queue, [old, _next]) = replaced(GROWN, |queue, old| {
        home = Some(session(queue, old));
        old.pin();
        let (waited, waiting) = bound(1, OLD);
        queue.push(waited);
        lost = Some(waiting);
    });
    let why = "the Python object is lost: its worker p/0#1 (pid 1) was recycled: its memory had grown by 3.0 MiB, and \
               max_rss is 1.0 MiB";
    assert_eq!(lost.unwrap().await.unwrap().unwrap_err().message(), why);
    let loss = lock(&queue.sessions).loss(&home.unwrap()).cloned().unwrap();
    assert_eq!(loss.death, Some(Death::Recycled(GROWN)));
    assert!(queue.take_or_wait(&old).is_none(), "not what is for others either");
    assert!(queue.release(&old));
    let (late, refused) = bound(2, OLD);
    queue.push(late);
    assert_eq!(refused.await.unwrap().unwrap_err().message(), why, "also when it has gone");
}
