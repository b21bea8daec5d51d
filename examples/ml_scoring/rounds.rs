//! The rounds of a training, as a worker tells them: Rust hears of each and can hold the training up.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use slither::SessionId;
use slither::store::{Store, Tables, View, ViewError};
use tokio::sync::oneshot;

/// No training is held up for longer; less than what a view may take.
const LONGEST: Duration = Duration::from_secs(4);

/// A store without tables, whose view a training calls after each round.
#[derive(Debug, Clone, Default)]
pub(super) struct Rounds(Arc<Mutex<Vec<Hold>>>);

#[derive(Debug)]
struct Hold {
    session: SessionId,
    reached: oneshot::Sender<Round>,
    release: Receiver<()>,
}

/// A round that is over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Round {
    pub(super) model: String,
    pub(super) done: u64,
    pub(super) of: u64,
}

/// A training that will be held up after its next round, until this is dropped or four seconds have gone by.
#[derive(Debug)]
pub(super) struct Held {
    /// Answers once the training stands still, with where it does.
    pub(super) reached: oneshot::Receiver<Round>,
    _release: SyncSender<()>,
}

impl Rounds {
    /// Holds up the next training of this session after its first round.
    pub(super) fn hold(&self, session: &SessionId) -> Held {
        let (reached, wait) = oneshot::channel();
        let (free, release) = sync_channel(1);
        let hold = Hold { session: session.clone(), reached, release };
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.retain(|hold| hold.session != *session);
        holds.push(hold);
        Held { reached: wait, _release: free }
    }

    fn done(&self, round: Round, session: Option<&SessionId>) {
        let hold = {
            let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            holds.iter().position(|hold| Some(&hold.session) == session).map(|at| holds.swap_remove(at))
        };
        if let Some(Hold { reached, release, .. }) = hold {
            // Whoever no longer waits for the round has no reason to hold it up.
            if reached.send(round).is_ok() {
                let _ = release.recv_timeout(LONGEST);
            }
        }
    }
}

impl Store for Rounds {
    fn tables(&self) -> Tables {
        Tables::new()
    }

    fn views(&self) -> Vec<View> {
        let rounds = self.clone();
        vec![View::scalar("round_done", move |round: Round, view| {
            rounds.done(round, view.session());
            Ok::<_, ViewError>(())
        })]
    }
}
