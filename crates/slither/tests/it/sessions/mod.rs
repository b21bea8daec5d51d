//! Sessions keep to their worker, and end once. Each file holds one promise.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod affinity;
mod ends;
mod limits;
mod loss;
mod scopes;

use slither::{Call, Session};

/// A call of the module that keeps something.
fn keep<I>(function: &str) -> Call<I> {
    Call::new(format!("keep:{function}"))
}

/// What the session keeps.
async fn kept(session: &Session) -> Vec<u64> {
    session.execute("keep:kept", &()).await.unwrap()
}

/// Keeps a number; gives the worker's process id.
async fn put(session: &Session, number: u64) -> u32 {
    let done = session.dispatch::<u64, (u32, u64)>([number], keep("put")).await.unwrap();
    done.into_payloads()[0].0
}

fn pid(session: &Session) -> u32 {
    session.worker().unwrap().1
}
