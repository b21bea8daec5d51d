//! A keeper's hold on a simulated worker, in the place of socket, pid and black box.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustix::process::Signal;

use super::worker::{FakeWorker, Sent};
use crate::error::Phase;
use crate::pool::blackbox::Reading;
use crate::pool::clock::now;
use crate::pool::job::WorkerName;
use crate::pool::station::lock;
use crate::pool::worker::{Autopsy, CallId, End, How, Keeper, Link};
use crate::wire::{Frame, WireError};

/// What a keeper has of it.
#[derive(Debug)]
pub(super) struct FakeLink {
    pub(super) worker: Rc<RefCell<FakeWorker>>,
    read: VecDeque<Sent>,
    ended: Option<Instant>,
}

impl FakeLink {
    pub(super) fn new(worker: &Rc<RefCell<FakeWorker>>) -> Self {
        Self { worker: worker.clone(), read: VecDeque::new(), ended: None }
    }

    fn look(&self) -> Vec<Reading> {
        let (worker, now) = (self.worker.borrow(), now());
        let lanes = worker.lanes.iter().enumerate();
        let readings = lanes.filter_map(|(slot, lane)| {
            let (call, since) = lane.running?;
            let running = now.saturating_duration_since(since);
            Some(Reading { slot, call, running, phase: Some(Phase::User) })
        });
        readings.collect()
    }
}

impl Keeper<FakeLink> {
    /// Whether there is something to read.
    pub(super) fn hears(&self, worker: &FakeWorker) -> bool {
        self.is_listening() && (worker.closed || !worker.socket.is_empty())
    }
}

impl Link for FakeLink {
    fn write(&mut self, frame: &[u8]) {
        self.worker.borrow_mut().receive(frame);
    }

    fn receive(&mut self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        let mut worker = self.worker.borrow_mut();
        match worker.socket.pop_front() {
            Some(sent) => self.read.push_back(sent),
            None if worker.closed || worker.dead.is_some() => self.ended = Some(now()),
            None => return false,
        }
        // What comes together is read together, as far as it has come.
        while worker.dice.permille(500)
            && let Some(sent) = worker.socket.pop_front()
        {
            self.read.push_back(sent);
        }
        true
    }

    fn next(&mut self) -> Result<Option<Frame>, WireError> {
        match self.read.pop_front() {
            Some(Sent::Frame(frame)) => Ok(Some(frame)),
            Some(Sent::Garbage) => Err(WireError::UnknownKind(200)),
            None => Ok(None),
        }
    }

    fn end(&mut self) {
        self.ended.get_or_insert_with(now);
    }

    fn ended(&self) -> Option<Instant> {
        self.ended
    }

    fn cut_off(&self) -> Option<WireError> {
        self.worker.borrow().cut.then_some(WireError::Truncated { missing: 7 })
    }

    fn signal(&self, signal: Signal) {
        self.worker.borrow_mut().signal(signal);
    }

    fn readings(&self) -> Vec<Reading> {
        let changes = self.worker.borrow_mut().dice.permille(30);
        if changes { Vec::new() } else { self.look() }
    }

    fn how(&self, _: &Reading) -> How {
        How::Thread
    }

    fn withheld(&self) -> Vec<u8> {
        let worker = self.worker.borrow();
        let frames = worker.withheld.iter();
        if frames.len() > 0 && worker.dead.is_none() {
            lock(&worker.book).tally.count("withheld answers seen in living workers");
        }
        frames.flat_map(Frame::bytes).collect()
    }

    fn dumped(&self, _: Option<CallId>) -> usize {
        usize::from(self.worker.borrow_mut().dice.permille(500))
    }

    fn autopsy(&self, worker: Arc<WorkerName>, end: End, breach: Option<String>) -> Autopsy {
        let mut autopsy = Autopsy::bare(worker, end, self.look(), breach);
        autopsy.fatal = match &autopsy.found[..] {
            [only] => Some(only.reading.slot),
            _ => self.worker.borrow().fatal,
        };
        autopsy
    }
}
