//! A worker that never was a process: what it does with each frame, and all that can go wrong with it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rustix::process::Signal;

use super::book::{Answer, Shared};
use super::dice::Dice;
use super::objects::Shelf;
use super::plan::Faults;
use super::script::{FATES, Fate, Step, Work, is_call, parse, plan, short};
use crate::error::Death;
use crate::pool::clock::now;
use crate::pool::station::{Station, lock};
use crate::pool::worker::CallId;
use crate::wire::{self, Frame, Kind};

mod perform;

/// What lies in the socket on its way to the host.
#[derive(Debug)]
pub(super) enum Sent {
    Frame(Frame),
    Garbage,
}

#[derive(Debug)]
pub(super) struct FakeWorker {
    pub(super) epoch: u64,
    slot: usize,
    station: Arc<Station>,
    pub(super) book: Shared,
    pub(super) dice: Dice,
    faults: Faults,
    short: bool,
    inbox: VecDeque<Arrived>,
    pub(super) socket: VecDeque<Sent>,
    /// Answers that wait for the next that is sent, and those that waited for the last.
    pub(super) withheld: Vec<Frame>,
    flushed: Vec<Frame>,
    pub(super) lanes: Vec<Lane>,
    /// How many of them take calls.
    slots: usize,
    in_order: bool,
    greeted: bool,
    /// When fewer of them will.
    shrinks: Option<Instant>,
    /// The lane whose call brought it down.
    pub(super) fatal: Option<usize>,
    /// Answers that nobody asked for.
    echoes: Vec<(Instant, CallId)>,
    seen: Vec<CallId>,
    sessions: HashMap<String, u64>,
    pub(super) shelf: Shelf,
    pub(super) closed: bool,
    pub(super) cut: bool,
    dying: Option<(Instant, Death)>,
    pub(super) dead: Option<Death>,
    /// It was told to end, or signalled.
    pub(super) provoked: bool,
    /// It has broken the protocol.
    pub(super) broke: bool,
    /// It was sent the signal that cannot be ignored.
    pub(super) killed: bool,
    /// It has given cause for that, or somebody above has: it is late, or everything ends.
    pub(super) condemned: bool,
    hung: bool,
    deaf: bool,
    pub(super) immortal: bool,
}

/// A frame that the host has written.
#[derive(Debug)]
struct Arrived {
    work: Work,
    claim: bool,
}

/// What runs one call at a time.
#[derive(Debug, Default)]
pub(super) struct Lane {
    script: VecDeque<(Instant, Step)>,
    work: Option<Work>,
    /// The call in its slot of the black box, and since when.
    pub(super) running: Option<(CallId, Instant)>,
    hung: bool,
}

impl Lane {
    fn is_free(&self) -> bool {
        self.script.is_empty() && !self.hung
    }
}

impl FakeWorker {
    pub(super) fn new(
        station: &Arc<Station>,
        book: &Shared,
        mut dice: Dice,
        faults: Faults,
        short: bool,
        slots: usize,
        in_order: bool,
    ) -> Self {
        let quiet = lock(book).quiet();
        let boot = now() + dice.millis(0, 12);
        let script = match (!quiet && dice.permille(faults.start), dice.below(3)) {
            (false, _) => [(boot, Step::Hello), (boot, Step::Rest)].into(),
            (true, 0) => [(boot, Step::Hang)].into(),
            (true, _) => [(boot, Step::Die(Death::Code(3)))].into(),
        };
        let mut lanes: Vec<Lane> = (0..slots).map(|_| Lane::default()).collect();
        lanes[0].script = script;
        let shrinks = (slots > 1 && dice.permille(150)).then(|| boot + dice.millis(0, 100));
        let deaf = dice.permille(faults.stubborn);
        let immortal = !quiet && deaf && dice.permille(100);
        Self {
            epoch: station.epoch,
            slot: station.slot,
            station: station.clone(),
            book: book.clone(),
            faults,
            short,
            inbox: VecDeque::new(),
            socket: VecDeque::new(),
            withheld: Vec::new(),
            flushed: Vec::new(),
            lanes,
            slots,
            in_order,
            greeted: false,
            shrinks,
            fatal: None,
            echoes: Vec::new(),
            seen: Vec::new(),
            sessions: HashMap::new(),
            shelf: Shelf::default(),
            closed: false,
            cut: false,
            dying: None,
            dead: None,
            provoked: false,
            broke: false,
            killed: false,
            condemned: false,
            hung: false,
            deaf,
            immortal,
            dice,
        }
    }

    /// The calls that it was given.
    pub(super) fn suspects(&self) -> impl Iterator<Item = CallId> {
        self.seen.iter().copied().chain(self.inbox.iter().map(|arrived| arrived.work.id))
    }

    /// A lane that can read a frame now, and the frame: of a session that lives here one runs at a time.
    fn reads(&self) -> Option<(usize, usize)> {
        if self.hung || self.closed {
            return None;
        }
        let busy = self.lanes.iter().filter(|lane| !lane.is_free()).count();
        let lane = self.lanes.iter().position(Lane::is_free).filter(|_| busy < self.slots)?;
        let waits = |arrived: &Arrived| {
            let session = arrived.work.session.as_ref();
            let Some(session) = session.filter(|session| self.sessions.contains_key(*session)) else {
                return false;
            };
            let of =
                |lane: &Lane| lane.work.as_ref().is_some_and(|work| work.session.as_ref() == Some(session));
            self.lanes.iter().any(of)
        };
        Some((lane, self.inbox.iter().position(|arrived| !waits(arrived))?))
    }

    /// A frame that is not of the session that the first is of, which its line does not know of yet as free.
    fn passes(&self, first: usize) -> Option<usize> {
        let session = self.inbox[first].work.session.as_ref();
        let session = session.filter(|session| self.sessions.contains_key(*session))?;
        let other = |arrived: &Arrived| {
            let of = arrived.work.session.as_ref();
            is_call(arrived.work.kind) && of.is_none_or(|of| of != session && !self.sessions.contains_key(of))
        };
        self.inbox.iter().position(other)
    }

    /// When it does something next.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.dead.is_some() {
            return None;
        }
        let reads = self.reads().is_some().then(now);
        let echo = self.echoes.iter().map(|(at, _)| *at).min();
        let steps = self.lanes.iter().filter_map(|lane| lane.script.front());
        let step = steps.map(|(at, _)| *at).min();
        let shrinks = self.shrinks.filter(|_| !self.closed);
        let flushes = self.flushes().then(now);
        [reads, echo, step, shrinks, flushes, self.dying.map(|(at, _)| at)].into_iter().flatten().min()
    }

    /// Whether it sends what it has withheld now, because no call is there to be run next.
    fn flushes(&self) -> bool {
        let free = !self.hung && !self.closed && self.lanes.iter().all(Lane::is_free);
        free && !self.withheld.is_empty() && !self.has_next()
    }

    /// Whether the next frame that it has is a call.
    fn has_next(&self) -> bool {
        self.inbox.front().is_some_and(|arrived| is_call(arrived.work.kind))
    }

    /// Sends what it has withheld.
    fn flush(&mut self) {
        if !self.withheld.is_empty() {
            self.flushed = std::mem::take(&mut self.withheld);
            self.socket.extend(self.flushed.iter().cloned().map(Sent::Frame));
        }
    }

    /// Does the next thing that is due.
    pub(super) fn step(&mut self) {
        let now = now();
        if let Some((at, death)) = self.dying
            && at <= now
        {
            return self.die(death);
        }
        if let Some(place) = self.echoes.iter().position(|(at, _)| *at <= now) {
            let (_, id) = self.echoes.swap_remove(place);
            let mine = self.lanes.iter().filter_map(|lane| lane.work.as_ref()).any(|work| work.id == id)
                || self.inbox.iter().any(|arrived| arrived.work.id == id);
            if !mine && !self.closed {
                lock(&self.book).tally.count("answers sent late, twice or for nothing");
                let answer: [Answer; 1] = [(id, id, self.epoch)];
                self.send(Kind::Result, 0, id, &answer);
            }
            return;
        }
        if self.shrinks.is_some_and(|at| at <= now) && !self.closed {
            return self.shrink();
        }
        if self.flushes() {
            return self.flush();
        }
        let first = |lane: &usize| self.lanes[*lane].script.front().map(|(at, _)| *at);
        let next = (0..self.lanes.len()).filter(|lane| first(lane).is_some()).min_by_key(first);
        if let Some(lane) = next.filter(|lane| first(lane).is_some_and(|at| at <= now)) {
            if let Some((_, step)) = self.lanes[lane].script.pop_front() {
                self.perform(lane, step);
            }
        } else if let Some((lane, first)) = self.reads() {
            let passes = !self.in_order && self.dice.permille(300);
            let place = if passes { self.passes(first).unwrap_or(first) } else { first };
            let Some(arrived) = self.inbox.remove(place) else { return };
            self.read(lane, arrived);
        }
    }

    /// An import has turned the GIL on.
    fn shrink(&mut self) {
        self.shrinks = None;
        // Before its hello it would say so there.
        if !self.greeted || self.hung {
            return;
        }
        self.slots = 1;
        lock(&self.book).tally.count("workers whose slots became fewer");
        lock(&self.book).say(|| format!("worker {} has one slot left", self.epoch));
        self.send(Kind::Capacity, 0, 0, &(1, true, Some("some.module")));
    }

    pub(super) fn die(&mut self, death: Death) {
        if self.dead.is_none() {
            lock(&self.book).say(|| format!("worker {} {death}", self.epoch));
            lock(&self.book).deaths += 1;
            self.dead = Some(death);
            if !self.withheld.is_empty() {
                lock(&self.book).tally.count("deaths with answers withheld");
            } else if self.dice.permille(300) {
                // It was sent, and not yet taken out.
                self.withheld = std::mem::take(&mut self.flushed);
            }
        }
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.provoked = true;
        // Python's stack is asked for at a deadline.
        self.condemned |= self.broke || signal == Signal::USR2;
        assert!(self.condemned, "worker {} is killed, and has done nothing wrong", self.epoch);
        self.killed |= signal == Signal::KILL;
        let number = signal.as_raw();
        lock(&self.book).say(|| format!("worker {} is sent signal {number}", self.epoch));
        let harmless = signal == Signal::USR2 || (signal == Signal::TERM && self.deaf);
        if self.immortal && signal == Signal::KILL {
            lock(&self.book).tally.count("processes that SIGKILL did not end");
        }
        if !harmless && !self.immortal && self.dying.is_none() {
            self.dying = Some((now() + self.dice.millis(0, 2), Death::Signal(number)));
        }
    }

    /// What a host writes arrives, unless nobody is there.
    pub(super) fn receive(&mut self, frame: &[u8]) {
        if self.dead.is_none() {
            let work = parse(frame);
            // Nobody can foresee an id, and answer a call that it has not been given.
            self.socket.retain(
                |sent| !matches!(sent, Sent::Frame(frame) if frame.header.id == work.id && work.id != 0),
            );
            if work.id != 0 && is_call(work.kind) {
                lock(&self.book).say(|| {
                    format!(
                        "worker {} is given call {}{}",
                        self.epoch,
                        short(work.id),
                        if frame[5] & wire::CLAIM != 0 { " ahead" } else { "" }
                    )
                });
                lock(&self.book).give(work.id, self.epoch, &work.items);
                if frame[5] & wire::CLAIM != 0 {
                    lock(&self.book).tally.count("calls sent ahead");
                }
            }
            self.inbox.push_back(Arrived { work, claim: frame[5] & wire::CLAIM != 0 });
        }
    }

    fn read(&mut self, lane: usize, Arrived { work, claim }: Arrived) {
        let at = now();
        if work.kind == Kind::Stop as u8 {
            self.provoked = true;
            lock(&self.book).check_stop(self.epoch);
            if !self.deaf {
                self.dying = Some((at + self.dice.millis(0, 5), Death::Code(0)));
            }
            self.hung = true;
            return;
        }
        for kind in [Kind::KeepRefs, Kind::DropRefs] {
            if work.kind == kind as u8 {
                return self.shelf.heed(kind, work.id, &work.items);
            }
        }
        if work.kind == Kind::Bind as u8 || is_call(work.kind) {
            self.seen.push(work.id);
        } else {
            return;
        }
        if claim && rustix::io::read(&self.station.token, &mut [0; 8]).is_err() {
            lock(&self.book).tally.count("calls taken back");
            lock(&self.book).say(|| format!("worker {} skips call {}", self.epoch, short(work.id)));
            self.send_bare(Kind::Skipped, work.id);
            return;
        }
        let fate = self.fate(&work);
        let (fast, slow) = if self.short { (1, 1) } else { (15, 15) };
        let takes = match self.dice.permille(if self.short { 900 } else { 300 }) {
            true => self.dice.millis(0, fast),
            false => self.dice.millis(0, slow.max(12)),
        };
        self.lanes[lane].script = plan(fate, at, takes, &work, &mut self.dice);
        self.lanes[lane].work = Some(work);
    }

    fn fate(&mut self, work: &Work) -> Fate {
        let quiet = lock(&self.book).quiet();
        if quiet || !self.dice.permille(self.faults.call) {
            return Fate::Good;
        }
        match self.dice.weighted(&FATES) {
            Fate::FailsSome | Fate::TooMany if work.kind != Kind::Call as u8 => Fate::Raises,
            Fate::AsksAgain if work.kind != Kind::Call as u8 => Fate::Raises,
            Fate::Overflows if !work.streams => Fate::Raises,
            fate => fate,
        }
    }

    /// Whether it has nothing to do, and has read all that it was sent.
    pub(super) fn is_free_of_work(&self) -> bool {
        self.dead.is_none()
            && !self.hung
            && !self.closed
            && self.inbox.is_empty()
            && self.lanes.iter().all(Lane::is_free)
    }
}
