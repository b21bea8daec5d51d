//! The thread that keeps one worker: it owns the socket, the clock and the signals, and decides nothing.
//!
//! It never blocks on a write, because a worker that writes a large answer does not read meanwhile.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Signal, pidfd_send_signal};

use super::machine::{Action, Event, Want, Worker};
use super::report::Autopsy;
use crate::error::Death;
use crate::pool::blackbox::BlackBox;
use crate::pool::graveyard::Graveyard;
use crate::pool::job::{Job, MAX_REQUEUES, Reply};
use crate::pool::output::Output;
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::{Order, Station, lock};
use crate::pool::supervisor::{Notes, Note};
use crate::wire::{self, Frame, FrameReader, Hello, Kind, ViewCall, WireError};

/// How long the nursery may take to say how a worker ended.
const REAP: Duration = Duration::from_secs(2);
/// How long after SIGKILL a process that is still there is given up.
const ABANDON: Duration = Duration::from_secs(5);
/// Views that a worker may wait for at once.
const MAX_VIEWS: usize = 64;

/// What a keeper is given of its worker.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) station: Arc<Station>,
    pub(crate) socket: OwnedFd,
    pub(crate) pidfd: OwnedFd,
    pub(crate) blackbox: BlackBox,
    pub(crate) stderr: Arc<Mutex<Output>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) service: Arc<Service>,
    pub(crate) graveyard: Arc<Mutex<Graveyard>>,
    pub(crate) max_frame: usize,
    /// Frames that import what the pool's calls need; the worker is ready when all are answered.
    pub(crate) binds: Vec<Vec<u8>>,
}

/// The running state of a keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    parts: Parts,
    machine: Worker,
    reader: FrameReader,
    /// What the socket would not take yet.
    unsent: Vec<u8>,
    sent: usize,
    actions: Vec<Action>,
    orders: Vec<Order>,
    /// Views asked and not yet answered, with their deadlines.
    views: HashMap<u64, Instant>,
    /// The answer to be handed over by the next [`Action::Complete`].
    answer: Option<Frame>,
    /// Calls for this worker alone; each holds a place of the bounded queue.
    own: VecDeque<Job>,
    /// Set when the pool shuts down: the queue is emptied, then the worker stops, by this time.
    draining: Option<Instant>,
    /// Imports that are not answered yet; none before the hello.
    importing: Option<usize>,
    breach: Option<String>,
    /// When it was sent the signal that cannot be ignored.
    killed: Option<Instant>,
    /// The socket has ended.
    ended: bool,
    death: Option<Death>,
}

impl Keeper {
    pub(crate) fn new(parts: Parts) -> Self {
        let reader = FrameReader::new(parts.max_frame);
        Self {
            parts,
            machine: Worker::new(),
            reader,
            unsent: Vec::new(),
            sent: 0,
            actions: Vec::with_capacity(4),
            orders: Vec::new(),
            views: HashMap::new(),
            answer: None,
            own: VecDeque::new(),
            draining: None,
            importing: None,
            breach: None,
            killed: None,
            ended: false,
            death: None,
        }
    }

    /// Keeps the worker until it is gone.
    pub(crate) fn run(mut self) {
        loop {
            if self.parts.station.bell.rang() {
                self.take_orders();
            }
            self.find_work();
            if self.receive() {
                continue;
            }
            self.check_time();
            if self.wait() {
                break;
            }
        }
        self.bury();
    }

    fn on(&mut self, event: Event) {
        let now = Instant::now();
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.on(event, now, &mut actions);
        for action in actions.drain(..) {
            self.act(action);
        }
        self.actions = actions;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send { id, ahead } => self.send_call(id, ahead),
            Action::Complete(id) => {
                let job = {
                    let mut held = lock(&self.parts.station.held);
                    held.iter().position(|job| job.id == id).and_then(|at| held.remove(at))
                };
                if let (Some(job), Some(frame)) = (job, self.answer.take()) {
                    job.finish(Ok(Reply {
                        kind: frame.header.kind,
                        flags: frame.header.flags,
                        body: frame.body,
                        worker: self.parts.station.worker.clone(),
                    }));
                }
            }
            Action::Stray(id) => self.parts.service.stray(&self.parts.station.worker, id),
            // A worker that is gone already needs no signal: an error here means just that.
            Action::Dump => drop(pidfd_send_signal(&self.parts.pidfd, Signal::USR2)),
            Action::Terminate => drop(pidfd_send_signal(&self.parts.pidfd, Signal::TERM)),
            Action::Kill => {
                self.killed = Some(Instant::now());
                let _ = pidfd_send_signal(&self.parts.pidfd, Signal::KILL);
            }
            Action::SayStop => self.write(&wire::bare(Kind::Stop)),
            // Only a death gives these two: see `bury`.
            Action::Requeue(_) | Action::Blame(..) => {}
        }
    }

    fn take_orders(&mut self) {
        self.parts.station.bell.silence();
        let mut orders = std::mem::take(&mut self.orders);
        self.parts.station.take_orders(&mut orders);
        for order in orders.drain(..) {
            match order {
                Order::Job(job) if job.abandoned() => {}
                Order::Job(job) if self.machine.wants() == Want::Call => self.give(job),
                // It was found idle and has got another call since, or it is on its way out.
                Order::Job(job) => self.parts.queue.put_back(job),
                Order::Own(job) => self.own.push_back(job),
                Order::TakenBack(id) => self.on(Event::TakenBack(id)),
                Order::View { id, answer } => self.answer_view(id, answer),
                Order::Drain { deadline } => self.draining = Some(deadline),
                Order::Kill => self.on(Event::Kill),
                Order::Died(death) => self.death = Some(death),
            }
        }
        self.orders = orders;
    }

    fn find_work(&mut self) {
        loop {
            let job = match self.machine.wants() {
                Want::Nothing => return,
                Want::Ahead if self.own.is_empty() => self.parts.queue.take(Want::Ahead),
                Want::Ahead => return,
                Want::Call => match self.own.pop_front() {
                    Some(job) => Some(job),
                    None => self.parts.queue.take_or_wait(&self.parts.station),
                },
            };
            match (job, self.draining) {
                (Some(job), _) => self.give(job),
                (None, Some(deadline)) if self.machine.idle() => return self.stop(deadline),
                (None, _) => return,
            }
        }
    }

    fn stop(&mut self, deadline: Instant) {
        self.draining = None;
        self.parts.queue.leave(&self.parts.station);
        self.on(Event::Stop { deadline });
    }

    fn give(&mut self, job: Job) {
        let event = Event::Given { id: job.id, timeout: job.timeout };
        lock(&self.parts.station.held).push_back(job);
        self.on(event);
    }

    fn send_call(&mut self, id: u64, ahead: bool) {
        let station = self.parts.station.clone();
        let mut held = lock(&station.held);
        let Some(job) = held.iter_mut().find(|job| job.id == id) else { return };
        wire::set_claim(&mut job.frame, ahead);
        if ahead {
            station.put_token();
        }
        self.write(&job.frame);
    }

    /// Writes what the socket takes now, and keeps the rest.
    fn write(&mut self, bytes: &[u8]) {
        let mut done = 0;
        if self.unsent.is_empty() {
            done = self.try_send(bytes);
        }
        self.unsent.extend_from_slice(&bytes[done..]);
    }

    fn flush(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        self.sent += self.try_send(&unsent[self.sent..]);
        if self.sent < unsent.len() {
            self.unsent = unsent;
        } else {
            self.sent = 0;
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match send(&self.parts.socket, &bytes[done..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // The reading side is gone: its end will be seen when it is polled.
                Err(_) => return bytes.len(),
            }
        }
        done
    }

    /// Reads once and takes in the frames that are whole; false if there was nothing to read.
    fn receive(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let read = loop {
            match recv(&self.parts.socket, self.reader.space(), RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Ok((count, _)) => break Ok(count),
                Err(errno) => break Err(errno),
            }
        };
        match read {
            Ok(0) => {
                self.ended = true;
                if let Err(error) = self.reader.finish() {
                    self.breach.get_or_insert(error.to_string());
                }
                true
            }
            Ok(count) => {
                self.reader.filled(count);
                self.take_frames();
                true
            }
            Err(Errno::AGAIN) => false,
            Err(_) => {
                self.ended = true;
                true
            }
        }
    }

    fn take_frames(&mut self) {
        loop {
            match self.reader.next() {
                Ok(Some(frame)) => {
                    if let Err(error) = self.take_frame(frame) {
                        return self.broke(&error);
                    }
                }
                Ok(None) => return,
                Err(error) => return self.broke(&error),
            }
        }
    }

    fn broke(&mut self, error: &WireError) {
        self.breach.get_or_insert(error.to_string());
        self.ended = true;
        self.on(Event::Broke);
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), WireError> {
        let header = frame.header;
        let unreadable = |reason| WireError::Body { kind: header.kind, reason };
        match header.kind {
            Kind::Result | Kind::Error | Kind::Bound if self.importing.is_some_and(|left| left > 0) => {
                // A function that this worker cannot import fails the calls of it, with the reason.
                self.importing = self.importing.map(|left| left - 1);
                self.ready_if_imported();
            }
            Kind::Result | Kind::Error | Kind::Bound => {
                self.answer = Some(frame);
                self.on(Event::Answered(header.id));
            }
            Kind::Skipped => self.on(Event::Skipped(header.id)),
            Kind::View => {
                let call = ViewCall::parse(&frame.body).map_err(unreadable)?;
                self.ask_view(header.id, call, header.flags & wire::MANY != 0);
            }
            Kind::Log => {
                let log = wire::body(&frame.body).map_err(unreadable)?;
                self.parts.service.log(&self.parts.station, &log);
            }
            Kind::Hello if self.importing.is_none() => {
                let hello: Hello = wire::body(&frame.body).map_err(unreadable)?;
                if hello.protocol != 1 {
                    let reason = format!("protocol {} was offered, 1 is spoken here", hello.protocol);
                    return Err(unreadable(reason));
                }
                let binds = std::mem::take(&mut self.parts.binds);
                self.importing = Some(binds.len());
                for bind in &binds {
                    self.write(bind);
                }
                self.ready_if_imported();
            }
            Kind::Hello | Kind::Call | Kind::Execute | Kind::Bind | Kind::ViewReply | Kind::Stop => {
                return Err(WireError::Unexpected { kind: header.kind });
            }
        }
        Ok(())
    }

    fn ready_if_imported(&mut self) {
        if self.importing == Some(0) && !self.machine.doomed() {
            self.on(Event::Ready);
            self.parts.queue.join(&self.parts.station);
            self.parts.notes.leave(Note::Ready(self.parts.station.epoch));
        }
    }

    fn ask_view(&mut self, id: u64, call: ViewCall, many: bool) {
        let context = {
            let held = lock(&self.parts.station.held);
            held.iter().find(|job| job.id == call.call).map(|job| job.context.clone())
        };
        let refusal = match context {
            None => "no such call is running in this worker",
            Some(_) if self.views.len() >= MAX_VIEWS => "too many views are being waited for",
            Some(context) => {
                let timeout = self.parts.service.view_timeout(&call.name);
                self.views.insert(id, Instant::now() + timeout);
                self.parts.service.call_view(&self.parts.station, id, call, many, context);
                return;
            }
        };
        self.write(&wire::view_error(id, "failed", refusal));
    }

    fn answer_view(&mut self, id: u64, answer: Result<Vec<u8>, (String, String)>) {
        // One that comes after its timeout finds nobody.
        if self.views.remove(&id).is_some() {
            match answer {
                Ok(value) => self.write(&wire::view_reply(id, &value, self.parts.max_frame)),
                Err((kind, message)) => self.write(&wire::view_error(id, &kind, &message)),
            }
        }
    }

    fn check_time(&mut self) {
        let now = Instant::now();
        if self.machine.timer().is_some_and(|at| at <= now) {
            let reading = self.parts.blackbox.read().map(|reading| (reading.call, reading.running));
            self.on(Event::Tick(reading));
        }
        if let Some(deadline) = self.draining.filter(|at| *at <= now) {
            self.stop(deadline);
        }
        if self.views.values().any(|at| *at <= now) {
            let late: Vec<u64> = self.views.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
            for id in late {
                self.views.remove(&id);
                self.write(&wire::view_error(id, "timeout", "the view did not answer in time"));
            }
        }
    }

    /// Sleeps until something happens; true when the worker's process is gone and all it sent was read.
    fn wait(&mut self) -> bool {
        let abandon = self.killed.map(|at| at + ABANDON);
        let timers = self.machine.timer().into_iter().chain(self.draining).chain(abandon);
        let due = timers.chain(self.views.values().copied()).min();
        let timeout = due.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        let mut interest = PollFlags::empty();
        if !self.ended {
            interest |= PollFlags::IN;
        }
        if !self.unsent.is_empty() {
            interest |= PollFlags::OUT;
        }
        let (gone, writable) = {
            let mut fds = [
                PollFd::new(&self.parts.station.bell, PollFlags::IN),
                PollFd::new(&self.parts.pidfd, PollFlags::IN),
                PollFd::new(&self.parts.socket, interest),
            ];
            // After the end of its stream the socket would be ready for ever.
            let watched = if interest.is_empty() { &mut fds[..2] } else { &mut fds[..] };
            if poll(watched, timeout.as_ref()).is_err() {
                return false;
            }
            (!fds[1].revents().is_empty(), fds[2].revents().intersects(PollFlags::OUT))
        };
        if writable {
            self.flush();
        }
        if gone {
            // Everything that it managed to send counts.
            while self.receive() {}
        }
        let abandoned = self.killed.is_some_and(|at| at.elapsed() >= ABANDON);
        if abandoned && !gone {
            let worker = &self.parts.station.worker;
            tracing::error!(
                target: "slither", worker = worker.name, pid = worker.pid,
                "SIGKILL did not end the worker; it is abandoned"
            );
        }
        gone || abandoned
    }

    /// After the death: waits to hear how it died, gives back what never began, and fails what did.
    fn bury(mut self) {
        let limit = Instant::now() + REAP;
        self.parts.queue.leave(&self.parts.station);
        while self.death.is_none() && Instant::now() < limit {
            let left = limit.saturating_duration_since(Instant::now());
            let wait = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let _ = poll(&mut [PollFd::new(&self.parts.station.bell.as_fd(), PollFlags::IN)], Some(&wait));
            self.take_orders();
        }
        self.take_orders();
        let station = self.parts.station.clone();
        let breach = self.breach.take();
        let death = self.death.unwrap_or(Death::Unknown);
        let autopsy =
            Autopsy::new(station.worker.clone(), death, &self.parts.blackbox, &self.parts.stderr, breach);

        let reason = reason(&autopsy);
        // Before anyone hears of it by a failed call, so that asking what was lost never comes too early.
        lock(&self.parts.graveyard).bury(&station.worker, &reason);
        let mut held = std::mem::take(&mut *lock(&station.held));
        let running = autopsy.reading.map_or(0, |reading| reading.call);
        let unstarted = match held.front() {
            Some(front) if front.id == running || front.requeues >= MAX_REQUEUES => held.len() - 1,
            _ => held.len(),
        };
        // A death that was asked for, or that a call is blamed for, costs no restart budget.
        let mut charged = self.machine.doomed() || self.machine.stopping();
        let mut actions = Vec::new();
        self.machine.on(Event::Gone { unstarted }, Instant::now(), &mut actions);
        for action in actions {
            let (Action::Requeue(id) | Action::Blame(id, _)) = action else { continue };
            let Some(mut job) = held.iter().position(|job| job.id == id).and_then(|at| held.remove(at)) else {
                continue;
            };
            match action {
                Action::Blame(_, verdict) => {
                    charged = true;
                    job.finish(Err(autopsy.error(verdict)));
                }
                _ => {
                    job.requeues += 1;
                    self.parts.queue.put_back(job);
                }
            }
        }
        for job in self.own.drain(..) {
            job.finish(Err(autopsy.lost()));
        }
        self.parts.notes.leave(Note::Gone { epoch: station.epoch, charged, reason });
    }
}

fn reason(autopsy: &Autopsy) -> String {
    let mut reason = match &autopsy.breach {
        Some(breach) => format!("broke the protocol ({breach}) and {}", autopsy.death),
        None => autopsy.death.to_string(),
    };
    if let Some(last) = autopsy.stderr.last() {
        reason.push_str(&format!("; its last line was: {last}"));
    }
    reason
}
