//! One batch, without items and ledger: [`call_batch`].

use std::sync::Arc;

use super::collect::dispatch;
use super::executor::Executor;
use super::limits::{Limits, Order};
use crate::context::Context;
use crate::error::{ErrorKind, ItemError, RunError};

/// Runs all payloads as one batch and returns a result or an error for each, in the order of the payloads.
///
/// Of the limits only the policy and the rate count. Under [`OnError::Isolate`](super::OnError::Isolate) and
/// [`OnError::Retry`](super::OnError::Retry) what failed is run again; under the others it has the error of the batch.
/// Without payloads nothing is run.
///
/// ```
/// use std::sync::Arc;
/// use slither::Context;
/// use slither::dispatch::{InProcess, Limits, OnError, call_batch};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let inverse = InProcess::new("local", |numbers: Vec<u64>| {
///     numbers.into_iter().map(|n| 100u64.checked_div(n)).collect::<Option<Vec<_>>>().ok_or("division by zero")
/// });
/// let isolate = Limits::new().on_error(OnError::Isolate);
/// let results = call_batch(Arc::new(inverse), [1, 0, 4], &isolate, Context::run()).await.unwrap();
/// assert!(matches!(results[..], [Ok(100), Err(_), Ok(25)]));
/// # }
/// ```
///
/// # Errors
/// If the policy makes no sense outside a pipe. A batch that fails is none: each of its payloads has the error.
///
/// # Cancellation
/// Dropping the future withdraws what is in flight.
pub async fn call_batch<I, O: Send + 'static>(
    executor: Arc<dyn Executor<I, O>>,
    payloads: impl IntoIterator<Item = I>,
    limits: &Limits<I>,
    context: Context,
) -> Result<Vec<Result<O, ItemError>>, RunError> {
    let payloads: Vec<I> = payloads.into_iter().collect();
    let count = payloads.len();
    let limits = limits.clone().batch_size(count.max(1)).max_in_flight(1).window(1).order(Order::AsCompleted);
    let done = match dispatch(executor, payloads, &limits, context).await {
        Ok(done) => done,
        // There is no other batch that could have been halted.
        Err(error) if matches!(error.cause, RunError::Halted(_)) => *error.finished,
        Err(error) => return Err(error.cause),
    };
    let lost = || Err(ItemError::new(ErrorKind::Pool, "the batch ended without a result for this payload"));
    let mut results: Vec<Result<O, ItemError>> = std::iter::repeat_with(lost).take(count).collect();
    for item in done.results {
        results[item.id.0 as usize] = Ok(item.payload);
    }
    for failure in done.failures {
        results[failure.item.0 as usize] = Err(failure.error);
    }
    Ok(results)
}
