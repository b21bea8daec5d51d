//! Items that flow all the time at a fixed pace: each has to come back once, with its own answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use slither::letters::{DeadLetters, LetterReader};
use slither::pipe::Event;
use slither::{Call, Context, Item, OnError, Order, Outcome, Pipe, Retry, Router, RunOptions, StoreHandle};
use tokio::time::MissedTickBehavior;

use super::account::Tally;
use super::state::Rows;
use super::{CALL_TIMEOUT, Soak};
use crate::Fallible;

/// How often a source hands out what has become due.
const TICK: Duration = Duration::from_millis(20);

/// Numbers from 0, so many a second until the soak is over, each entered as out. What a busy moment held up is made
/// up for.
fn paced(soak: &Soak, a_second: u64, tally: &Arc<Tally>) -> impl Stream<Item = u64> + Send + use<> {
    let mut every = tokio::time::interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (over, tally) = (soak.over.clone(), tally.clone());
    let ticks_a_second = 1_000 / TICK.as_millis() as u64;
    stream::unfold((every, 0u64, 0u64), move |(mut every, mut ticks, next)| {
        let (over, tally) = (over.clone(), tally.clone());
        async move {
            while next >= ticks * a_second / ticks_a_second {
                every.tick().await;
                ticks += 1;
                if *over.borrow() {
                    return None;
                }
            }
            tally.sent(next);
            Some((next, (every, ticks, next + 1)))
        }
    })
}

/// A pipe of a Rust stage, a Python stage that fails some items and is isolated, and a router.
pub(super) async fn numbers(soak: Soak) -> Fallible<()> {
    let call = Call::new("soak:numbers").pool("rough").batch_size(32).timeout(CALL_TIMEOUT);
    let pipe = Pipe::builder("numbers")
        .map("pass", |number: u64, _: &Context| number)
        .python::<u64>("double", call.on_error(OnError::Isolate))
        .route("way", Router::new().when("low", |doubled: &u64| doubled.is_multiple_of(4)))
        .build()?;
    let tally = Arc::new(Tally::default());
    let source = paced(&soak, 2_000, &tally).map(Ok::<_, Infallible>);
    let path = std::env::temp_dir().join(format!("slither-soak-{}.jsonl", std::process::id()));
    let letters = DeadLetters::append(&path)?;
    let options = RunOptions::new().dead_letters(&letters);
    let mut run = soak.slither.stream_pipe(&pipe, source, options).await?;
    while let Some(event) = run.next().await {
        match event? {
            Event::Emitted { output, item } => {
                let id = item.id.0;
                if item.payload != id * 2 || (&*output == "low") != id.is_multiple_of(2) {
                    soak.account.wrong(format!("item {id} came back as {} by {output}", item.payload));
                }
                tally.came(id, false, &soak.account);
            }
            Event::Failed(failure) => {
                let id = failure.item.0;
                let meant = id % 997 == 5 || id % 1009 == 7;
                if !meant && !super::by_mishap(&failure.error) {
                    soak.account.wrong(format!("numbers: {failure}"));
                }
                tally.came(id, true, &soak.account);
            }
        }
    }
    let failed = run.ledger().failed;
    soak.account.close("numbers", run.ledger());
    drop(run);
    let written = letters.close().await?;
    let whole = LetterReader::open(&path)?.filter(Result::is_ok).count() as u64;
    std::fs::remove_file(&path)?;
    soak.account.letters.fetch_add(written, Relaxed);
    if (written, whole) != (failed, failed) {
        soak.account
            .wrong(format!("{failed} items failed, {written} letters were written, {whole} can be read"));
    }
    tally.close("numbers", &soak.account);
    Ok(())
}

/// A dispatch to a generator, answers as they come, retried.
pub(super) async fn words(soak: Soak) -> Fallible<()> {
    let retry = Retry::new(5).backoff(Duration::from_millis(10)).then(OnError::Skip);
    let call = Call::new("soak:words")
        .pool("rough")
        .batch_size(16)
        .order(Order::AsCompleted)
        .timeout(CALL_TIMEOUT)
        .on_error(OnError::Retry(retry));
    let tally = Arc::new(Tally::default());
    let source =
        paced(&soak, 800, &tally).map(|id| Item::new(id, format!("word {id} of a text {}", "z".repeat(60))));
    let mut results = soak.slither.dispatch_stream::<String, String>(source, call).await?;
    while let Some(outcome) = results.next().await {
        let (id, failed) = match outcome? {
            Outcome::Done(item) => {
                if !item.payload.starts_with(&format!("WORD {} OF", item.id.0)) {
                    soak.account.wrong(format!("word {} came back as {}", item.id, item.payload));
                }
                (item.id.0, false)
            }
            Outcome::Failed(failure) => {
                if !super::by_mishap(&failure.error) {
                    soak.account.wrong(format!("words: {failure}"));
                }
                (failure.item.0, true)
            }
        };
        tally.came(id, failed, &soak.account);
    }
    soak.account.close("words", results.ledger());
    tally.close("words", &soak.account);
    Ok(())
}

/// A dispatch of 16 KiB each, in a pool where nothing goes wrong, in order.
pub(super) async fn blobs(soak: Soak) -> Fallible<()> {
    let call = Call::new("soak:checksums").pool("steady").batch_size(4).on_error(OnError::Skip);
    let tally = Arc::new(Tally::default());
    let source =
        paced(&soak, 200, &tally).map(|id| Item::new(id, Bytes::from(vec![(id % 251) as u8; 16 << 10])));
    let mut results = soak.slither.dispatch_stream::<Bytes, u32>(source, call).await?;
    let mut known: [Option<u32>; 251] = [None; 251];
    let mut last = None;
    while let Some(outcome) = results.next().await {
        match outcome? {
            Outcome::Done(item) => {
                let id = item.id.0;
                if last.replace(id).is_some_and(|last| last >= id) {
                    soak.account.wrong(format!("blob {id} is out of order"));
                }
                if *known[(id % 251) as usize].get_or_insert(item.payload) != item.payload {
                    soak.account.wrong(format!("blob {id} has another checksum"));
                }
                tally.came(id, false, &soak.account);
            }
            Outcome::Failed(failure) => soak.account.wrong(format!("blobs: {failure}")),
        }
    }
    soak.account.close("blobs", results.ledger());
    tally.close("blobs", &soak.account);
    Ok(())
}

/// Items that ask a view, while the store is written and reloaded.
pub(super) async fn features(soak: Soak, rows: StoreHandle<Rows>) -> Fallible<()> {
    let call = Call::new("soak:features").pool("steady").batch_size(4).on_error(OnError::Skip);
    let tally = Arc::new(Tally::default());
    let source = paced(&soak, 100, &tally).map(|id| Item::new(id, id));
    let mut results = soak.slither.dispatch_stream::<u64, Vec<u64>>(source, call).await?;
    while let Some(outcome) = results.next().await {
        match outcome? {
            Outcome::Done(item) => {
                let now = rows.version();
                if item.payload.len() != 1 || item.payload[0] > now {
                    soak.account.wrong(format!("views of one snapshot gave {:?} at {now}", item.payload));
                }
                tally.came(item.id.0, false, &soak.account);
            }
            Outcome::Failed(failure) => soak.account.wrong(format!("features: {failure}")),
        }
    }
    soak.account.close("features", results.ledger());
    tally.close("features", &soak.account);
    Ok(())
}

/// Items through workers that leak and are recycled: not one of them may notice.
pub(super) async fn aged(soak: Soak) -> Fallible<()> {
    let call = Call::new("soak:leaky").pool("aging").batch_size(4);
    let tally = Arc::new(Tally::default());
    let source = paced(&soak, 200, &tally).map(|id| Item::new(id, id));
    let mut results = soak.slither.dispatch_stream::<u64, u64>(source, call).await?;
    while let Some(outcome) = results.next().await {
        match outcome? {
            Outcome::Done(item) => {
                if item.payload != item.id.0 {
                    soak.account.wrong(format!("aged {} came back as {}", item.id, item.payload));
                }
                tally.came(item.id.0, false, &soak.account);
            }
            Outcome::Failed(failure) => soak.account.wrong(format!("aged: {failure}")),
        }
    }
    soak.account.close("aged", results.ledger());
    tally.close("aged", &soak.account);
    Ok(())
}

/// Runs over an endless input that are cancelled, or dropped, half-way.
pub(super) async fn cancelled(soak: Soak) -> Fallible<()> {
    let call = Call::new("soak:numbers").pool("rough").batch_size(8).timeout(CALL_TIMEOUT);
    let pipe = Pipe::<u64, u64>::builder("cancelled")
        .python::<u64>("double", call.on_error(OnError::Skip))
        .map("pass", |number: u64, _: &Context| number)
        .build()?;
    let mut every = super::every(Duration::from_secs(3));
    let mut drops = false;
    while soak.tick(&mut every).await {
        let endless = stream::iter((0u64..).map(Ok::<_, Infallible>));
        let mut run = soak.slither.stream_pipe(&pipe, endless, RunOptions::new()).await?;
        for _ in 0..200 {
            if let Some(Err(error)) = run.next().await {
                soak.account.wrong(format!("cancelled: {error}"));
                break;
            }
        }
        drops = !drops;
        if drops {
            drop(run);
        } else {
            soak.account.close("cancelled", run.cancel().await.ledger);
        }
    }
    Ok(())
}

/// Runs that halt at an error: what was finished and what was given up add up.
pub(super) async fn halted(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_secs(5));
    while soak.tick(&mut every).await {
        let call = Call::new("soak:numbers").pool("rough").batch_size(8).timeout(CALL_TIMEOUT);
        match soak.slither.dispatch::<u64, u64>(900..1_100, call).await {
            Ok(done) => soak.account.wrong(format!("a run with an exception did not halt: {}", done.ledger)),
            Err(error) => soak.account.close("halted", error.finished.ledger),
        }
    }
    Ok(())
}
