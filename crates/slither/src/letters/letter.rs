//! A letter that was read: [`Letter`], and what can be wrong with one: [`BadLetter`].

use std::fmt;

use serde::de::DeserializeOwned;

use crate::item::{Item, ItemId, Payload};
use crate::metadata::Metadata;
use crate::value::{Timestamp, Value};

/// A failure as it was written, read back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Letter {
    /// Its line in the file, from 1.
    pub line: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The run it failed in.
    pub run: Option<String>,
    /// The pipe; none for a dispatch.
    pub pipe: Option<String>,
    /// The stage; none for a dispatch.
    pub stage: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The item, within that run. Children of an expansion carry their parent's id.
    pub item: ItemId,
    /// The items that failed with it, itself included.
    pub batch: Vec<ItemId>,
    /// How often it was run, the last time included.
    pub attempts: u32,
    /// Why it failed.
    pub error: LetterError,
    /// What travelled with the item.
    pub metadata: Metadata,
    /// What the caller attached to the run.
    pub run_metadata: Metadata,
    /// What the stage was given; none if it was not kept.
    pub payload: Option<Payload>,
}

/// Why an item failed, as its letter says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LetterError {
    /// The word of an [`ErrorKind`](crate::ErrorKind), maybe of a later version.
    pub kind: String,
    /// What went wrong.
    pub message: String,
    /// The Python traceback, or the stack of a worker that hung or crashed.
    pub traceback: Option<String>,
    /// The classes of the Python exception, itself first.
    pub exception: Vec<String>,
    /// What was known of the worker: its name, its `pid`, its `death`, what it was doing and had printed.
    pub worker: Option<Value>,
}

impl Letter {
    /// The payload as its type.
    ///
    /// # Errors
    /// If it was not kept, or is of another type.
    pub fn to_payload<T: DeserializeOwned>(&self) -> Result<T, BadLetter> {
        let Some(payload) = &self.payload else {
            let message = match &self.stage {
                Some(stage) => format!("item {} was kept without its payload by stage `{stage}`", self.item),
                None => format!("item {} was kept without its payload", self.item),
            };
            return Err(BadLetter::new(self.line, Fault::NoPayload, message));
        };
        payload.to().map_err(|error| BadLetter::new(self.line, Fault::Payload, error.message().to_owned()))
    }

    /// The letter as input: an item with the payload, the number of the line as its id, and its metadata with a
    /// `letter` more, which says where it comes from: `line`, `run`, `stage`, `item`, `kind`, and `attempts`, those of
    /// earlier letters included.
    ///
    /// # Errors
    /// If the payload was not kept, or is of another type.
    pub fn to_item<T: DeserializeOwned>(&self) -> Result<Item<T>, BadLetter> {
        let mut item = Item::new(self.line, self.to_payload()?);
        item.metadata = self.marked();
        Ok(item)
    }

    /// The metadata with the mark of where they come from.
    fn marked(&self) -> Metadata {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
        let mut metadata = self.metadata.clone();
        let before = metadata.get("letter").and_then(|letter| letter.get("attempts")).and_then(Value::as_i64);
        let attempts = i64::from(self.attempts).saturating_add(before.unwrap_or(0).max(0));
        metadata.insert(
            "letter",
            Value::from([
                ("line", Value::from(self.line)),
                ("run", text(&self.run)),
                ("stage", text(&self.stage)),
                ("item", Value::from(self.item.0)),
                ("kind", Value::from(self.error.kind.as_str())),
                ("attempts", Value::from(attempts)),
            ]),
        );
        metadata
    }
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends within it: its writer was killed, or the disk was full.
    Torn,
    /// It is no letter.
    Malformed,
    /// It is longer than the reader allows.
    TooLong,
    /// A later version of Slither wrote it.
    Version,
    /// The letter holds no payload.
    NoPayload,
    /// The payload is of another type.
    Payload,
    /// The file cannot be read on; this is the last that a reader yields.
    Io,
}

/// A line that cannot be used, and why. The lines around it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLetter {
    line: u64,
    fault: Fault,
    message: String,
}

impl BadLetter {
    pub(super) fn new(line: u64, fault: Fault, message: String) -> Self {
        Self { line, fault, message }
    }

    /// Its line in the file, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for BadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)?;
        let hint = match self.fault {
            Fault::Torn => {
                "whoever wrote it was stopped in the middle; delete the line, its item has to come from its source"
            }
            Fault::Malformed => "mend the line, or delete it",
            Fault::TooLong => "raise `max_line`",
            Fault::Version => "read it with the version that wrote it",
            Fault::NoPayload => {
                "Python stages keep payloads, and dispatches with `Call::keep_payloads`; the item has to come from its source"
            }
            Fault::Payload => {
                "a letter holds what its stage was given; replay it through a pipe that begins there"
            }
            Fault::Io => return Ok(()),
        };
        write!(f, "\n  hint: {hint}")
    }
}

impl std::error::Error for BadLetter {}
