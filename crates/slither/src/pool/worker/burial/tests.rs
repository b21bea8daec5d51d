//! Who is blamed when a worker has broken the protocol: a keeper over a link that is only a script.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;

use super::*;
use crate::context::Context;
use crate::error::ErrorKind;
use crate::pool::blackbox::Reading;
use crate::pool::clock::now;
use crate::pool::job::{Job, Waiting, WorkerName};
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::Station;
use crate::pool::supervisor::Notes;
use crate::pool::worker::{How, Parts};
use crate::store::Views;
use crate::wire::{Frame, Header, Kind, WireError};

/// What a worker sends, read by read, and then nothing.
#[derive(Debug, Default)]
struct Script {
    reads: VecDeque<Result<Frame, WireError>>,
    read: Option<Result<Frame, WireError>>,
    ended: Option<Instant>,
}

impl Link for Script {
    fn write(&mut self, _: &[u8]) {}

    fn receive(&mut self) -> bool {
        self.read = self.reads.pop_front().filter(|_| self.ended.is_none());
        self.read.is_some()
    }

    fn next(&mut self) -> Result<Option<Frame>, WireError> {
        self.read.take().transpose()
    }

    fn end(&mut self) {
        self.ended.get_or_insert_with(now);
    }

    fn ended(&self) -> Option<Instant> {
        self.ended
    }

    fn cut_off(&self) -> Option<WireError> {
        None
    }

    fn signal(&self, _: Signal) {}

    fn readings(&self) -> Vec<Reading> {
        Vec::new()
    }

    fn how(&self, _: &Reading) -> How {
        How::Thread
    }

    fn withheld(&self) -> Vec<u8> {
        Vec::new()
    }

    fn dumped(&self) -> bool {
        false
    }

    fn autopsy(&self, worker: Arc<WorkerName>, end: End, breach: Option<String>) -> Autopsy {
        Autopsy::bare(worker, end, Vec::new(), breach)
    }
}

fn frame(kind: Kind, id: u64, body: &'static [u8]) -> Frame {
    Frame { header: Header { length: body.len(), kind, flags: 0, id }, body: Bytes::from_static(body) }
}

fn call(id: u64) -> (Job, Waiting) {
    Job::new(id, vec![0; 16], Duration::from_secs(9), Arc::new(Context::none()), None)
}

/// A worker says hello, answers call 1, is given 2 and 3, breaks the protocol and dies. Returns how 2 and 3 ended;
/// none is still to be run.
async fn breach(claims: bool, sentence: Option<Sentence>) -> [Option<ErrorKind>; 2] {
    let handle = tokio::runtime::Handle::current();
    let token = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::SEMAPHORE).unwrap();
    let name = WorkerName { name: "p/0#1".into(), pid: 1 };
    let station = Arc::new(Station::new(name, 0, 1, token).unwrap());
    let queue = Arc::new(Queue::new(4, 1, 8));
    let hello = b"\x86\xa8protocol\x01\xa3sdk\xa0\xa3pid\x01\xa6python\xa0\xaeimplementation\xa0\xa3gil\xc3";
    let mut keeper = Keeper::new(Parts {
        station: station.clone(),
        link: Script { reads: [Ok(frame(Kind::Hello, 0, hello))].into(), ..Script::default() },
        queue: queue.clone(),
        notes: Arc::new(Notes::new().unwrap()),
        service: Arc::new(Service::new("p".into(), Views::default(), handle)),
        graveyard: Arc::default(),
        max_frame: 1024,
        max_requests: None,
        most_slots: 1,
        in_order: true,
        cancels: false,
        binds: VecDeque::new(),
    });
    assert!(keeper.receive());
    let mut waiting = Vec::new();
    for id in 1..=3 {
        let (job, wait) = call(id);
        queue.push(job);
        keeper.turn();
        if id == 1 {
            keeper.link.reads.push_back(Ok(frame(Kind::Result, 1, b"\x90")));
            assert!(keeper.receive());
        }
        waiting.push(wait);
    }
    assert_eq!(lock(&station.held).len(), 2, "one runs, and one was sent ahead");
    if claims {
        assert!(rustix::io::read(&station.token, &mut [0; 8]).is_ok());
    }
    if let Some(sentence) = sentence {
        station.order(crate::pool::station::Order::Kill(sentence));
        keeper.turn();
    }
    keeper.link.reads.push_back(Err(WireError::UnknownKind(200)));
    assert!(keeper.receive());
    keeper.retire();
    keeper.bury();
    let mut ended = |at: usize| waiting[at].try_recv().ok().map(|answer| answer.unwrap_err().kind());
    [ended(1), ended(2)]
}

#[tokio::test]
async fn what_a_worker_claimed_behind_its_breach_is_blamed_and_never_run_again() {
    let protocol = Some(ErrorKind::Protocol);
    assert_eq!(breach(false, None).await, [protocol, None], "the call ahead was not begun");
    assert_eq!(
        breach(true, None).await,
        [protocol, protocol],
        "it may have been run, and its answer is not read"
    );
}

#[tokio::test]
async fn a_breach_counts_also_in_a_worker_that_was_to_die_anyway() {
    let crash = Some(ErrorKind::Crash);
    assert_eq!(breach(false, Some(Sentence::Nursery)).await, [crash, None]);
    assert_eq!(breach(true, Some(Sentence::Nursery)).await, [crash, crash]);
}
