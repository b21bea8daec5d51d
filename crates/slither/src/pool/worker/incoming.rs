//! What a worker sends, frame by frame.

use std::time::Instant;

use super::keeper::Keeper;
use super::link::Link;
use super::machine::{CallId, Event};
use super::withheld::answers;
use crate::error::ItemError;
use crate::pool::station::lock;
use crate::pool::supervisor::Note;
use crate::python::Gil;
use crate::wire::{self, Capacity, Frame, Hello, Kind, RemoteError, ViewCall, WireError};

impl<L: Link> Keeper<L> {
    /// Reads once and takes in the frames that are whole; false if there was nothing to read.
    pub(crate) fn receive(&mut self) -> bool {
        let read = self.link.receive();
        if read && let Err(error) = self.take_frames() {
            self.broke(error.to_string());
        }
        self.deliver();
        read
    }

    fn take_frames(&mut self) -> Result<(), WireError> {
        while let Some(frame) = self.link.next()? {
            self.take_frame(frame)?;
        }
        Ok(())
    }

    pub(super) fn broke(&mut self, breach: String) {
        self.breach.get_or_insert(breach);
        self.unread = true;
        self.link.end();
        self.on(Event::Broke);
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), WireError> {
        let header = frame.header;
        let unreadable = |reason| WireError::Body { kind: header.kind, reason };
        match header.kind {
            Kind::Result | Kind::Error | Kind::Bound if self.importing.is_some_and(|left| left > 0) => {
                // A function that this worker cannot import fails the calls of it, with the reason.
                self.importing = self.importing.map(|left| left - 1);
                self.import_next();
                self.ready_if_imported();
            }
            Kind::Error if self.importing.is_none() && header.id == 0 => {
                let why: RemoteError = wire::body(&frame.body).map_err(unreadable)?;
                self.unfit = Some(ItemError::from(why).report());
            }
            Kind::Result | Kind::Error | Kind::Bound => {
                if self.unclaimed(header.id) {
                    return Err(WireError::Unclaimed { id: header.id });
                }
                if !self.withheld.is_known(header.id) {
                    self.take_answer(frame);
                }
            }
            Kind::Partial if self.machine.runs(header.id) => {
                let portion = self.reply(frame);
                let mut held = lock(&self.station.held);
                if let Some(job) = held.get_mut(header.id) {
                    job.pass(portion).map_err(unreadable)?;
                }
                drop(held);
                // Who took its values may have gone before there was a worker to be told of it.
                self.cancel_abandoned();
            }
            Kind::Partial => self.service.stray(&self.station.worker, header.id),
            Kind::Progress => {
                let done = wire::body(&frame.body).map_err(unreadable)?;
                self.service.progress(&self.station, header.id, done);
            }
            Kind::Skipped => {
                // Whoever took the call back may not have said so yet.
                drop(lock(&self.station.held));
                self.take_orders();
                self.on(Event::Skipped(header.id));
                if self.machine.broken() {
                    return Err(WireError::Refused { id: header.id });
                }
            }
            Kind::View => {
                let call = ViewCall::parse(&frame.body).map_err(unreadable)?;
                let many = header.flags & wire::MANY != 0;
                let (station, service) = (&self.station, &self.service);
                self.views.ask(header.id, call, many, station, service, &mut self.link);
            }
            Kind::Log => {
                let log = wire::body(&frame.body).map_err(unreadable)?;
                self.service.log(&self.station, &log);
            }
            Kind::Capacity if self.most_slots > 1 && self.importing.is_some() => {
                let capacity: Capacity = wire::body(&frame.body).map_err(unreadable)?;
                self.change(capacity).map_err(unreadable)?;
            }
            Kind::Hello if self.importing.is_none() => {
                let hello: Hello = wire::body(&frame.body).map_err(unreadable)?;
                if hello.protocol != 1 {
                    let reason = format!("protocol {} was offered, 1 is spoken here", hello.protocol);
                    return Err(unreadable(reason));
                }
                self.greet(hello).map_err(unreadable)?;
                self.importing = Some(self.binds.len());
                for _ in 0..self.station.slots() {
                    self.import_next();
                }
                self.ready_if_imported();
            }
            Kind::Hello
            | Kind::Call
            | Kind::Execute
            | Kind::Bind
            | Kind::ViewReply
            | Kind::Stop
            | Kind::OpenSession
            | Kind::EndSession
            | Kind::KeepRefs
            | Kind::DropRefs
            | Kind::Cancel
            | Kind::Dump
            | Kind::More
            | Kind::Capacity => {
                return Err(WireError::Unexpected { kind: header.kind });
            }
        }
        Ok(())
    }

    fn take_answer(&mut self, frame: Frame) {
        let id = frame.header.id;
        self.answer = Some(frame);
        self.on(Event::Answered(id));
    }

    /// Takes in the answers that the worker has ready, and withholds while it runs something longer.
    pub(super) fn look_at_withheld(&mut self, now: Instant) {
        // First, so that what was withheld before the call that is seen to run is found.
        let readings = self.link.readings();
        let found = self.ready_answers();
        let found = self.withheld.look(found, &readings, now);
        self.take_answers(found);
    }

    /// Takes in the answers that the worker had ready when it died.
    pub(super) fn take_withheld(&mut self) {
        let found = self.ready_answers();
        self.take_answers(found);
    }

    /// The answers in the black box that have not come over the socket.
    fn ready_answers(&self) -> Vec<Frame> {
        let mut found = answers(&self.link.withheld());
        let held = lock(&self.station.held);
        found.retain(|frame| held.get(frame.header.id).is_some());
        found
    }

    fn take_answers(&mut self, found: Vec<Frame>) {
        for frame in found {
            let id = frame.header.id;
            if !self.machine.runs(id) {
                // One before it has gone over the socket, and was not read yet.
                break;
            }
            self.withheld.took(id);
            self.take_answer(frame);
        }
        self.deliver();
    }

    /// Whether this is the call ahead, which may be another's at any moment, as the worker has not claimed it.
    fn unclaimed(&self, id: CallId) -> bool {
        if self.in_order {
            // This one is no answer to any: the machine says so.
            return false;
        }
        let ahead = lock(&self.station.held).ahead().any(|job| job.id == id);
        ahead && self.station.unclaimed() > 0
    }

    /// Takes in what the worker says of itself.
    fn greet(&mut self, hello: Hello) -> Result<(), String> {
        let Hello { slots, gil, gil_build, gil_by, adapter, .. } = hello;
        self.check_slots(slots, self.most_slots)?;
        self.station.learn(slots, Gil::new(gil, gil_build, gil_by));
        self.on(Event::Capacity(slots));
        if let Some(adapter) = adapter {
            self.service.introduce(adapter);
        }
        Ok(())
    }

    /// Takes in that an import has changed it.
    fn change(&mut self, capacity: Capacity) -> Result<(), String> {
        let Capacity { slots, gil, gil_by } = capacity;
        let before = self.station.slots();
        self.check_slots(slots, before)?;
        let build = self.station.gil().is_some_and(|gil| gil.free_threaded_build);
        let gil = Gil::new(gil, build, gil_by);
        self.station.learn(slots, gil.clone());
        self.on(Event::Capacity(slots));
        self.service.capacity_changed(&self.station.worker, before, slots, &gil);
        Ok(())
    }

    fn check_slots(&self, slots: usize, most: usize) -> Result<(), String> {
        match slots {
            slots if (1..=most).contains(&slots) => Ok(()),
            slots => Err(format!("it takes {slots} calls at once, expected 1 to {most}")),
        }
    }

    fn import_next(&mut self) {
        if let Some(bind) = self.binds.pop_front() {
            self.link.write(&bind);
        }
    }

    fn ready_if_imported(&mut self) {
        if self.importing == Some(0) && self.machine.starting() {
            self.on(Event::Ready);
            self.station.memory.settle();
            self.queue.join(&self.station);
            self.notes.leave(Note::Ready(self.station.epoch));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::error::Phase;
    use crate::pool::blackbox::Reading;
    use crate::pool::worker::script;
    use crate::wire::{Kind, WireError};

    /// The answer to call 2, as it stands in the black box.
    fn withheld() -> Vec<u8> {
        script::frame(Kind::Result, 2, b"\x90").bytes()
    }

    fn runs(call: u64, micros: u64) -> Vec<Reading> {
        vec![Reading { slot: 0, call, running: Duration::from_micros(micros), phase: Some(Phase::User) }]
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_withheld_while_the_black_box_is_read_is_found() {
        let (mut keeper, _station, mut waiting) = script::keeper();
        // Between two looks call 2 ends, which took no time, and call 3 begins, which goes on and on.
        keeper.link.shows = vec![(runs(2, 20), Vec::new()), (runs(3, 300), withheld())];
        // The worker's keeper, too, had no time for a while.
        tokio::time::advance(Duration::from_millis(7)).await;
        for _ in 0..9 {
            keeper.turn();
            tokio::time::advance(Duration::from_millis(2)).await;
        }
        assert!(waiting[1].try_recv().is_ok_and(|answer| answer.is_ok()), "call 3 has no end");
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_breach_nothing_is_taken_from_the_black_box_either() {
        let (mut keeper, _station, mut waiting) = script::keeper();
        keeper.link.shows = vec![(runs(3, 300), withheld())];
        keeper.link.reads.push_back(Err(WireError::UnknownKind(200)));
        assert!(keeper.receive());
        for _ in 0..9 {
            tokio::time::advance(Duration::from_millis(2)).await;
            keeper.turn();
        }
        assert!(waiting[1].try_recv().is_err(), "it is not dead yet");
    }
}
