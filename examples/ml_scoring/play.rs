//! The acts: two sessions, and what is done to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use slither::{
    Chaos, ConfigError, Each, Failure, ItemError, OnError, PipeError, Session, SessionEnd, Slither,
    StoreHandle,
};

use super::backing::Line;
use super::evidence::{Evidence, Fell, Loss, Real, Refused, Scored, Standing, Written};
use super::features::{FeatureStore, all, known, remember};
use super::flow::{
    self, Learnt, MODULE, POOL, Prediction, Question, Record, SessionStats, Trained, WorkerStats, call,
};
use super::records::{FEATURES, records};
use super::rounds::Rounds;
use crate::faults::{self, ChaosReport};
use crate::observe::Observer;

/// Points that a model learns from.
const SAMPLES: u32 = 400;
/// What becomes the part of a real data set that is held out.
const SEED: u32 = 20;
/// The real data sets, for session A and for session B.
pub(super) const DATASETS: [&str; 2] = ["breast_cancer", "wine"];
/// What both sessions' models of the synthetic points are called.
pub(super) const MODELS: [&str; 2] = ["a", "b"];
/// How long it may take until calls that were made are in the pool's queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// The records that the failing write is about.
pub(super) const LATE: [&str; 2] = ["late/1", "late/2"];

/// Two clouds of points: their centres, and how widely each feature scatters around them.
#[derive(Debug, Clone, Copy, Serialize)]
struct Clouds {
    model: &'static str,
    low: [f64; FEATURES],
    high: [f64; FEATURES],
    spread: [f64; FEATURES],
    samples: u32,
    seed: u32,
}

/// The features that tell A's clouds apart, the first and the third, tell B's apart least, and the other way round.
const CLOUDS: [Clouds; 2] = [
    Clouds {
        model: MODELS[0],
        low: [1.0, 2.0, 1.0, 2.0],
        high: [3.0, 4.0, 3.0, 4.0],
        spread: [0.6, 2.5, 0.6, 2.5],
        samples: SAMPLES,
        seed: 11,
    },
    Clouds {
        model: MODELS[1],
        low: [0.0; FEATURES],
        high: [5.0; FEATURES],
        spread: [5.0, 1.2, 5.0, 1.2],
        samples: SAMPLES,
        seed: 12,
    },
];

/// An act that could not be played to its end, and why.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Call(#[from] ItemError),
    #[error("{0}")]
    Run(#[from] PipeError<Prediction>),
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Other(String),
}

/// What every act needs.
pub(super) struct Stage {
    pub(super) slither: Slither,
    pub(super) store: StoreHandle<FeatureStore>,
    pub(super) rounds: Rounds,
    pub(super) workers: usize,
    pub(super) chaos: Option<Chaos>,
}

impl Stage {
    /// All acts.
    pub(super) async fn play(&self, observer: &dyn Observer) -> Result<Evidence, Broken> {
        let begun = Instant::now();
        let ends = [const { Mutex::new(Vec::new()) }; 2].map(Arc::new);
        let (a, b) = tokio::try_join!(self.open(&ends[0]), self.open(&ends[1]))?;
        let sessions = [&a, &b].map(|session| session.id().to_string());

        observer.step("two sessions train at the same time", None);
        let meet = self.meet([&a, &b]);
        let (first, second, ()) = tokio::try_join!(train(&a, CLOUDS[0]), train(&b, CLOUDS[1]), meet)?;
        let trained = [first, second];
        observer.step("both score the same records", None);
        let input = records();
        let scored =
            tokio::try_join!(self.score(&a, MODELS[0], &input), self.score(&b, MODELS[1], &input))?.into();
        observer.step("a write to the feature store fails half-way", None);
        let refused = self.refuse().await?;
        observer.step("the worker of session A is killed", None);
        let loss = self.lose(&a, &b, &input).await?;
        observer.step("both learn a real data set", None);
        let real = tokio::try_join!(self.learn(&a, DATASETS[0]), self.learn(&b, DATASETS[1]))?;

        observer.step("asking sessions and workers what they have", None);
        let finals = tokio::try_join!(stats(&a), stats(&b))?.into();
        tokio::try_join!(a.close(), b.close())?;
        let each: Each<WorkerStats> =
            self.slither.call_each(POOL, &format!("{MODULE}:worker_stats"), &()).await?;
        let (mut accounts, mut silent) = (Vec::new(), Vec::new());
        for reply in each.replies {
            match reply.result {
                Ok(account) => accounts.push(account),
                Err(error) => silent.push(format!("{} (pid {}): {error}", reply.worker, reply.pid)),
            }
        }
        let real: [Real; 2] = real.into();
        let held_out = real.iter().flat_map(|real| &real.learnt.held_out);
        let written = self.written(input.iter().chain(held_out), &refused)?;
        let ends = ends.map(|ends| std::mem::take(&mut *ends.lock().unwrap_or_else(PoisonError::into_inner)));
        let (lost, elapsed) = (each.lost, begun.elapsed());
        let pools = [(POOL, self.workers)];
        let chaos = match &self.chaos {
            Some(chaos) => Some(ChaosReport::gather(chaos, &self.slither, &pools).await?),
            None => None,
        };
        Ok(Evidence {
            sessions,
            trained,
            scored,
            refused,
            loss,
            real,
            finals,
            written,
            ends,
            accounts,
            lost,
            silent,
            chaos,
            elapsed,
        })
    }

    /// Holds each training up after its first round until the other has come as far, so that both are at it then even
    /// where one begins late.
    async fn meet(&self, sessions: [&Session; 2]) -> Result<(), ItemError> {
        let [mut a, mut b] = sessions.map(|session| self.rounds.hold(session.id()));
        // One that fails before ends the act of itself.
        let _ = tokio::join!(&mut a.reached, &mut b.reached);
        Ok(())
    }

    async fn open(&self, ends: &Arc<Mutex<Vec<SessionEnd>>>) -> Result<Session, ItemError> {
        let ends = ends.clone();
        let note = move |how| ends.lock().unwrap_or_else(PoisonError::into_inner).push(how);
        self.slither.open_session(POOL).on_end(note).await
    }

    /// One run of the pipe through a session.
    async fn score(&self, session: &Session, model: &str, input: &[Record]) -> Result<Scored, Broken> {
        let on_error = faults::policy(self.chaos.is_some());
        let pipe = flow::pipe(self.store.clone(), model, on_error)
            .map_err(|error| Broken::Other(error.to_string()))?;
        Ok(Scored::new(input.len(), session.run_pipe(&pipe, input.to_vec()).await?))
    }

    /// A write that changes one record and adds another, on a disk that is full half-way; then the same again.
    async fn refuse(&self) -> Result<Refused, Broken> {
        let store = self.store.clone();
        let refused = tokio::task::spawn_blocking(move || {
            let line = |id: &str, value: f64| Line { id: id.to_owned(), features: vec![value; FEATURES] };
            let write = [line(LATE[0], 2.0), line(LATE[1], 3.0)];
            let failed = |error: &dyn std::error::Error| Broken::Other(error.to_string());
            remember(&store, [line(LATE[0], 1.0)]).map_err(|error| failed(&error))?;
            let before = standing(&store).map_err(|error| failed(&error))?;
            let half = serde_json::to_string(&write).unwrap_or_default().len() / 2;
            store.store().backing().full_after(half);
            let error = remember(&store, write.clone()).err().map(|error| error.to_string());
            let after = standing(&store).map_err(|error| failed(&error))?;
            remember(&store, write.clone()).map_err(|error| failed(&error))?;
            let again = standing(&store).map_err(|error| failed(&error))?;
            let wanted = write.into_iter().map(|line| Some(line.features)).collect();
            Ok(Refused { error, before, after, again, wanted })
        });
        refused.await.map_err(|error| Broken::Other(error.to_string()))?
    }

    /// Kills the worker of `a` while it trains and more calls wait; then opens the session anew and goes on.
    async fn lose(&self, a: &Session, b: &Session, input: &[Record]) -> Result<Loss, Broken> {
        let before = tokio::try_join!(stats(a), stats(b))?.into();
        let (_, killed) = a.worker().ok_or_else(|| Broken::Other("session A has no worker".to_owned()))?;
        let mut held = self.rounds.hold(a.id());
        let running = train(a, Clouds { model: "challenger", ..CLOUDS[0] });
        let features = self.store.snapshot();
        let questions: Vec<Question> = input
            .iter()
            .map(|record| {
                let features = known(&features, &record.id).cloned().unwrap_or_default();
                Question { id: record.id.clone(), model: MODELS[0].to_owned(), features }
            })
            .collect();
        let questions = a.dispatch::<_, Prediction>(questions, call("predict").on_error(OnError::Skip));
        let deed = async {
            // The training stands still from here, so whatever is called through the session now waits for it.
            let reached = (&mut held.reached).await;
            self.until_held(input.len().div_ceil(flow::BATCH) + 2).await;
            kill(killed)?;
            drop(held);
            reached.map_err(|_| Broken::Other("the training did not tell of its rounds".to_owned()))?;
            self.score(b, MODELS[1], input).await
        };
        let (running, questions, call, meanwhile) = tokio::join!(running, questions, stats(a), deed);

        let questions = questions.map_err(|error| Broken::Other(error.to_string()))?;
        let lost = questions.failures.iter().map(|Failure { error, .. }| Fell::of::<()>(Err(error.clone())));
        let done = questions.results.iter().map(|_| Fell::of(Ok(())));
        let queued = lost.chain(done).chain([Fell::of(call)]).collect();
        let later = Fell::of(stats(a).await);
        let gone = !Path::new(&format!("/proc/{killed}")).exists();

        a.reopen().await?;
        let reopened = stats(a).await?;
        let retrained = train(a, CLOUDS[0]).await?;
        let rescored = self.score(a, MODELS[0], input).await?;
        Ok(Loss {
            before,
            killed,
            gone,
            running: Fell::of(running),
            queued,
            queued_ledger: questions.ledger,
            later,
            meanwhile: meanwhile?,
            reopened,
            retrained,
            rescored,
            other: stats(b).await?,
        })
    }

    /// Ready when the pool holds so many calls, queued or in a worker; or when that has taken too long.
    async fn until_held(&self, calls: usize) {
        let begun = Instant::now();
        let held = || self.slither.stats(POOL).map_or(0, |stats| stats.queued + stats.running);
        while held() < calls && begun.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
    }

    /// A model of a real data set, and its verdicts on what it has not learnt from.
    async fn learn(&self, session: &Session, dataset: &'static str) -> Result<Real, Broken> {
        #[derive(Serialize)]
        struct Wanted {
            model: &'static str,
            dataset: &'static str,
            seed: u32,
        }
        let wanted = Wanted { model: dataset, dataset, seed: SEED };
        let learnt: Learnt = session.execute(&format!("{MODULE}:train_real"), &wanted).await?;
        let scored = self.score(session, dataset, &learnt.held_out).await?;
        Ok(Real { learnt, scored })
    }

    /// Table and file of the feature store, beside what they should hold.
    fn written<'a>(
        &self,
        records: impl Iterator<Item = &'a Record>,
        refused: &Refused,
    ) -> Result<Written, Broken> {
        let lines = self.store.store().backing().lines();
        let lines = lines.map_err(|error| Broken::Other(error.to_string()))?;
        let mut expected: BTreeMap<_, _> =
            records.map(|record| (record.id.clone(), mean(&record.readings))).collect();
        let late = LATE.iter().zip(&refused.wanted);
        expected.extend(late.filter_map(|(id, wanted)| Some(((*id).to_owned(), wanted.clone()?))));
        Ok(Written {
            table: all(&self.store.snapshot()).map(|line| (line.id, line.features)).collect(),
            lines: lines.len(),
            file: lines.into_iter().map(|line| (line.id, line.features)).collect(),
            expected,
        })
    }
}

async fn train(session: &Session, clouds: Clouds) -> Result<Trained, ItemError> {
    session.execute(&format!("{MODULE}:train"), &clouds).await
}

async fn stats(session: &Session) -> Result<SessionStats, ItemError> {
    session.execute(&format!("{MODULE}:session_stats"), &()).await
}

fn kill(pid: u32) -> Result<(), Broken> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Broken::Other("the worker has no process id".to_owned()))?;
    kill_process(pid, Signal::KILL)
        .map_err(|error| Broken::Other(format!("the worker cannot be killed: {error}")))
}

fn standing(store: &StoreHandle<FeatureStore>) -> std::io::Result<Standing> {
    let (snapshot, mut backing) = (store.snapshot(), store.store().backing());
    Ok(Standing {
        version: snapshot.version(),
        rows: all(&snapshot).count(),
        bytes: backing.size()?,
        lines: backing.lines()?.len(),
        values: LATE.iter().map(|id| known(&snapshot, id).cloned()).collect(),
    })
}

/// The mean of each column.
fn mean(readings: &[Vec<f64>]) -> Vec<f64> {
    let columns = readings.first().map_or(0, Vec::len);
    let column = |at| readings.iter().filter_map(move |reading| reading.get(at));
    (0..columns).map(|at| column(at).sum::<f64>() / readings.len() as f64).collect()
}
