//! Who is blamed when a worker has broken the protocol: a keeper over a link that is only a script.

use super::*;
use crate::error::ErrorKind;
use crate::pool::worker::script;
use crate::wire::WireError;

/// A worker says hello, answers call 1, is given 2 and 3, breaks the protocol and dies. Returns how 2 and 3 ended;
/// none is still to be run.
async fn breach(claims: bool, sentence: Option<Sentence>) -> [Option<ErrorKind>; 2] {
    let (mut keeper, station, mut waiting) = script::keeper();
    assert_eq!(lock(&station.held).len(), 2, "one runs, and one was sent ahead");
    if claims {
        assert!(rustix::io::read(&station.token, &mut [0; 8]).is_ok());
    }
    if let Some(sentence) = sentence {
        station.order(crate::pool::station::Order::Kill(sentence));
        keeper.turn();
    }
    keeper.link.reads.push_back(Err(WireError::UnknownKind(200)));
    assert!(keeper.receive());
    keeper.retire();
    keeper.bury();
    let mut ended = |at: usize| waiting[at].try_recv().ok().map(|answer| answer.unwrap_err().kind());
    [ended(1), ended(2)]
}

#[tokio::test]
async fn what_a_worker_claimed_behind_its_breach_is_blamed_and_never_run_again() {
    let protocol = Some(ErrorKind::Protocol);
    assert_eq!(breach(false, None).await, [protocol, None], "the call ahead was not begun");
    assert_eq!(
        breach(true, None).await,
        [protocol, protocol],
        "it may have been run, and its answer is not read"
    );
}

#[tokio::test]
async fn a_breach_counts_also_in_a_worker_that_was_to_die_anyway() {
    let crash = Some(ErrorKind::Crash);
    assert_eq!(breach(false, Some(Sentence::Nursery)).await, [crash, None]);
    assert_eq!(breach(true, Some(Sentence::Nursery)).await, [crash, crash]);
}
