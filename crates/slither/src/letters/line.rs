//! One letter as one line of JSON.

use std::io;

use serde::{Serialize, Serializer};

use super::json::{Tagged, untag};
use super::letter::{BadLetter, Fault, Letter, LetterError};
use super::moment;
use super::tree::Tree;
use crate::codec;
use crate::error::ItemError;
use crate::item::{Failure, ItemId, Payload};
use crate::metadata::Metadata;
use crate::value::{Timestamp, Value};

/// The version of the format. A reader refuses a later one, and ignores fields that it does not know.
const FORMAT: i64 = 1;

#[derive(Serialize)]
struct Line<'a> {
    slither: i64,
    time: String,
    run: Option<&'a str>,
    pipe: Option<&'a str>,
    stage: Option<&'a str>,
    session: Option<&'a str>,
    item: u64,
    batch: &'a [ItemId],
    attempts: u32,
    error: &'a ItemError,
    #[serde(skip_serializing_if = "Exact::is_empty")]
    metadata: Exact,
    #[serde(skip_serializing_if = "Exact::is_empty")]
    run_metadata: Exact,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Exact>,
}

/// A value that comes back as it was.
struct Exact(Tree);

impl Exact {
    fn is_empty(&self) -> bool {
        matches!(&self.0, Tree::Map(entries) if entries.is_empty())
    }

    fn of(metadata: &Metadata) -> Result<Self, String> {
        let mut bytes = Vec::new();
        codec::encode(metadata, &mut bytes)?;
        codec::decode(&bytes).map(Self)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Tagged::new(&self.0).serialize(serializer)
    }
}

/// Appends the line of a failure to `out`, its newline included. On an error `out` is as it was.
pub(super) fn write(failure: &Failure, time: Timestamp, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    let written = (|| {
        let context = failure.context.as_deref();
        let line = Line {
            slither: FORMAT,
            time: moment::write(time).unwrap_or_default(),
            run: context.and_then(|context| context.run.as_ref()).map(|run| run.as_str()),
            pipe: context.and_then(|context| context.pipe.as_deref()),
            stage: failure.stage.as_deref(),
            session: context.and_then(|context| context.session.as_ref()).map(|session| session.as_str()),
            item: failure.item.0,
            batch: &failure.batch,
            attempts: failure.attempts,
            error: &failure.error,
            metadata: Exact::of(&failure.metadata)?,
            run_metadata: context
                .map_or(Ok(Exact(Tree::Map(Vec::new()))), |context| Exact::of(&context.metadata))?,
            payload: match &failure.payload {
                Some(payload) => Some(Exact(codec::decode(payload.as_msgpack())?)),
                None => None,
            },
        };
        serde_json::to_writer(&mut *out, &line).map_err(|error| error.to_string())
    })();
    match written {
        Ok(()) => {
            out.push(b'\n');
            Ok(())
        }
        Err(reason) => {
            out.truncate(start);
            Err(io::Error::other(format!("item {}: {reason}", failure.item)))
        }
    }
}

/// Reads the line of this number, without its newline.
pub(super) fn read(number: u64, text: &[u8]) -> Result<Letter, BadLetter> {
    let malformed = |message: String| BadLetter::new(number, Fault::Malformed, message);
    let line: Tree =
        serde_json::from_slice(text).map_err(|error| malformed(format!("no JSON: {}", plain(&error))))?;
    match line.get("slither") {
        Some(Tree::Int(FORMAT)) => {}
        Some(Tree::Int(later)) if *later > FORMAT => {
            let message = format!("it has format {later}, and this version of Slither reads up to {FORMAT}");
            return Err(BadLetter::new(number, Fault::Version, message));
        }
        _ => return Err(malformed("no dead letter: it has no `\"slither\": 1`".to_owned())),
    }
    let wrong = |name: &str, expected: &str| malformed(format!("`{name}` is not {expected}"));
    let text = |from: &Tree, name: &str| match from.get(name) {
        None | Some(Tree::Nil) => Ok(None),
        Some(Tree::Str(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, "text")),
    };
    let count = |name: &str| match line.get(name) {
        Some(Tree::Int(count)) => u64::try_from(*count).map_err(|_| wrong(name, "a count")),
        Some(Tree::Uint(count)) => Ok(*count),
        _ => Err(wrong(name, "a count")),
    };
    let exact = |name: &str| match line.get(name) {
        None => Ok(None),
        Some(value) => untag(value.clone())
            .and_then(|tree| tree.to_msgpack())
            .map(|bytes| Some(Payload::from_msgpack(bytes)))
            .map_err(|reason| malformed(format!("`{name}`: {reason}"))),
    };
    let metadata = |name: &str| match exact(name)? {
        None => Ok(Metadata::new()),
        Some(value) => value.to::<Metadata>().map_err(|_| wrong(name, "an object")),
    };
    let error = line.get("error").ok_or_else(|| malformed("`error` is missing".to_owned()))?;
    let time = text(&line, "time")?.and_then(|time| moment::read(&time));
    Ok(Letter {
        line: number,
        time: time.ok_or_else(|| wrong("time", "a time as in 2026-01-31T12:00:00.000001Z"))?,
        run: text(&line, "run")?,
        pipe: text(&line, "pipe")?,
        stage: text(&line, "stage")?,
        session: text(&line, "session")?,
        item: ItemId(count("item")?),
        batch: match line.get("batch") {
            None => Vec::new(),
            Some(ids) => ids.to().map_err(|_| wrong("batch", "a list of items"))?,
        },
        attempts: u32::try_from(count("attempts")?).map_err(|_| wrong("attempts", "a count"))?,
        error: LetterError {
            kind: text(error, "kind")?.ok_or_else(|| malformed("`error.kind` is missing".to_owned()))?,
            message: text(error, "message")?.unwrap_or_default(),
            traceback: text(error, "traceback")?,
            exception: match error.get("exception") {
                None => Vec::new(),
                Some(classes) => classes.to().map_err(|_| wrong("error.exception", "a list of texts"))?,
            },
            worker: match error.get("worker") {
                None | Some(Tree::Nil) => None,
                Some(worker) => Some(worker.to::<Value>().map_err(|_| wrong("error.worker", "an object"))?),
            },
        },
        metadata: metadata("metadata")?,
        run_metadata: metadata("run_metadata")?,
        payload: exact("payload")?,
    })
}

/// The message without serde's line, which is always the first, and the column, which is what helps.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    format!("{text}, at column {}", error.column())
}
