//! References to Python objects: the handle [`PyRef`], and how it comes out of a result and into a call.
//!
//! A value is read and written by serde alone, which knows nothing of workers. So whoever opens an answer says,
//! for its thread and for that long, whose answer it is; and whoever writes a call hears whose references are in it.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Weak};

use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::answer::open_single;
use super::job::{Reply, lost};
use super::running::{RunningPool, Via};
use super::station::{Order, Station, lock};
use super::worker::CallId;
use crate::context::Context;
use crate::error::{ErrorKind, ItemError};
use crate::value::{ByteBuf, serialize_ext};
use crate::wire::{self, Kind};

/// The extension of `docs/PROTOCOL.md`.
const CODE: i8 = 2;

thread_local! {
    /// The answer that is being read, and the references found in it.
    static READING: RefCell<Option<Answer>> = const { RefCell::new(None) };
    /// The references that were written into a call.
    static WRITING: RefCell<Option<Vec<PyRef>>> = const { RefCell::new(None) };
}

struct Answer {
    from: Arc<Station>,
    pool: Weak<RunningPool>,
    /// Kept until all is read: a type may be tried twice at the same place.
    found: Vec<Arc<Held>>,
}

/// The references of a result that has not been read. Whoever drops it keeps none of them.
#[derive(Debug)]
pub(super) struct Unread {
    station: Weak<Station>,
    call: CallId,
    kept: Vec<u64>,
}

impl Unread {
    pub(super) fn new(station: &Arc<Station>, call: CallId) -> Self {
        station.pin();
        Self { station: Arc::downgrade(station), call, kept: Vec::new() }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some(station) = self.station.upgrade() {
            station.unpin();
            station.order(Order::Tell(wire::refs(Kind::KeepRefs, self.call, &self.kept)));
        }
    }
}

/// Reads an answer; the references in it become handles, and its worker forgets the others.
pub(super) fn reading<T>(reply: &Reply, read: impl FnOnce() -> T) -> T {
    let Some(mut unread) = lock(&reply.refs).take() else { return read() };
    /// Also when a type's own `deserialize` panics.
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            READING.take();
        }
    }
    let clear = Clear;
    let (from, pool) = (reply.from.clone(), reply.pool.clone());
    READING.replace(Some(Answer { from, pool, found: Vec::new() }));
    let value = read();
    let found = READING.take().map(|answer| answer.found).unwrap_or_default();
    unread.kept = found.iter().map(|held| held.id).collect();
    drop(clear);
    value
}

/// The workers that a call has to go to because of what it holds.
#[derive(Debug)]
pub(crate) struct Homes(Vec<PyRef>);

/// Writes a call, and hears of the references in it.
pub(crate) fn writing<T>(write: impl FnOnce() -> T) -> (T, Homes) {
    WRITING.replace(Some(Vec::new()));
    let written = write();
    (written, Homes(WRITING.take().unwrap_or_default()))
}

impl Homes {
    /// How the call goes: to the worker that holds its references, if it has any, else as it would.
    pub(crate) fn via(&self, pool: &Arc<RunningPool>, otherwise: Via) -> Result<Via, ItemError> {
        let Some(first) = self.0.first().map(|first| &first.held) else { return Ok(otherwise) };
        if !std::ptr::eq(first.pool.as_ptr(), Arc::as_ptr(pool)) {
            let message =
                format!("a Python object of worker {} was given to pool `{}`", first.worker, pool.name);
            return Err(ItemError::new(ErrorKind::Value, message));
        }
        if let Some(other) = self.0.iter().find(|other| other.held.epoch != first.epoch) {
            let message = format!(
                "one call was given Python objects of two workers, {} and {}\nhint: make them in one session",
                first.worker, other.held.worker
            );
            return Err(ItemError::new(ErrorKind::Value, message));
        }
        match otherwise {
            // A session has a worker already; if that is another one, Python says so.
            Via::Session(session) if session.pinned() => Ok(Via::Session(session)),
            _ => Ok(Via::Worker { slot: first.slot, epoch: first.epoch }),
        }
    }
}

/// A handle to an object that stays in a Python worker: what `slither.ref(value)` in a result becomes here.
///
/// It can be part of any payload or result type. Its calls go to the worker that holds the object; so does any call
/// whose arguments or items hold it, and the function there is given the object itself. The object stays until the
/// last clone of the handle is dropped, or its worker ends; a worker holds at most 65,536 of them.
///
/// ```no_run
/// use slither::{PyRef, Slither};
///
/// # async fn serve(slither: Slither) -> Result<(), Box<dyn std::error::Error>> {
/// // def connect(path): return slither.ref(sqlite3.connect(path))
/// let connection: PyRef = slither.execute("default", "my_db:connect", &["users.db"]).await?;
/// connection.call::<_, ()>("commit", &()).await?;
/// // def count(connection, table): …
/// let users: u64 = slither.execute("default", "my_db:count", &(&connection, "users")).await?;
/// # let _ = users;
/// # Ok(())
/// # }
/// ```
///
/// # Failure
/// After its worker's death every use fails with [`ErrorKind::SessionLost`]: the object is gone, and another worker
/// never takes its place. A worker's deadline and crashes apply to these calls as to any other.
#[derive(Clone)]
pub struct PyRef {
    held: Arc<Held>,
}

struct Held {
    nonce: u64,
    id: u64,
    worker: String,
    slot: usize,
    epoch: u64,
    station: Weak<Station>,
    pool: Weak<RunningPool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(station) = self.station.upgrade() {
            station.unpin();
            station.order(Order::Tell(wire::refs(Kind::DropRefs, 0, &[self.id])));
        }
    }
}

impl PyRef {
    /// The worker that holds the object: pool, slot and epoch, as `default/0#3`.
    pub fn worker(&self) -> &str {
        &self.held.worker
    }

    /// Calls a method of the object. A map or a struct becomes keyword arguments, a sequence positional ones, `()`
    /// none, anything else the only argument. The call belongs to no session, and may take the pool's
    /// [`call_timeout`](crate::Pool::call_timeout).
    ///
    /// # Errors
    /// As the method failed, of kind [`SessionLost`](ErrorKind::SessionLost) after the worker's death, or
    /// [`Pool`](ErrorKind::Pool) after the pool's end.
    ///
    /// # Cancellation
    /// Dropping the future withdraws the call if the worker has not got it yet; else its answer is discarded.
    pub async fn call<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        method: &str,
        args: &A,
    ) -> Result<T, ItemError> {
        self.run("slither._refs:invoke", &(self, method, args)).await
    }

    /// The object as a value, if it can travel.
    ///
    /// # Errors
    /// As for [`call`](Self::call), and of kind [`Value`](ErrorKind::Value) if it cannot.
    ///
    /// # Cancellation
    /// As for [`call`](Self::call).
    pub async fn get<T: DeserializeOwned>(&self) -> Result<T, ItemError> {
        self.run("slither._refs:get", &(self,)).await
    }

    async fn run<A: Serialize, T: DeserializeOwned>(&self, function: &str, args: &A) -> Result<T, ItemError> {
        let Some(pool) = self.held.pool.upgrade() else { return Err(lost(None, None)) };
        let id = pool.next_id();
        let context = Arc::new(Context::none());
        let (frame, homes) = writing(|| wire::single(id, function, &context, args, pool.max_frame));
        let via = homes.via(&pool, Via::Any)?;
        let reply = pool.submit(id, frame?, pool.call_timeout, context, &via).await?;
        open_single(&reply)
    }
}

impl fmt::Debug for PyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PyRef({} in {})", self.held.id, self.held.worker)
    }
}

impl Serialize for PyRef {
    /// For a call to Python. In a text format it is the text that `Debug` gives, and no handle any more.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&format_args!("{self:?}"));
        }
        let mut body = Vec::with_capacity(20);
        crate::codec::encode(&(self.held.nonce, self.held.id), &mut body).map_err(S::Error::custom)?;
        WRITING.with_borrow_mut(|writing| {
            if let Some(refs) = writing {
                refs.push(self.clone());
            }
        });
        serialize_ext(serializer, CODE, &body)
    }
}

impl<'de> Deserialize<'de> for PyRef {
    /// Out of an answer of a worker, and of nothing else.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ext;
        impl<'de> Visitor<'de> for Ext {
            type Value = PyRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference to a Python object, as `slither.ref(value)` makes one")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<PyRef, D::Error> {
                let (code, body): (i8, ByteBuf) = Deserialize::deserialize(deserializer)?;
                if code != CODE {
                    return Err(D::Error::custom(format!("a reference was expected, not extension {code}")));
                }
                let (nonce, id) = crate::codec::decode(&body.0).map_err(D::Error::custom)?;
                READING.with_borrow_mut(|reading| {
                    let Answer { from, pool, found } = reading.as_mut().ok_or_else(|| {
                        D::Error::custom("a reference is read from a worker's answer, and from nothing else")
                    })?;
                    if let Some(held) = found.iter().find(|held| held.id == id) {
                        return Ok(PyRef { held: held.clone() });
                    }
                    from.pin();
                    let held = Arc::new(Held {
                        nonce,
                        id,
                        worker: from.worker.name.clone(),
                        slot: from.slot,
                        epoch: from.epoch,
                        station: Arc::downgrade(from),
                        pool: pool.clone(),
                    });
                    found.push(held.clone());
                    Ok(PyRef { held })
                })
            }
        }
        deserializer.deserialize_any(Ext)
    }
}
