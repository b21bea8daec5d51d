//! What keeps one worker: it takes work and orders for the machine and carries out what that decides, over a
//! [`Link`] to the process. The thread that it lives on is in `thread`; a simulation drives it without one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::link::Link;
use super::machine::{Action, CallId, Event, How, Running, Verdict, Want, Worker};
use super::report::cancelled;
use super::views::Views;
use super::withheld::Withheld;
use crate::error::{Death, ItemError, Recycled};
use crate::pool::blackbox::Reading;
use crate::pool::clock::now;
use crate::pool::graveyard::Graveyard;
use crate::pool::job::{Job, Reply};
use crate::pool::queue::Queue;
use crate::pool::refs::Unread;
use crate::pool::service::Service;
use crate::pool::station::{Order, Sentence, Station, lock};
use crate::pool::supervisor::{Note, Notes};
use crate::wire::{self, Frame, Kind};

/// How long after SIGKILL a process that is still there is given up.
const ABANDON: Duration = Duration::from_secs(5);
/// How long a worker that was not ready in time has at most to write down where it is, and how often it is looked for.
const SHOW_GRACE: Duration = Duration::from_secs(1);
const SHOW_LOOK: Duration = Duration::from_millis(25);
/// How long a worker may live on when it has closed its connection.
pub(super) const SILENT: Duration = Duration::from_secs(3);

/// A worker that was not ready in time, and was asked where it is.
#[derive(Debug)]
struct Condemned {
    /// How much of that was there at the last look.
    written: usize,
    look: Instant,
    latest: Instant,
}

/// What a keeper is given of its worker.
#[derive(Debug)]
pub(crate) struct Parts<L> {
    pub(crate) station: Arc<Station>,
    pub(crate) link: L,
    pub(crate) queue: Arc<Queue>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) service: Arc<Service>,
    pub(crate) graveyard: Arc<Mutex<Graveyard>>,
    pub(crate) max_frame: usize,
    /// How many calls it may complete before the supervisor is told.
    pub(crate) max_requests: Option<u64>,
    /// How many calls it may say that it takes at once.
    pub(crate) most_slots: usize,
    /// It begins calls in the order in which they are sent.
    pub(crate) in_order: bool,
    /// Calls can be ended that have begun: they are coroutines.
    pub(crate) cancels: bool,
    /// Frames that import what the pool's calls need; the worker is ready when all are answered.
    pub(crate) binds: VecDeque<Vec<u8>>,
}

/// The running state of a keeper.
#[derive(Debug)]
pub(crate) struct Keeper<L> {
    pub(super) station: Arc<Station>,
    pub(super) link: L,
    pub(super) queue: Arc<Queue>,
    pub(super) notes: Arc<Notes>,
    pub(super) graveyard: Arc<Mutex<Graveyard>>,
    pub(super) service: Arc<Service>,
    max_frame: usize,
    max_requests: Option<u64>,
    pub(super) most_slots: usize,
    pub(super) in_order: bool,
    cancels: bool,
    pub(super) binds: VecDeque<Vec<u8>>,
    pub(super) machine: Worker,
    pub(super) actions: Vec<Action>,
    orders: Vec<Order>,
    pub(super) views: Views,
    pub(super) withheld: Withheld,
    /// The answer to be handed over by the next [`Action::Complete`].
    pub(super) answer: Option<Frame>,
    /// Calls that were answered, and not handed over yet.
    answered: Vec<(Job, Result<Reply, ItemError>)>,
    /// Calls for this worker alone; each holds a place of the bounded queue.
    pub(super) own: VecDeque<Job>,
    /// Set when the pool shuts down: the queue is emptied, then the worker stops, by this time.
    pub(super) draining: Option<Instant>,
    /// Set when another worker is in its place: it finishes what is for it alone, then it stops.
    pub(super) recycled: Option<Recycled>,
    /// Imports that are not answered yet; none before the hello.
    pub(super) importing: Option<usize>,
    /// How it broke the protocol, if it did.
    pub(super) breach: Option<String>,
    /// Why it could not build its adapter, if so.
    pub(super) unfit: Option<String>,
    /// Behind its breach of the protocol nothing is read.
    pub(super) unread: bool,
    /// Why it was told to die, if it was.
    pub(super) sentence: Option<Sentence>,
    /// It is killed because it was not ready in time, when it has shown where it is.
    condemned: Option<Condemned>,
    /// When it was sent the signal that cannot be ignored.
    pub(super) killed: Option<Instant>,
    /// No call is given to it any more.
    pub(super) closed: bool,
    pub(crate) death: Option<Death>,
    /// The most bytes of memory that it ever occupied, known with its death.
    pub(super) peak_rss: Option<u64>,
}

impl<L: Link> Keeper<L> {
    pub(crate) fn new(parts: Parts<L>) -> Self {
        Self {
            station: parts.station,
            link: parts.link,
            queue: parts.queue,
            notes: parts.notes,
            graveyard: parts.graveyard,
            service: parts.service,
            max_frame: parts.max_frame,
            max_requests: parts.max_requests,
            most_slots: parts.most_slots,
            in_order: parts.in_order,
            cancels: parts.cancels,
            binds: parts.binds,
            machine: Worker::new(parts.in_order),
            actions: Vec::with_capacity(4),
            orders: Vec::new(),
            views: Views::default(),
            withheld: Withheld::default(),
            answer: None,
            answered: Vec::new(),
            own: VecDeque::new(),
            draining: None,
            recycled: None,
            importing: None,
            breach: None,
            unfit: None,
            unread: false,
            sentence: None,
            condemned: None,
            killed: None,
            closed: false,
            death: None,
            peak_rss: None,
        }
    }

    /// Does everything that can be done now. Always before it sleeps: a keeper that is neither at work nor noted
    /// as idle is never woken.
    pub(crate) fn turn(&mut self) {
        if self.station.bell.rang() {
            self.take_orders();
            self.cancel_abandoned();
        }
        self.find_work();
        self.check_time();
    }

    pub(super) fn on(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        let now = now();
        if self.in_order && matches!(event, Event::Answered(_)) {
            self.withheld.arm(now);
            self.station.set_slow(false);
        }
        self.machine.on(event, now, &mut actions);
        for action in actions.drain(..) {
            self.act(action);
        }
        self.actions = actions;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Complete(id) => self.complete(id, None),
            Action::Ended(id, limit) => self.complete(id, Some(limit)),
            Action::Cancel(id) => self.link.write(&wire::about(Kind::Cancel, id)),
            Action::Stray(id) => {
                self.answer = None;
                self.service.stray(&self.station.worker, id);
            }
            Action::Dump(id) => {
                // What it has ahead would die with it.
                while let Some(job) = self.station.take_back() {
                    self.queue.put_back(job);
                }
                if self.awaits(id) {
                    self.link.write(&wire::about(Kind::Dump, id));
                }
                self.link.signal(Signal::USR2);
            }
            Action::Terminate => self.link.signal(Signal::TERM),
            Action::Kill => {
                self.killed = Some(now());
                self.link.signal(Signal::KILL);
            }
            Action::SayStop => self.link.write(&wire::bare(Kind::Stop)),
            // Only a call that is given gives the first, and only a death the others: see `give` and `bury`.
            Action::Send { .. } | Action::Requeue(_) | Action::Blame(..) | Action::Collateral { .. } => {}
        }
    }

    /// Takes in the answer that has come. `limit`: the call was told to end, at its deadline of so long.
    fn complete(&mut self, id: CallId, limit: Option<Duration>) {
        let job = lock(&self.station.held).answered(id);
        let (Some(job), Some(frame)) = (job, self.answer.take()) else { return };
        // First, as it pins the worker if there are references in it.
        let reply = self.reply(frame);
        if job.is_call() && Some(self.station.count()) == self.max_requests {
            self.notes.leave(Note::Spent(self.station.epoch));
        }
        let answer = match limit.and_then(|limit| cancelled(&reply, limit)) {
            Some(error) => Err(error),
            None => Ok(reply),
        };
        self.answered.push((job, answer));
    }

    /// Hands over what was answered: all that came together at once, so that who waits for several wakes once.
    pub(super) fn deliver(&mut self) {
        for (job, answer) in self.answered.drain(..) {
            job.finish(answer);
        }
    }

    /// Whether the call is a task that awaits something, which no thread's stack shows.
    fn awaits(&self, id: CallId) -> bool {
        let readings = self.link.readings();
        readings.iter().any(|reading| reading.call == id && self.link.how(reading) == How::Awaiting)
    }

    /// Tells the worker to end what nobody waits for any more: coroutines, and streams, which else would wait for ever
    /// until somebody takes their values.
    pub(super) fn cancel_abandoned(&mut self) {
        let station = self.station.clone();
        for job in lock(&station.held).iter_mut() {
            if (self.cancels || job.is_stream()) && job.abandoned() && !job.told_to_end {
                job.told_to_end = true;
                self.link.write(&wire::about(Kind::Cancel, job.id));
            }
        }
    }

    pub(super) fn reply(&self, frame: Frame) -> Reply {
        let Frame { header, body } = frame;
        let refs = header.flags & wire::REFS != 0 && header.kind == Kind::Result;
        let refs = refs.then(|| Unread::new(&self.station, header.id));
        Reply {
            kind: header.kind,
            flags: header.flags,
            body,
            from: self.station.clone(),
            refs: Mutex::new(refs),
            pool: Weak::new(),
        }
    }

    pub(crate) fn take_orders(&mut self) {
        self.station.bell.silence();
        let mut orders = std::mem::take(&mut self.orders);
        self.station.take_orders(&mut orders);
        for order in orders.drain(..) {
            match order {
                Order::Job(job) if job.abandoned() => {}
                Order::Job(job) if self.wants() == Want::Call => self.give(vec![job]),
                // It was found idle and has got another call since, or it is on its way out.
                Order::Job(job) => self.queue.put_back(job),
                Order::Own(job) => self.own.push_back(job),
                Order::TakenBack(id) => self.on(Event::TakenBack(id)),
                Order::View { id, answer } => {
                    self.views.answer(id, answer, self.max_frame, &mut self.link);
                }
                Order::Tell(frame) => self.link.write(&frame),
                Order::Drain { deadline } => self.drain(deadline),
                Order::Recycle(why) => self.recycled = Some(why),
                Order::Kill(sentence) => self.execute(sentence),
                Order::Died(death, peak_rss) => (self.death, self.peak_rss) = (Some(death), peak_rss),
            }
        }
        self.orders = orders;
    }

    fn execute(&mut self, sentence: Sentence) {
        let verdict = match sentence {
            Sentence::Shutdown => Verdict::Shutdown,
            Sentence::Nursery | Sentence::Late(_) => Verdict::Crash,
            Sentence::Distrust => Verdict::Protocol,
        };
        if matches!(sentence, Sentence::Late(_)) && self.condemned.is_none() {
            // First it shows where it is.
            self.link.signal(Signal::USR2);
            let now = now();
            self.condemned = Some(Condemned { written: 0, look: now + SHOW_LOOK, latest: now + SHOW_GRACE });
            self.sentence.get_or_insert(sentence);
            return;
        }
        if sentence == Sentence::Distrust {
            self.breach.get_or_insert_with(|| "an earlier answer of it could not be read".to_owned());
        }
        self.sentence.get_or_insert(sentence);
        self.on(Event::Kill(verdict));
    }

    fn drain(&mut self, deadline: Instant) {
        self.draining = Some(deadline);
        if self.machine.starting() && self.queue.depth() == 0 {
            // It has nothing to finish, and there is no reason to wait until it is ready.
            self.execute(Sentence::Shutdown);
        }
    }

    fn check_time(&mut self) {
        let now = now();
        if self.machine.timer().is_some_and(|at| at <= now) {
            if let Some(call) = self.machine.dumping() {
                self.on(Event::Dumped(self.link.dumped(Some(call))));
            }
            if self.may_withhold() {
                // A call whose answer stands there does not run too long, and the one behind it may.
                self.look_at_withheld(now);
            }
            let running = |reading: Reading| Running {
                id: reading.call,
                ran: reading.running,
                how: self.link.how(&reading),
            };
            let running = self.link.readings().into_iter().filter(|reading| reading.call != 0).map(running);
            let running = running.collect();
            self.on(Event::Tick(running));
        }
        if let Some(deadline) = self.draining.filter(|at| *at <= now) {
            self.stop(deadline);
        }
        if let Some(condemned) = self.condemned.as_mut().filter(|condemned| condemned.look <= now) {
            let written = self.link.dumped(None);
            // It is all there when it has stopped growing.
            if now >= condemned.latest || (written > 0 && written == condemned.written) {
                self.on(Event::Kill(Verdict::Crash));
            } else {
                (condemned.written, condemned.look) = (written, now + SHOW_LOOK);
            }
        }
        if self.silent_until().is_some_and(|at| at <= now) {
            let cut = self.link.cut_off().map(|error| error.to_string());
            self.broke(cut.unwrap_or_else(|| "it closed its connection and lived on".to_owned()));
        }
        if self.withheld_due().is_some_and(|at| at <= now) {
            self.look_at_withheld(now);
            self.station.set_slow(true);
            self.queue.share(&self.station, self.withheld.is_stuck(now));
        }
        if self.views.due().is_some_and(|at| at <= now) {
            self.views.give_up(now, &mut self.link);
        }
    }

    /// Until when a worker that has closed its connection may take to end.
    fn silent_until(&self) -> Option<Instant> {
        self.link.ended().filter(|_| self.machine.serving()).map(|ended| ended + SILENT)
    }

    /// Whether it may withhold an answer that counts: it does so only while it has a call behind that one.
    fn may_withhold(&self) -> bool {
        self.in_order && !self.unread && self.machine.load() > 1
    }

    /// When to look for an answer that it withholds.
    fn withheld_due(&self) -> Option<Instant> {
        self.withheld.due().filter(|_| self.may_withhold())
    }

    /// Whether more may come from the worker.
    #[cfg(test)]
    pub(crate) fn is_listening(&self) -> bool {
        self.link.ended().is_none()
    }

    /// When to take the next turn, should nothing happen before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let abandon = self.killed.map(|at| at + ABANDON);
        let condemned =
            self.condemned.as_ref().filter(|_| self.killed.is_none()).map(|condemned| condemned.look);
        let due = [
            self.machine.timer(),
            self.draining,
            abandon,
            condemned,
            self.silent_until(),
            self.views.due(),
            self.withheld_due(),
        ];
        due.into_iter().flatten().min()
    }

    /// Whether the process has outlived for too long the signal that cannot be ignored.
    pub(crate) fn abandons(&self) -> bool {
        self.killed.is_some_and(|at| at + ABANDON <= now())
    }
}
