//! The sample: a file of inputs, one JSON value a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;
use slither::ConfigError;

use crate::text;

/// More items than this teach nothing new.
const MOST: usize = 1000;
/// A longer line is no sample of an input.
const LONGEST: u64 = 16 << 20;

/// Inputs of a function.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The items, in the order of the file; at least one.
    pub(crate) items: Vec<Value>,
}

impl Sample {
    /// Reads a file of JSON lines; blank ones are passed over, and so is what comes after the first thousand.
    ///
    /// # Errors
    /// If it cannot be read, holds no line, or one that is no JSON: it is named by its number.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed =
            |error| ConfigError::new(format!("the sample {} cannot be read: {error}", path.display()));
        let mut lines = BufReader::new(File::open(path).map_err(failed)?);
        let mut items = Vec::new();
        for number in 1.. {
            let mut line = Vec::new();
            let read = (&mut lines).take(LONGEST + 1).read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 || items.len() == MOST {
                break;
            }
            let bad = |why: String| {
                ConfigError::new(format!("{}:{number}: {why}", path.display()))
                    .hint("a sample is a file of inputs, one JSON value a line, as the function gets them in its list")
            };
            if read as u64 > LONGEST {
                return Err(bad(format!("a line of more than {LONGEST} bytes")));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            items.push(
                serde_json::from_slice(&line)
                    .map_err(|error| bad(format!("no JSON: {}", text::no_json(&error))))?,
            );
        }
        if items.is_empty() {
            return Err(ConfigError::new(format!("the sample {} is empty", path.display()))
                .hint("write at least one input, better twenty, as one JSON value a line"));
        }
        Ok(Self { items })
    }
}
