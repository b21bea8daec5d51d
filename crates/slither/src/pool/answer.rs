//! What workers answered: one of them, or each.

use super::graveyard::LostWorker;
use super::job::Reply;
use super::refs;
use crate::error::ItemError;
use crate::wire::{self, Kind};

/// The single value of an answer.
pub(crate) fn open_single<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, ItemError> {
    match reply.kind {
        Kind::Error => Err(remote_error(reply)),
        _ => match refs::reading(reply, || wire::result(&reply.body, reply.flags)) {
            Ok(result) => result.map_err(|error: ItemError| error.with_worker(reply.worker())),
            Err(reason) => Err(reply.broken(reason)),
        },
    }
}

/// The error that an `ERROR` frame carries, with the worker it came from.
pub(crate) fn remote_error(reply: &Reply) -> ItemError {
    match wire::body::<wire::RemoteError>(&reply.body) {
        Ok(remote) => ItemError::from(remote).with_worker(reply.worker()),
        Err(reason) => reply.broken(reason),
    }
}

/// What the workers answered to a call made once on each.
#[derive(Debug, Clone)]
pub struct Each<T> {
    /// One for each worker that was alive, in the order of their slots' start.
    pub replies: Vec<WorkerReply<T>>,
    /// The workers that have died since the pool was started (the latest 1024): what they held is lost.
    pub lost: Vec<LostWorker>,
}

/// What one worker answered.
#[derive(Debug, Clone)]
pub struct WorkerReply<T> {
    /// Its name: pool, slot and epoch, as `default/0#3`.
    pub worker: String,
    /// Its process id.
    pub pid: u32,
    /// Its answer, or why there is none.
    pub result: Result<T, ItemError>,
}
