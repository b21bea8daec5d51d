//! Lines of JSON from a file: one value a line, blank lines passed over, none without an end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;
use slither::ConfigError;

/// A line is refused beyond this; a whole batch has to fit a frame.
pub(crate) const LONGEST: u64 = 16 << 20;

/// A value, and where it stands.
#[derive(Debug)]
pub(crate) struct Line {
    /// The line, from 1.
    pub(crate) number: u64,
    pub(crate) value: Value,
}

/// Reads the values of a file one by one; the first error is the last thing that comes.
///
/// # Errors
/// If it cannot be opened. A line that is too long or no JSON is an error that names file and line.
pub(crate) fn lines(
    path: &Path,
) -> std::io::Result<impl Iterator<Item = Result<Line, ConfigError>> + Send + use<>> {
    let mut file = BufReader::new(File::open(path)?);
    let path = path.to_owned();
    let (mut number, mut broken) = (0, false);
    Ok(std::iter::from_fn(move || {
        while !broken {
            number += 1;
            match read(&path, &mut file, number).transpose()? {
                Ok(None) => {}
                Ok(Some(value)) => return Some(Ok(Line { number, value })),
                Err(error) => {
                    broken = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }))
}

/// The place of a line, for messages.
pub(crate) fn at(path: &Path, number: u64) -> String {
    format!("{} line {number}", path.display())
}

/// One line: none at the end, and inside that nothing for a blank one.
#[allow(clippy::option_option, reason = "the end and a blank line are different things")]
fn read(path: &Path, file: &mut impl BufRead, number: u64) -> Result<Option<Option<Value>>, ConfigError> {
    let at = at(path, number);
    let mut bytes = Vec::new();
    let length = file.take(LONGEST + 1).read_until(b'\n', &mut bytes);
    match length.map_err(|error| ConfigError::new(format!("{at} cannot be read: {error}")))? {
        0 => return Ok(None),
        _ if bytes.len() as u64 > LONGEST => return Err(too_large(&at, bytes.len() as u64)),
        _ => {}
    }
    let bytes = bytes.trim_ascii_end();
    if bytes.is_empty() {
        return Ok(Some(None));
    }
    serde_json::from_slice(bytes).map(|value| Some(Some(value))).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" at line").next().unwrap_or(&reason);
        ConfigError::new(format!("{at}, column {}: not JSON: {reason}", error.column()))
            .hint("each line of a .jsonl file is one JSON value")
    })
}

/// The error for what is beyond [`LONGEST`].
pub(crate) fn too_large(what: &str, size: u64) -> ConfigError {
    ConfigError::new(format!("{what} is {size} bytes or more, and at most {LONGEST} are read as one"))
        .hint("split it into smaller ones")
}
