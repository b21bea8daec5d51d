//! Single calls at a fixed pace: plain ones that are timed, sessions, references, progress, and mishaps on purpose.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slither::{ErrorKind, ItemError, Pool, PyRef, Slither};

use super::{CALL_TIMEOUT, END, Soak};
use crate::{Fallible, python_folder};

/// A call in a pool where nothing goes wrong, whose time is taken.
pub(super) async fn probe(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_millis(50));
    let mut number = 0u64;
    while soak.tick(&mut every).await {
        number += 1;
        let begun = Instant::now();
        match soak.slither.execute::<_, u64>("steady", "soak:echo", &[number]).await {
            Ok(answer) if answer == number => soak.account.took(begun.elapsed()),
            other => soak.account.wrong(format!("probe {number}: {other:?}")),
        }
        soak.account.calls.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Whether the call had its answer; a mishap may take it, anything else is wrong.
fn told(soak: &Soak, what: &str, answer: Result<u64, ItemError>, expected: u64) -> bool {
    told_in_time(soak, what, answer, expected, false)
}

/// The same, of a call through something that may have ended of itself, since its time was limited.
fn told_in_time(
    soak: &Soak,
    what: &str,
    answer: Result<u64, ItemError>,
    expected: u64,
    limited: bool,
) -> bool {
    soak.account.calls.fetch_add(1, Relaxed);
    match answer {
        Ok(answer) if answer == expected => return true,
        Err(error) if super::by_mishap(&error) || limited && error.kind() == ErrorKind::SessionEnded => {
            soak.account.hurt.fetch_add(1, Relaxed);
        }
        other => soak.account.wrong(format!("{what}: {other:?}, expected {expected}")),
    }
    false
}

/// Sessions that count; a lost one is reopened and counts from 1 again.
pub(super) async fn sessions(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_millis(100));
    let mut number = 0u64;
    while soak.tick(&mut every).await {
        number += 1;
        let opening = soak.slither.open_session("rough");
        // Such a session may end between two calls that a busy machine holds up.
        let limited = number.is_multiple_of(7);
        let opening = if limited { opening.ttl(Duration::from_millis(500)) } else { opening };
        let session = match opening.await {
            Ok(session) => session,
            Err(error) if super::by_mishap(&error) => continue,
            Err(error) => {
                soak.account.wrong(format!("opening a session: {error}"));
                continue;
            }
        };
        for expected in 1..=4 {
            let answer = session.execute("soak:count", &()).await;
            if !told_in_time(&soak, "session", answer, expected, limited) {
                if session.reopen().await.is_ok() {
                    let answer = session.execute("soak:count", &()).await;
                    told_in_time(&soak, "reopened session", answer, 1, limited);
                }
                break;
            }
        }
        // Every other one is left to its drop.
        if number.is_multiple_of(2)
            && let Err(error) = session.close().await
            && !super::by_mishap(&error)
            && !(limited && error.kind() == ErrorKind::SessionEnded)
        {
            soak.account.wrong(format!("closing a session: {error}"));
        }
    }
    Ok(())
}

/// Objects that stay in Python, called and let go.
pub(super) async fn references(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_millis(200));
    let mut pool = ["rough", "steady"].into_iter().cycle();
    while soak.tick(&mut every).await {
        let pool = pool.next().unwrap_or("steady");
        match soak.slither.execute::<_, PyRef>(pool, "soak:counter", &()).await {
            Ok(counter) => {
                for sum in [2, 4, 6] {
                    if !told(&soak, "reference", counter.call("add", &[2]).await, sum) {
                        break;
                    }
                }
            }
            Err(error) if super::by_mishap(&error) => {}
            Err(error) => soak.account.wrong(format!("a reference: {error}")),
        }
    }
    Ok(())
}

/// Calls that say how far they are, and a reader of what they say.
pub(super) async fn progress(soak: Soak) -> Fallible<()> {
    let mut feed = soak.slither.progress("steady")?;
    let mut every = super::every(Duration::from_millis(500));
    while soak.tick(&mut every).await {
        let call = soak.slither.execute::<_, u64>("steady", "soak:steps", &[5]);
        told(&soak, "steps", call.await, 5);
        // The last report, that all is done, is always sent.
        let last = tokio::time::timeout(END, async {
            while let Some(report) = feed.next().await {
                soak.account.reports.fetch_add(1, Relaxed);
                if Some(report.done) == report.total {
                    return;
                }
            }
        });
        if last.await.is_err() {
            soak.account.wrong("a report of progress did not come".into());
        }
    }
    Ok(())
}

/// Kills a worker of the rough pool every two seconds, by turns.
pub(super) async fn kills(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_secs(2));
    let mut turn = 0;
    while soak.tick(&mut every).await {
        let workers = soak.slither.stats("rough")?.workers;
        turn += 1;
        let victim = workers.get(turn % workers.len().max(1)).and_then(|(_, pid)| Pid::from_raw(*pid as i32));
        if let Some(pid) = victim {
            // It may have died by itself meanwhile.
            let _ = kill_process(pid, Signal::KILL);
            soak.account.mishaps.fetch_add(1, Relaxed);
        }
    }
    Ok(())
}

/// Everything else that Python may do to its worker.
pub(super) async fn mishaps(soak: Soak) -> Fallible<()> {
    let kinds = [
        ("segfault", Some(ErrorKind::Crash)),
        ("raise", Some(ErrorKind::Exception)),
        ("print", None),
        ("exit", Some(ErrorKind::Crash)),
        ("hang", Some(ErrorKind::Timeout)),
        ("leave a child", Some(ErrorKind::Crash)),
    ];
    let mut every = super::every(Duration::from_secs(3));
    for (kind, expected) in kinds.into_iter().cycle() {
        if !soak.tick(&mut every).await {
            break;
        }
        let begun = Instant::now();
        let came = soak.slither.execute::<_, String>("rough", "soak:mishap", &[kind]).await;
        let came = came.map_err(|error| error.kind());
        // A kill may come between, and who is held up until the deadline is over is taken for one that hangs.
        let overdue = came == Err(ErrorKind::Timeout) && begun.elapsed() >= CALL_TIMEOUT;
        if came.as_ref().err() != expected.as_ref() && came != Err(ErrorKind::Crash) && !overdue {
            soak.account.wrong(format!("{kind}: {came:?}"));
        }
        soak.account.mishaps.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Whole runtimes beside, started, used and ended.
pub(super) async fn passing(soak: Soak) -> Fallible<()> {
    let mut every = super::every(Duration::from_secs(20));
    while soak.tick(&mut every).await {
        let slither = start_passing().await?;
        told(&soak, "passing", slither.execute("passing", "soak:echo", &[1]).await, 1);
        slither.shutdown(Duration::from_secs(5)).await;
    }
    Ok(())
}

/// A runtime with one worker.
pub(super) async fn start_passing() -> Fallible<Slither> {
    let pool = Pool::processes("passing").size(1).python_path(python_folder());
    Ok(Slither::builder().pool(pool).start().await?)
}
