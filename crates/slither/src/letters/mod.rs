//! Dead letters: failures written to a file, one a line, and read back as input.
//!
//! ```text
//! stage ──▶ failure ──▶ bounded queue ──▶ thread ──▶ letters.jsonl ──▶ LetterReader ──▶ items for another run
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use futures_util::stream;
//! use slither::Context;
//! use slither::dispatch::{InProcess, Limits, OnError, dispatch, try_dispatch_stream};
//! use slither::letters::{DeadLetters, LetterReader};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("slither-letters-{}.jsonl", std::process::id()));
//! let fragile = InProcess::new("local", |texts: Vec<String>| {
//!     texts.iter().map(|text| text.parse::<u64>()).collect::<Result<Vec<_>, _>>()
//! });
//! let limits = Limits::new().on_error(OnError::Isolate).keep_payloads();
//! let texts = ["1", "two", "3"].map(String::from);
//! let done = dispatch(Arc::new(fragile), texts, &limits, Context::run()).await?;
//!
//! let letters = DeadLetters::append(&path)?;
//! letters.write_all(&done.failures).await?;
//! assert_eq!(letters.close().await?, 1);
//!
//! let letter = LetterReader::open(&path)?.next().unwrap()?;
//! assert_eq!(letter.to_payload::<String>()?, "two");
//! assert_eq!(letter.error.kind, "handler");
//! # std::fs::remove_file(path)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - A payload, and metadata, come back exactly as they were, whatever they hold: what JSON has no word for is
//!   tagged. No pickle, and nothing is run when a file is read.
//! - A line that was written is whole; at most the last line of a file is not, and it is told as [`Fault::Torn`].
//! - Writing never blocks the runtime; what waits is bounded, and who brings more waits.
//! - No file makes a reader panic, overflow the stack, or allocate more than some times its longest line.
//!
//! # Limits and defaults
//! 1024 letters or 16 MiB of payloads wait to be written. A line that is read has at most 384 MiB
//! ([`LetterReader::max_line`]), and nests at most 128 levels.
//!
//! # Failure
//! What cannot be written is counted, and told by [`DeadLetters::close`]; the failures themselves come out of the run
//! as ever. A line that cannot be read is an error in its place, and the next is read.
//!
//! # Pitfalls
//! A letter holds what its *stage* was given, which need not be what the pipe was given. Rust stages consume their
//! payloads, and keep none. Letters hold payloads and tracebacks as they are: the file is its owner's alone.

mod base64;
mod json;
mod letter;
mod line;
mod moment;
mod reader;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

pub use letter::{BadLetter, Fault, Letter, LetterError};
pub use reader::LetterReader;
pub use writer::DeadLetters;
