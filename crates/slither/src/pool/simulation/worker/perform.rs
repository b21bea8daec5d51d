//! How a worker performs the steps of a call's script, and what of it goes over the socket.

use bytes::Bytes;
use serde::Serialize;

use super::super::book::Answer;
use super::super::objects::{MAKE, Reference};
use super::super::script::{FIRST, Step, Work, short};
use super::{FakeWorker, Sent};
use crate::codec;
use crate::pool::clock::now;
use crate::pool::station::lock;
use crate::pool::worker::CallId;
use crate::wire::{self, Frame, Header, Kind};

#[derive(Serialize)]
struct Remote {
    kind: &'static str,
    message: &'static str,
    traceback: Option<&'static str>,
    exception: Vec<&'static str>,
    retry_after: Option<f64>,
}

fn remote(kind: &'static str, retry_after: Option<f64>) -> Remote {
    Remote { kind, message: "as chance had it", traceback: None, exception: vec!["ValueError"], retry_after }
}

fn frame(kind: Kind, flags: u8, id: CallId, body: &impl Serialize) -> Frame {
    let mut bytes = Vec::with_capacity(64);
    codec::encode(body, &mut bytes).expect("it can be encoded");
    let header = Header { length: bytes.len(), kind, flags, id };
    Frame { header, body: Bytes::from(bytes) }
}

impl FakeWorker {
    pub(super) fn perform(&mut self, lane: usize, step: Step) {
        let work = self.lanes[lane].work.clone();
        if self.closed && !matches!(step, Step::Begin | Step::Die(_) | Step::Hang) {
            // What cannot be sent leaves its call as it is, in the black box, too.
            self.lanes[lane].hung = true;
            return self.lanes[lane].script.clear();
        }
        if step != Step::Rest {
            let call = work.as_ref().map_or(0, |work| short(work.id));
            lock(&self.book).say(|| format!("worker {} call {call}: {step:?}", self.epoch));
        }
        match (step, work) {
            (Step::Hello, _) => {
                #[derive(Serialize)]
                struct Hello {
                    protocol: u32,
                    sdk: &'static str,
                    pid: u32,
                    python: &'static str,
                    implementation: &'static str,
                    gil: bool,
                    slots: usize,
                }
                self.greeted = true;
                self.send(
                    Kind::Hello,
                    0,
                    0,
                    &Hello {
                        protocol: 1,
                        sdk: "1",
                        pid: 1,
                        python: "3",
                        implementation: "c",
                        gil: true,
                        slots: self.slots,
                    },
                );
            }
            (Step::Begin, Some(work)) => {
                self.lanes[lane].running = Some((work.id, now()));
                // Imports on the way to being ready are numbered anew in each worker.
                if work.id >= FIRST {
                    lock(&self.book).begin(work.id, self.epoch, self.slot, &work.items);
                }
                self.turn_session(&work);
                self.find_object(&work);
            }
            (Step::Yield(count), Some(work)) => {
                let run: Vec<Answer> = self.answers(&work).into_iter().take(count).collect();
                if let Some(work) = &mut self.lanes[lane].work {
                    work.yielded += run.len();
                }
                lock(&self.book).tally.count("runs of results yielded");
                self.send(Kind::Partial, 0, work.id, &run);
            }
            (Step::Overflow, Some(work)) => {
                self.broke = true;
                let many: Vec<Answer> =
                    (0..=work.items.len() as u64).map(|at| (at, work.id, self.epoch)).collect();
                self.send(Kind::Partial, 0, work.id, &many);
            }
            (Step::Answer, Some(work)) => self.answer(&work),
            (Step::AnswerTooMany, Some(work)) => {
                self.broke = true;
                lock(&self.book).answer(work.id);
                let mut answers = self.answers(&work);
                answers.push((0, work.id, self.epoch));
                self.send(Kind::Result, 0, work.id, &answers);
            }
            (Step::AnswerSome, Some(work)) => {
                lock(&self.book).answer(work.id);
                lock(&self.book).tally.count("batches of which items failed alone");
                let answers = self.answers(&work);
                let failed: Vec<(usize, Remote)> = (0..answers.len())
                    .filter(|at| at % 2 == 0)
                    .map(|at| (at, remote("failed", None)))
                    .collect();
                let some: Vec<Option<Answer>> = answers
                    .into_iter()
                    .enumerate()
                    .map(|(at, answer)| (at % 2 == 1).then_some(answer))
                    .collect();
                self.send(Kind::Result, wire::FAILED, work.id, &(some, failed));
            }
            (Step::Raise(kind), Some(work)) => {
                lock(&self.book).answer(work.id);
                let wait = (kind == "retry").then(|| self.dice.below(20) as f64 / 1000.0);
                self.send(Kind::Error, 0, work.id, &remote(kind, wait));
            }
            (Step::Refuse, Some(work)) => {
                self.broke = true;
                self.send_bare(Kind::Skipped, work.id);
            }
            (Step::Rest, work) => {
                self.lanes[lane].running = None;
                self.lanes[lane].work = None;
                if let Some(work) = work {
                    self.echo(work.id);
                }
            }
            (Step::Garbage, _) => {
                self.broke = true;
                self.socket.push_back(Sent::Garbage);
            }
            (Step::Close { cut }, _) => {
                self.broke = true;
                self.closed = true;
                self.cut = cut;
            }
            (Step::Die(death), _) => {
                lock(&self.book).tally.count("workers that died by themselves");
                // The stack tells whose call it was, mostly.
                self.fatal = self.dice.permille(700).then_some(lane);
                self.die(death);
            }
            (Step::Hang, _) => {
                lock(&self.book).tally.count("workers that hung");
                self.lanes[lane].hung = true;
                // With the GIL in its hands.
                if self.dice.permille(300) || self.lanes.len() == 1 {
                    self.hung = true;
                    for lane in &mut self.lanes {
                        lane.script.clear();
                    }
                }
            }
            (_, None) => {}
        }
    }

    /// What its session makes of the call.
    fn turn_session(&mut self, work: &Work) {
        let Some(session) = &work.session else { return };
        if work.kind == Kind::OpenSession as u8 {
            self.sessions.insert(session.clone(), 0);
        } else if work.kind == Kind::EndSession as u8 {
            self.sessions.remove(session);
        } else if lock(&self.book).strict.contains(session) {
            let state = self.sessions.get_mut(session);
            *state.unwrap_or_else(|| {
                panic!("session {session} is run in worker {}, where it does not live", self.epoch)
            }) += 1;
        }
    }

    /// A method is called of an object that is here.
    fn find_object(&self, work: &Work) {
        if let Some((epoch, object)) = work.object {
            assert_eq!(epoch, self.epoch, "object {object} of worker {epoch} is called in another");
            assert!(self.shelf.has(object), "object {object} is called, and is not there any more");
        }
    }

    fn answers(&self, work: &Work) -> Vec<Answer> {
        work.items[work.yielded..].iter().map(|item| (*item, work.id, self.epoch)).collect()
    }

    fn answer(&mut self, work: &Work) {
        lock(&self.book).answer(work.id);
        if work.kind == Kind::Call as u8 {
            let answers = self.answers(work);
            if self.in_order && self.has_next() && self.withheld.len() < 4 && self.dice.permille(600) {
                lock(&self.book).tally.count("answers withheld");
                return self.withheld.push(frame(Kind::Result, 0, work.id, &answers));
            }
            self.send(Kind::Result, 0, work.id, &answers);
        } else if work.kind == Kind::Bind as u8 {
            #[derive(Serialize)]
            struct Bound {
                kind: &'static str,
            }
            self.send(Kind::Bound, 0, work.id, &Bound { kind: "function" });
        } else if work.function == MAKE {
            let object = self.shelf.make(work.id);
            self.send(Kind::Result, wire::REFS, work.id, &Reference(self.epoch, object));
        } else {
            let state = work.session.as_ref().and_then(|session| self.sessions.get(session)).copied();
            self.send(Kind::Result, 0, work.id, &state.unwrap_or(0));
        }
    }

    /// Now and then something is answered again, or what is another's.
    fn echo(&mut self, id: CallId) {
        if lock(&self.book).quiet() || !self.dice.permille(self.faults.echo) {
            return;
        }
        let id = match self.dice.below(4) {
            0 => *self.dice.pick(&self.seen),
            1 => id + self.dice.below(4),
            _ => id,
        };
        self.echoes.push((now() + self.dice.millis(0, 30), id));
    }

    pub(super) fn send(&mut self, kind: Kind, flags: u8, id: CallId, body: &impl Serialize) {
        self.flush();
        self.socket.push_back(Sent::Frame(frame(kind, flags, id, body)));
    }

    pub(super) fn send_bare(&mut self, kind: Kind, id: CallId) {
        self.flush();
        let header = Header { length: 0, kind, flags: 0, id };
        self.socket.push_back(Sent::Frame(Frame { header, body: Bytes::new() }));
    }
}
