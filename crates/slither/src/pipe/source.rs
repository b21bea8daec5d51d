//! The first task of a pipe: pulls the input, one item for each free place.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};

use super::outlet::Outlet;
use super::ticket::Run;
use crate::error::{ItemError, RunError};
use crate::item::{Item, ItemId};
use crate::metadata::Metadata;

/// A place in the channel is reserved before an item is pulled: what is pulled always has somewhere to go.
pub(super) async fn pump<T, S>(run: Arc<Run>, source: S, outlet: Outlet<T>)
where
    S: Stream<Item = Result<(T, Metadata), String>>,
{
    let mut source = pin!(source);
    for id in 0.. {
        let Some(place) = outlet.reserve().await else { return };
        match AssertUnwindSafe(source.next()).catch_unwind().await {
            Ok(Some(Ok((payload, metadata)))) => {
                place.send(Item { id: ItemId(id), payload, metadata }, run.pull());
            }
            Ok(Some(Err(message))) => return run.set_cause(RunError::Source(message)),
            Ok(None) => return,
            Err(panic) => {
                let message = ItemError::panicked(&*panic).to_string();
                return run.set_cause(RunError::Source(message));
            }
        }
    }
}
