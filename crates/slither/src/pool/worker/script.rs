//! A worker that is only a script, for tests of its keeper.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;

use super::keeper::{Keeper, Parts};
use super::link::{End, Link};
use super::machine::{CallId, How};
use super::report::Autopsy;
use crate::context::Context;
use crate::pool::blackbox::Reading;
use crate::pool::clock::now;
use crate::pool::job::{Job, Waiting, WorkerName};
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::Station;
use crate::pool::supervisor::Notes;
use crate::store::Views;
use crate::wire::{self, Frame, Header, Kind, WireError};

/// What a worker sends, read by read, and then nothing.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) reads: VecDeque<Result<Frame, WireError>>,
    read: Option<Result<Frame, WireError>>,
    ended: Option<Instant>,
    /// What its black box shows, by turns: it goes on to the next whenever anything of it is looked at.
    pub(super) shows: Vec<(Vec<Reading>, Vec<u8>)>,
    looks: Cell<usize>,
}

impl Script {
    fn shown(&self) -> Option<&(Vec<Reading>, Vec<u8>)> {
        let at = self.looks.replace(self.looks.get() + 1);
        self.shows.get(at).or(self.shows.last())
    }
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
        self.shown().map_or_else(Vec::new, |(readings, _)| readings.clone())
    }

    fn how(&self, _: &Reading) -> How {
        How::Thread
    }

    fn withheld(&self) -> Vec<u8> {
        self.shown().map_or_else(Vec::new, |(_, withheld)| withheld.clone())
    }

    fn dumped(&self, _: Option<CallId>) -> usize {
        0
    }

    fn autopsy(&self, worker: Arc<WorkerName>, end: End, breach: Option<String>) -> Autopsy {
        Autopsy::bare(worker, end, Vec::new(), breach)
    }
}

pub(super) fn frame(kind: Kind, id: u64, body: &'static [u8]) -> Frame {
    Frame { header: Header { length: body.len(), kind, flags: 0, id }, body: Bytes::from_static(body) }
}

/// A worker that has said hello and answered call 1 at once, and was then given 2, and 3 ahead. With whoever waits for
/// the three.
pub(super) fn keeper() -> (Keeper<Script>, Arc<Station>, Vec<Waiting>) {
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
        let frame = wire::about(Kind::Call, id);
        let (job, wait) = Job::new(id, frame, Duration::from_secs(9), Arc::new(Context::none()), None);
        queue.push(job);
        keeper.turn();
        if id == 1 {
            keeper.link.reads.push_back(Ok(self::frame(Kind::Result, 1, b"\x90")));
            assert!(keeper.receive());
        }
        waiting.push(wait);
    }
    (keeper, station, waiting)
}
