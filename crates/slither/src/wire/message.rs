//! Bodies of the frames that workers send, decoded and checked.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::adapter::Adapter;
use super::frame::FAILED;
use crate::codec::{decode, decode_prefix, decode_run, value_len};
use crate::error::{ErrorKind, ItemError};

/// What is said of a value that cannot even be stepped over.
const BROKEN: &str = "a value is cut short, nests too deep, or is no msgpack";

/// `HELLO`: what the worker is.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) sdk: String,
    pub(crate) pid: u32,
    pub(crate) python: String,
    pub(crate) implementation: String,
    /// Whether the GIL is on.
    pub(crate) gil: bool,
    /// Whether the interpreter was built to run without it.
    #[serde(default)]
    pub(crate) gil_build: bool,
    /// The extension module whose import turned it on.
    #[serde(default)]
    pub(crate) gil_by: Option<String>,
    /// How many calls it takes at once.
    #[serde(default = "one")]
    pub(crate) slots: usize,
    /// The adapter that it hosts.
    #[serde(default)]
    pub(crate) adapter: Option<Adapter>,
}

fn one() -> usize {
    1
}

/// `CAPACITY`: what of a worker's `HELLO` has changed.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) slots: usize,
    pub(crate) gil: bool,
    pub(crate) gil_by: Option<String>,
}

/// `BOUND`: what a function is.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) kind: String,
}

/// `LOG`: a record of Python's `logging`.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) level: u32,
    pub(crate) logger: String,
    pub(crate) message: String,
    pub(crate) call: Option<u64>,
    /// Of a worker that takes several calls: the name of the thread.
    #[serde(default)]
    pub(crate) thread: Option<String>,
}

/// `PROGRESS`: how far a call is.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
}

/// `VIEW`: Python asks; the arguments stay encoded until the view's own types decode them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ViewCall {
    pub(crate) call: u64,
    pub(crate) name: String,
    pub(crate) args: Vec<u8>,
}

impl ViewCall {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut rest = body;
        let count = rmp::decode::read_array_len(&mut rest).map_err(|error| error.to_string())?;
        if count != 3 {
            return Err(format!("an array of 3 was expected, not of {count}"));
        }
        let call = decode_prefix(&mut rest)?;
        let name = decode_prefix(&mut rest)?;
        match value_len(rest, 1) {
            Some(len) if len == rest.len() => Ok(Self { call, name, args: rest.to_vec() }),
            Some(len) => Err(format!("{} bytes are left behind the arguments", rest.len() - len)),
            None => Err(BROKEN.to_owned()),
        }
    }
}

impl ViewCall {
    /// How many calls a `VIEW` with `MANY` makes at once, as it claims.
    pub(crate) fn count(&self) -> u32 {
        rmp::decode::read_array_len(&mut self.args.as_slice()).unwrap_or(0)
    }
}

/// `ERROR`, or one entry of a `RESULT`'s failures.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(crate) struct RemoteError {
    pub(crate) kind: String,
    message: String,
    traceback: Option<String>,
    exception: Vec<String>,
    #[serde(default)]
    retry_after: Option<f64>,
}

impl From<RemoteError> for ItemError {
    fn from(remote: RemoteError) -> Self {
        let kind = match remote.kind.as_str() {
            "failed" => ErrorKind::Failed,
            "retry" => ErrorKind::Retry,
            "contract" => ErrorKind::Contract,
            "value" => ErrorKind::Value,
            "too_large" => ErrorKind::TooLarge,
            "import" => ErrorKind::Import,
            "decode" => ErrorKind::Decode,
            "out_of_memory" => ErrorKind::OutOfMemory,
            _ => ErrorKind::Exception,
        };
        let retry_after = remote.retry_after.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        ItemError::new(kind, remote.message)
            .with_traceback(remote.traceback, remote.exception)
            .with_retry_after(retry_after)
    }
}

/// The results of a batch of `expected` items out of the body of a `RESULT`.
///
/// A result that does not fit `T` fails its item alone.
///
/// # Errors
/// When the body itself is not as the protocol says; the worker that sent it is not to be trusted further.
pub(crate) fn results<T: DeserializeOwned>(
    body: &[u8],
    flags: u8,
    expected: usize,
) -> Result<Vec<Result<T, ItemError>>, String> {
    if !well_formed(body) {
        return Err(BROKEN.to_owned());
    }
    let mut rest = body;
    let with_failures = flags & FAILED != 0;
    let mut failures = Vec::new();
    if with_failures {
        if array(&mut rest)? != 2 {
            return Err("a pair of results and failures was expected".to_owned());
        }
        let behind = skip(rest)?;
        rest = &rest[..rest.len() - behind.len()];
        failures = decode::<Vec<(usize, RemoteError)>>(behind)?;
        failures.sort_by_key(|(index, _)| *index);
        if failures.windows(2).any(|pair| pair[0].0 == pair[1].0)
            || failures.last().is_some_and(|(index, _)| *index >= expected)
        {
            return Err("a failure names an item twice or one that the batch does not have".to_owned());
        }
    }
    let count = array(&mut rest)?;
    if count != expected {
        return Err(format!("{count} results came for {expected} items"));
    }
    let mut results = Vec::with_capacity(expected);
    let fitting = |body: &[u8], count, results: &mut _| {
        decode_run(body, count, results, |reason| misfit::<T>(&reason));
    };
    for (index, error) in failures {
        let before = rest;
        for _ in results.len()..index {
            rest = skip(rest)?;
        }
        fitting(&before[..before.len() - rest.len()], index - results.len(), &mut results);
        rest = skip(rest)?;
        results.push(Err(error.into()));
    }
    fitting(rest, expected - results.len(), &mut results);
    Ok(results)
}

/// How many results the body of a `PARTIAL` claims to hold, without a look at them.
pub(crate) fn claimed(body: &[u8], flags: u8) -> Result<usize, String> {
    let mut rest = body;
    if flags & FAILED != 0 && array(&mut rest)? != 2 {
        return Err("a pair of results and failures was expected".to_owned());
    }
    array(&mut rest)
}

/// The one result of a call.
///
/// # Errors
/// As for [`results`]; the inner error says that the result does not fit `T`.
pub(crate) fn result<T: DeserializeOwned>(body: &[u8], flags: u8) -> Result<Result<T, ItemError>, String> {
    match well_formed(body) {
        false => Err(BROKEN.to_owned()),
        true if flags & FAILED != 0 => Err("failed items were reported where there are none".to_owned()),
        true => Ok(decode(body).map_err(|reason| misfit::<T>(&reason))),
    }
}

fn misfit<T>(reason: &str) -> ItemError {
    let message = format!("the result does not fit {}: {reason}", std::any::type_name::<T>());
    ItemError::new(ErrorKind::Decode, message)
}

/// What is behind the first value.
fn skip(rest: &[u8]) -> Result<&[u8], String> {
    value_len(rest, 0).map(|len| &rest[len..]).ok_or_else(|| BROKEN.to_owned())
}

fn array(rest: &mut &[u8]) -> Result<usize, String> {
    rmp::decode::read_array_len(rest)
        .map(|len| len as usize)
        .map_err(|error| format!("an array was expected: {error}"))
}

/// Whether a body is one whole msgpack value, whatever its shape: what a worker sends that is not, breaks the
/// protocol; what is, and does not fit, is only of another type than was expected.
pub(crate) fn well_formed(body: &[u8]) -> bool {
    value_len(body, 0) == Some(body.len())
}

/// Reads a body into `T`, whole.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    decode(bytes)
}
