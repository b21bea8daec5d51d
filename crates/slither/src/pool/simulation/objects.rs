//! Objects that stay in a worker: its shelf of them, and a caller that has handles to some.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::book::Shared;
use super::dice::Dice;
use super::visits::check_opening;
use crate::codec;
use crate::context::Context;
use crate::error::ErrorKind;
use crate::pool::station::lock;
use crate::pool::supervisor::Epoch;
use crate::pool::worker::CallId;
use crate::pool::{PyRef, RunningPool, Via, open_single};
use crate::value::serialize_ext;
use crate::wire::{self, Kind};

/// The function that makes an object.
pub(super) const MAKE: &str = "m:make";
/// The function that calls a method of one.
pub(super) const INVOKE: &str = "slither._refs:invoke";

/// What a worker keeps for references to it.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    made: u64,
    kept: BTreeSet<u64>,
    /// By call: what was made for its result, until the host says what it keeps of that.
    fresh: HashMap<CallId, u64>,
}

impl Shelf {
    /// Makes an object for the result of a call; gives its number.
    pub(super) fn make(&mut self, call: CallId) -> u64 {
        self.made += 1;
        self.fresh.insert(call, self.made);
        self.made
    }

    /// The host keeps these of a call's result, or lets these go.
    pub(super) fn heed(&mut self, kind: Kind, call: CallId, objects: &[u64]) {
        if kind == Kind::KeepRefs {
            let fresh = self.fresh.remove(&call);
            self.kept.extend(fresh.filter(|object| objects.contains(object)));
        } else {
            for object in objects {
                assert!(self.kept.remove(object), "object {object} is let go, and is not there");
            }
        }
    }

    pub(super) fn has(&self, object: u64) -> bool {
        self.kept.contains(&object)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.fresh.is_empty()
    }
}

/// A reference as a worker writes it: its epoch as the nonce, and the object.
pub(super) struct Reference(pub(super) Epoch, pub(super) u64);

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = Vec::new();
        codec::encode(&(self.0, self.1), &mut body).expect("two numbers");
        serialize_ext(serializer, 2, &body)
    }
}

/// What the reference says that begins the arguments of a call.
pub(super) fn first(mut args: &[u8]) -> (Epoch, u64) {
    rmp::decode::read_array_len(&mut args).expect("an array");
    let meta = rmp::decode::read_ext_meta(&mut args).expect("a reference");
    codec::decode(&args[..meta.size as usize]).expect("two numbers")
}

/// That somebody has a handle; entered in the book, and dropped before the handle is.
struct Holding {
    epoch: Epoch,
    book: Shared,
}

impl Holding {
    fn of(object: &PyRef, book: &Shared) -> Self {
        let epoch =
            object.worker().rsplit_once('#').expect("it ends in its epoch").1.parse().expect("a number");
        *lock(book).handles.entry(epoch).or_default() += 1;
        Self { epoch, book: book.clone() }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        *lock(&self.book).handles.entry(self.epoch).or_default() -= 1;
    }
}

/// Has objects made, calls them, and lets them go.
pub(super) async fn hold(pool: Arc<RunningPool>, objects: usize, book: Shared, mut dice: Dice) {
    for _ in 0..objects {
        tokio::time::sleep(dice.millis(0, 40)).await;
        let (id, context) = (pool.next_id(), Arc::new(Context::none()));
        let frame = wire::single(id, MAKE, &context, &(), 1 << 20).expect("it can be encoded");
        // Its worker may be dead before its answer is read.
        let deaths = lock(&book).deaths;
        let reply = pool.submit(id, frame, dice.millis(20, 100), context, &Via::Any).await;
        if dice.permille(100) {
            // Nobody reads what came, and no handle is made of it.
            continue;
        }
        let object = match reply.and_then(|reply| open_single::<PyRef>(&reply)) {
            Ok(object) => object,
            Err(error) => {
                check_opening(&error);
                continue;
            }
        };
        let _holding = Holding::of(&object, &book);
        lock(&book).tally.count("objects held");
        for _ in 0..dice.size(0, 5) {
            tokio::time::sleep(dice.millis(0, 40)).await;
            let another = object.clone();
            match another.call::<_, u64>("method", &()).await {
                Ok(_) => lock(&book).tally.count("calls of objects"),
                Err(error) if error.kind() == ErrorKind::SessionLost => {
                    assert_ne!(deaths, lock(&book).deaths, "an object is lost, and nobody died");
                    lock(&book).tally.count("objects lost");
                    break;
                }
                Err(error) => check_opening(&error),
            }
        }
    }
}
