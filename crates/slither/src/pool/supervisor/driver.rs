//! The supervisor's thread: it owns the nursery and the pipes that workers print to, and acts on the machine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::watch;

use super::hatchery::{Kept, Pending, ending};
use super::machine::{Action, Cause, Epoch, Event, Plan, Supervisor};
use super::notes::{Note, Notes};
use super::nursery::{Launch, Nursery};
use super::outputs::Outputs;
use super::recycling::Seen;
use crate::error::{Death, ErrorKind, ItemError, Recycled};
use crate::pool::clock::{later, until};
use crate::pool::gauges::Gauges;
use crate::pool::graveyard::Graveyard;
use crate::pool::memory;
use crate::pool::oom::Claims;
use crate::pool::queue::Queue;
use crate::pool::service::Service;
use crate::pool::station::{Order, Sentence, lock};
use crate::telemetry::{
    self, BreakerClosed, BreakerHalfOpen, BreakerOpened, Labels, PoolFailed, WorkerExited, WorkerReady,
    WorkerRecycled, WorkerRestarted,
};
use crate::wire::ToNursery;

/// How long the nursery may take to end when every worker has.
pub(crate) const NURSERY_GRACE: Duration = Duration::from_secs(2);

/// Where a pool is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    /// Not all workers have been ready yet.
    Starting,
    /// All workers have been ready once.
    Running,
    /// It gave up, with this cause.
    Failed(String),
    /// Every process and thread of it has ended; with the cause if it had given up.
    Ended(Option<String>),
}

/// What the supervisor's thread owns.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(super) pool: Arc<str>,
    pub(super) launch: Launch,
    machine: Supervisor,
    pub(super) plan: Plan,
    pub(super) queue: Arc<Queue>,
    pub(super) notes: Arc<Notes>,
    pub(super) service: Arc<Service>,
    life: watch::Sender<Life>,
    /// The functions that calls have been bound to, imported by every worker before it is ready.
    pub(super) bound: Arc<Mutex<Vec<String>>>,
    pub(super) nursery: Option<Nursery>,
    pub(super) graveyard: Arc<Mutex<Graveyard>>,
    pub(super) claims: Arc<Claims>,
    /// Asked for and not yet reported as started.
    pub(super) pending: HashMap<Epoch, Pending>,
    pub(super) workers: HashMap<Epoch, Kept>,
    /// Calls that workers had completed that are gone.
    completed: u64,
    pub(super) outputs: Outputs,
    /// When the nursery is killed, after it was told to end.
    nursery_deadline: Option<Instant>,
    /// It was said that the threads of this pool take turns.
    pub(super) serial_said: bool,
    gauges: Gauges,
    /// When the memory of the workers is sampled next.
    sampling: Instant,
    /// Since it was shut down: when every worker has to have ended.
    pub(super) ending: Option<Instant>,
    failure: Option<String>,
    finished: bool,
}

impl Driver {
    #[allow(clippy::too_many_arguments, reason = "called once, by the pool that makes all of these")]
    pub(crate) fn new(
        pool: Arc<str>,
        launch: Launch,
        plan: Plan,
        queue: Arc<Queue>,
        notes: Arc<Notes>,
        service: Arc<Service>,
        bound: Arc<Mutex<Vec<String>>>,
        graveyard: Arc<Mutex<Graveyard>>,
        life: watch::Sender<Life>,
    ) -> Self {
        Self {
            machine: Supervisor::new(&plan, Instant::now()),
            gauges: Gauges::of(&pool),
            pool,
            launch,
            plan,
            queue,
            notes,
            service,
            life,
            bound,
            graveyard,
            claims: Arc::default(),
            nursery: None,
            pending: HashMap::new(),
            workers: HashMap::new(),
            completed: 0,
            outputs: Outputs::default(),
            nursery_deadline: None,
            serial_said: false,
            sampling: Instant::now(),
            ending: None,
            failure: None,
            finished: false,
        }
    }

    /// Supervises until nothing is left.
    pub(crate) fn run(mut self) {
        self.act(Action::StartNursery);
        while !self.finished {
            self.wait();
            self.read_nursery();
            for note in self.notes.take() {
                self.heed(note);
            }
            self.outputs.drain();
            let now = Instant::now();
            if self.sampling <= now {
                self.sampling = later(now, memory::EVERY);
                self.sample();
            }
            if self.machine.timer().is_some_and(|at| at <= now) {
                self.on(Event::Tick);
            }
            if self.nursery_deadline.is_some_and(|at| at <= now) {
                self.end_nursery();
            }
            if self.starting_until().is_some_and(|at| at <= now) {
                self.lose_nursery();
            }
        }
        let cause = self.failure.clone().unwrap_or_else(|| "it was shut down".to_owned());
        self.queue.close(&refusal(&self.pool, &cause), true);
        for (_, kept) in self.workers.drain() {
            // Every worker is gone, so its keeper has at most to say so.
            let _ = kept.thread.join();
        }
        self.life.send_replace(Life::Ended(self.failure));
    }

    pub(super) fn on(&mut self, event: Event) {
        for action in self.machine.on(event, Instant::now()) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::StartNursery => match Nursery::launch(&self.launch) {
                Ok((nursery, stdout, stderr)) => {
                    let name = format!("{}/nursery", self.pool);
                    self.outputs.add(None, stdout, &self.pool, &name, "stdout");
                    self.outputs.add(None, stderr, &self.pool, &name, "stderr");
                    self.nursery = Some(nursery);
                }
                Err(error) => {
                    let python = self.launch.python.interpreter.executable.display().to_string();
                    self.on(Event::NurseryFailed(format!("{python} cannot be started: {error}")));
                }
            },
            Action::Start { slot, epoch } => {
                if let Err(error) = self.start(slot, epoch) {
                    let reason = format!("could not be started: {error}");
                    self.pending.remove(&epoch);
                    self.lost(epoch, Cause::Nobody, reason);
                }
            }
            Action::KillNursery => self.lose_nursery(),
            Action::Abort(epoch) => match self.workers.get(&epoch) {
                Some(kept) => kept.station.order(Order::Kill(Sentence::Late(self.plan.start_timeout))),
                // The nursery itself does not answer.
                None => self.lose_nursery(),
            },
            Action::Restarting { slot, delay, deaths, reason } => {
                let worker = format!("{}/{slot}", self.pool);
                let event =
                    WorkerRestarted::new(delay.as_secs_f64(), deaths as f64, &self.pool, &worker, &reason);
                telemetry::emit(self.labels(), &event);
            }
            Action::Retire { epoch, why } => self.retire(epoch, why),
            Action::Open { cause, cooldown } => {
                let event = BreakerOpened::new(cooldown.as_secs_f64(), &self.pool, &cause);
                telemetry::emit(self.labels(), &event);
                self.queue.shut(unavailable(&self.pool, &cause));
            }
            Action::HalfOpen => {
                telemetry::emit(self.labels(), &BreakerHalfOpen::new(&self.pool));
                self.queue.half_open();
            }
            Action::Admit { round } => self.queue.admit_one(round, &self.notes),
            Action::Close => {
                telemetry::emit(self.labels(), &BreakerClosed::new(&self.pool));
                self.queue.admit_all();
            }
            Action::Fail(cause) => {
                telemetry::emit(self.labels(), &PoolFailed::new(&self.pool, &cause));
                self.queue.close(&refusal(&self.pool, &cause), true);
                self.life.send_replace(Life::Failed(cause.clone()));
                self.failure = Some(cause);
                self.end_workers(Instant::now());
            }
            Action::StopWorkers { deadline } => {
                let over = deadline <= Instant::now();
                self.queue.close(&refusal(&self.pool, "it is shut down"), over);
                self.end_workers(deadline);
            }
            Action::StopNursery => {
                let stop = ToNursery::Stop { grace_ms: 0 };
                let told = self.nursery.as_ref().is_some_and(|nursery| nursery.send(&stop, &[]).is_ok());
                self.nursery_deadline = Some(Instant::now() + NURSERY_GRACE);
                if !told {
                    self.end_nursery();
                }
            }
            Action::Finished => self.finished = true,
        }
    }

    pub(super) fn labels(&self) -> Labels<'_> {
        Labels { pool: Some(&self.pool), ..Labels::default() }
    }

    /// Has every worker end by the deadline, those included that are only being started.
    fn end_workers(&mut self, deadline: Instant) {
        self.ending = Some(deadline);
        for kept in self.workers.values() {
            kept.station.order(ending(deadline));
        }
    }

    fn sample(&mut self) {
        for kept in self.workers.values() {
            kept.station.memory.sample();
        }
        if self.plan.limits.any() {
            let epochs: Vec<_> = self.workers.keys().copied().collect();
            for epoch in epochs {
                self.look_at(epoch);
            }
        }
        self.queue.wake_outgoing();
        self.gauges.set(&self.queue, &self.service);
    }

    /// Tells the machine how far a worker's life has gone.
    fn look_at(&mut self, epoch: Epoch) {
        let Some(kept) = self.workers.get(&epoch) else { return };
        let station = &kept.station;
        let (requests, growth) = (station.completed(), station.memory.growth());
        let seen = Seen { requests, growth, pinned: self.queue.is_pinned(station) };
        self.on(Event::Seen { epoch, seen });
    }

    /// The worker's replacement is at work: it takes nothing new, finishes what it has, and goes.
    fn retire(&mut self, epoch: Epoch, why: Recycled) {
        let Some(kept) = self.workers.get(&epoch) else { return };
        let (station, uptime) = (&kept.station, kept.started.elapsed().as_secs_f64());
        let worker = &station.worker;
        let lost = self.queue.retire(station, why);
        lock(&self.graveyard).note_recycled();
        let event = WorkerRecycled::new(
            uptime,
            station.completed() as f64,
            station.memory.growth() as f64,
            &self.pool,
            &worker.name,
            &worker.pid,
            &why,
        );
        telemetry::emit(self.labels(), &event);
        self.service.sessions_lost(worker, &lost, &Death::Recycled(why).to_string());
        station.order(Order::Recycle(why));
    }

    /// A worker is no more.
    pub(super) fn lost(&mut self, epoch: Epoch, cause: Cause, reason: String) {
        let living: u64 = self.workers.values().map(|kept| kept.station.completed()).sum();
        let completed = self.completed + living;
        self.on(Event::Gone { epoch, cause, completed, reason });
    }

    /// When a nursery that still owes a worker is given up, because everything should have ended.
    fn starting_until(&self) -> Option<Instant> {
        self.ending.filter(|_| !self.pending.is_empty()).map(|ending| later(ending, NURSERY_GRACE))
    }

    fn heed(&mut self, note: Note) {
        match note {
            Note::Ready(epoch) => {
                if let Some(kept) = self.workers.get(&epoch) {
                    let took = kept.started.elapsed().as_secs_f64();
                    let worker = &kept.station.worker;
                    let event = WorkerReady::new(took, &self.pool, &worker.name, &worker.pid);
                    telemetry::emit(self.labels(), &event);
                }
                self.on(Event::Ready(epoch));
                if self.machine.begun() {
                    self.life.send_if_modified(|life| {
                        let starting = *life == Life::Starting;
                        if starting {
                            *life = Life::Running;
                        }
                        starting
                    });
                }
            }
            Note::Gone { epoch, cause, reason } => {
                if let Some(kept) = self.workers.remove(&epoch) {
                    self.completed += kept.station.completed();
                    let uptime = kept.started.elapsed().as_secs_f64();
                    let worker = &kept.station.worker;
                    let event = WorkerExited::new(uptime, &self.pool, &worker.name, &worker.pid, &reason);
                    telemetry::emit(self.labels(), &event);
                    tracing::debug!(target: "slither", slot = kept.slot, "the slot is free");
                    let _ = kept.thread.join();
                }
                self.outputs.close(Some(epoch));
                self.lost(epoch, cause, reason);
            }
            Note::Spent(epoch) => self.look_at(epoch),
            Note::Probed { round, completed } => self.on(Event::Probed { round, completed }),
            Note::Shutdown { deadline } => self.on(Event::Shutdown { deadline }),
        }
    }

    /// The nursery died or does not answer: its workers are killed, group by group.
    pub(super) fn lose_nursery(&mut self) {
        let Some(mut nursery) = self.nursery.take() else { return };
        nursery.kill();
        let death = nursery.wait();
        self.nursery_deadline = None;
        self.pending.clear();
        for kept in self.workers.values().filter(|kept| !kept.reaped) {
            if let Some(group) = i32::try_from(kept.station.worker.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            kept.station.order(Order::Kill(Sentence::Nursery));
            kept.station.order(Order::Died(Death::Unknown, None));
        }
        let reason = match self.outputs.close(None) {
            Some(last) => format!("{death}; its last line was: {last}"),
            None => death.to_string(),
        };
        self.on(Event::NurseryGone(reason));
    }

    /// The nursery was told to end: it has, or it is made to.
    fn end_nursery(&mut self) {
        self.nursery_deadline = None;
        if let Some(mut nursery) = self.nursery.take() {
            if !nursery.ended() {
                nursery.kill();
            }
            nursery.wait();
        }
        self.on(Event::NurseryEnded);
    }

    fn wait(&self) {
        let sampling = (!self.workers.is_empty()).then_some(self.sampling);
        let due = [self.machine.timer(), self.nursery_deadline, self.starting_until(), sampling];
        let timeout = until(due.into_iter().flatten().min());
        let nursery = self.nursery.iter().map(|nursery| PollFd::new(nursery, PollFlags::IN));
        let mut fds: Vec<_> = nursery
            .chain([PollFd::new(&self.notes.bell, PollFlags::IN)])
            .chain(self.outputs.poll_fds())
            .collect();
        // An interrupted wait is a short one: the loop looks at everything anyway.
        let _ = poll(&mut fds, timeout.as_ref());
    }
}

/// What a call gets from a pool that takes no more work.
pub(crate) fn refusal(pool: &str, cause: &str) -> ItemError {
    ItemError::new(ErrorKind::Pool, format!("pool `{pool}` takes no more work: {cause}"))
}

/// What a call gets from a pool whose breaker is open.
pub(crate) fn unavailable(pool: &str, cause: &str) -> ItemError {
    let message = format!(
        "pool `{pool}` fails calls at once, because {cause}\nhint: its breaker lets it try again after a while; see `Pool::breaker`"
    );
    ItemError::new(ErrorKind::Unavailable, message)
}
