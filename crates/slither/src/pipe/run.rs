//! Running a pipe: [`stream_pipe`], [`try_stream_pipe`], [`run_pipe`] and [`replay`].

use std::fmt;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use serde::de::DeserializeOwned;

use super::definition::Pipe;
use super::launch::{Bindings, launch};
use super::outputs::{Outputs, PipeError};
use super::stream::PipeStream;
use crate::context::SessionId;
use crate::error::ConfigError;
use crate::letters::{BadLetter, DeadLetters, Letter};
use crate::metadata::Metadata;

/// What a run is given beside its input.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub(super) metadata: Metadata,
    /// What the stages with an executor of their own are bound to.
    pub(super) bindings: Bindings,
    /// The opened session that it runs in; a session of its own without.
    pub(super) session: Option<SessionId>,
    pub(super) letters: Option<DeadLetters>,
}

impl RunOptions {
    /// No metadata.
    pub fn new() -> Self {
        Self { metadata: Metadata::new(), bindings: Arc::new(()), session: None, letters: None }
    }

    /// Attaches metadata to the run; every stage sees it in its [`Context`](crate::Context).
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Writes each item that fails to a file of dead letters, before its failure comes out of the run.
    ///
    /// Of a stage that is made with `python` the letter holds the payload, as the stage was given it; a Rust stage has
    /// consumed its own. Items that a policy routes to an output are no failures, and those that a halted run has
    /// cancelled are not written. A file that falls behind holds up the stage whose items fail. What could not be
    /// written is told by [`DeadLetters::close`].
    #[must_use]
    pub fn dead_letters(mut self, letters: &DeadLetters) -> Self {
        self.letters = Some(letters.clone());
        self
    }

    /// Gives the stages what they look their executors up in.
    pub(crate) fn bound_to(mut self, bindings: Bindings) -> Self {
        self.bindings = bindings;
        self
    }

    /// Has it run in an opened session.
    pub(crate) fn in_session(mut self, session: Option<SessionId>) -> Self {
        self.session = session;
        self
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Starts a run over a stream of payloads, and returns the stream of what comes out.
///
/// Every stage is a task of its own, and the first outputs come while most of the input has not been pulled.
/// Needs a tokio runtime.
///
/// # Errors
/// If a stage could not be bound to its executor; then nothing was pulled.
///
/// # Cancellation
/// Dropping the future before it is ready pulls nothing. Dropping the stream cancels the run.
pub async fn stream_pipe<In, Out, S>(
    pipe: &Pipe<In, Out>,
    source: S,
    options: RunOptions,
) -> Result<PipeStream<Out>, ConfigError>
where
    In: Send + 'static,
    Out: Send + 'static,
    S: Stream<Item: Into<In>> + Send + 'static,
{
    launch(pipe, source.map(|payload| Ok((payload.into(), Metadata::new()))), options).await
}

/// [`stream_pipe`] over a source that can fail. At its first error no more is pulled; everything up to there
/// is delivered, and the run ends with [`RunError::Source`](crate::RunError::Source). A source that panics
/// ends the same way.
///
/// # Errors
/// If a stage could not be bound to its executor; then nothing was pulled.
///
/// # Cancellation
/// As for [`stream_pipe`].
pub async fn try_stream_pipe<In, Out, T, E, S>(
    pipe: &Pipe<In, Out>,
    source: S,
    options: RunOptions,
) -> Result<PipeStream<Out>, ConfigError>
where
    In: Send + 'static,
    Out: Send + 'static,
    T: Into<In>,
    E: fmt::Display,
    S: Stream<Item = Result<T, E>> + Send + 'static,
{
    let entering = |payload: T| (payload.into(), Metadata::new());
    let source = source.map(move |payload| payload.map(entering).map_err(|error| error.to_string()));
    launch(pipe, source, options).await
}

/// Starts a run over dead letters: their payloads are the input, with the metadata that [`Letter::to_item`] gives
/// them. The pipe has to begin with the stage that the letters come from, or with one that takes the same.
///
/// At the first letter that cannot be used no more is pulled; everything up to there is delivered, and the run ends
/// with [`RunError::Source`](crate::RunError::Source), which names the line. To pass over such letters leave them out:
/// `letters.filter_map(Result::ok)` are letters, too, with `.map(Ok)`.
///
/// # Errors
/// If a stage could not be bound to its executor; then nothing was pulled.
///
/// # Cancellation
/// As for [`stream_pipe`].
pub async fn replay<In, Out, L>(
    pipe: &Pipe<In, Out>,
    letters: L,
    options: RunOptions,
) -> Result<PipeStream<Out>, ConfigError>
where
    In: DeserializeOwned + Send + 'static,
    Out: Send + 'static,
    L: IntoIterator<Item = Result<Letter, BadLetter>, IntoIter: Send + 'static>,
{
    let entering = |letter: Result<Letter, BadLetter>| {
        let item = letter.and_then(|letter| letter.to_item()).map_err(|bad| bad.to_string())?;
        Ok((item.payload, item.metadata))
    };
    launch(pipe, stream::iter(letters.into_iter().map(entering)), options).await
}

/// Runs a pipe over a collection and gathers what comes out.
///
/// # Errors
/// If a stage could not be bound, or the run halted; the error carries everything finished until then.
///
/// # Cancellation
/// Dropping the future cancels the run.
pub async fn run_pipe<In, Out, P>(
    pipe: &Pipe<In, Out>,
    payloads: P,
    options: RunOptions,
) -> Result<Outputs<Out>, PipeError<Out>>
where
    In: Send + 'static,
    Out: Send + 'static,
    P: IntoIterator<Item: Into<In>, IntoIter: Send + 'static>,
{
    match stream_pipe(pipe, stream::iter(payloads), options).await {
        Ok(stream) => stream.into_outputs().await,
        Err(error) => Err(PipeError { cause: error.into(), outputs: Box::new(Outputs::empty(pipe.plan())) }),
    }
}
