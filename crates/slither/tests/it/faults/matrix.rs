//! A crash fails only its batch: each way to die, in each phase, in pools of each size.

use std::fs;
use std::time::Instant;

use slither::{Call, Death, ErrorKind, Failure, ItemId, OnError, Phase, Pool, RunError, Slither, Value};

use super::{pids, unlimited};
use crate::support::{Folder, pool, runtime, until, within};

/// A way to die, and what is said of it; none for an exception, of which no worker dies.
const DEEDS: [(&str, Option<(Death, &str)>); 5] = [
    ("segfault", Some((Death::Signal(11), "was killed by SIGSEGV (signal 11)"))),
    ("exit", Some((Death::Code(0), "exited with code 0"))),
    ("libc-exit", Some((Death::Code(3), "exited with code 3"))),
    ("abort", Some((Death::Signal(6), "was killed by SIGABRT (signal 6)"))),
    ("raise", None),
];

/// What a batch may die in, how the error names it, and how its message ends.
const PHASES: [(&str, Phase, &str); 4] = [
    ("decode", Phase::Decode, "while it decoded its call"),
    ("user", Phase::User, "while it ran user code"),
    ("encode", Phase::Encode, "while it encoded its answer"),
    ("reply", Phase::User, "while it ran user code"),
];

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<ItemId> {
    ids.into_iter().map(ItemId).collect()
}

/// Forty numbers, of which the batch from 16 to 19 holds a deed.
fn items(deed: &str) -> Vec<Value> {
    (0..40u64).map(|number| if number == 17 { Value::from(deed) } else { Value::from(number) }).collect()
}

fn act() -> Call<Value> {
    Call::new("dying:act").batch_size(4).max_in_flight(4).on_error(OnError::Skip)
}

/// Waits until the worker has been replaced.
async fn replaced(slither: &Slither, size: usize, dead: u32) {
    until(|| pids(slither).len() == size && !pids(slither).contains(&dead)).await;
}

async fn dies_in_a_batch(slither: &Slither, size: usize) {
    for (name, phase, clause) in PHASES {
        for (deed, death) in DEEDS {
            let cell = format!("{deed} in {name}, {size} workers");
            slither.call_each::<_, Value>("default", "dying:arm", &()).await.unwrap();
            let before = pids(slither);
            let done =
                slither.dispatch::<Value, Value>(items(&format!("{name}:{deed}")), act()).await.unwrap();
            if death.is_none() && name == "reply" {
                lies_behind_half_a_reply(&done.failures, &cell);
                until(|| pids(slither).len() == size && !before.is_subset(&pids(slither))).await;
                continue;
            }
            let exempt = death.is_none() && name == "encode";
            // Only the item itself, if it can be told from the others.
            let lost = if exempt { ids([17]) } else { ids(16..20) };
            assert!(done.ledger.balanced(), "{cell}: {}", done.ledger);
            let good: Vec<_> = done.results.iter().map(|item| item.id).collect();
            let expected: Vec<_> = ids(0..40).into_iter().filter(|id| !lost.contains(id)).collect();
            assert_eq!(good, expected, "{cell}: the others, in order");
            let failed: Vec<_> = done.failures.iter().map(|failure| failure.item).collect();
            assert_eq!(failed, lost, "{cell}");
            let error = &done.failures[0].error;
            if exempt {
                assert_eq!(error.message(), "result[1] cannot be encoded: as asked", "{cell}");
                assert_eq!(pids(slither), before, "{cell}: the worker survives");
                continue;
            }
            let report = error.worker().unwrap_or_else(|| panic!("{cell}: {error:?}"));
            match death {
                Some((death, says)) => {
                    assert_eq!(error.kind(), ErrorKind::Crash, "{cell}: {error}");
                    assert_eq!(error.message(), format!("the worker {says} {clause}"), "{cell}");
                    assert_eq!((report.death, report.phase), (Some(death), Some(phase)), "{cell}");
                    assert_eq!(report.items[..], lost, "{cell}");
                    assert!(report.running.is_some() && report.peak_rss.is_some_and(|peak| peak > 1 << 20));
                    assert!(before.contains(&report.pid), "{cell}");
                    replaced(slither, size, report.pid).await;
                }
                None => {
                    assert_eq!((error.kind(), error.message()), (ErrorKind::Exception, "as asked"), "{cell}");
                    assert_eq!(pids(slither), before, "{cell}: the worker survives");
                }
            }
        }
    }
}

/// Behind half a reply the error is read as the rest of it, which nobody can decode. By the time that this is known,
/// the worker may have begun its next batch, which dies with it: that is the one death that may cost two.
fn lies_behind_half_a_reply(failures: &[Failure], cell: &str) {
    let (own, next): (Vec<_>, Vec<_>) =
        failures.iter().partition(|failure| (16..20).contains(&failure.item.0));
    assert_eq!(own.len(), 4, "{cell}: {failures:?}");
    assert!(own.iter().all(|failure| failure.error.kind() == ErrorKind::Protocol), "{cell}: {own:?}");
    assert!(next.is_empty() || next.len() == next[0].batch.len(), "{cell}: one batch: {next:?}");
    assert!(next.iter().all(|failure| failure.error.kind() == ErrorKind::Protocol), "{cell}: {next:?}");
}

/// A death at import is known before any item is pulled, and costs the call that would have been made.
async fn dies_at_import(slither: &Slither, size: usize) {
    for (deed, death) in DEEDS {
        let cell = format!("{deed} at import, {size} workers");
        let call = Call::new(format!("at_import_{}:echo", deed.replace('-', "_")));
        let refused = slither.dispatch::<Value, Value>(items("unread"), call).await.unwrap_err();
        assert_eq!(refused.finished.ledger.pulled, 0, "{cell}");
        let RunError::Config(error) = refused.cause else { panic!("{cell}: {:?}", refused.cause) };
        let text = error.to_string();
        let expected = match death {
            Some((_, says)) => format!("the worker {says} while it imported `at_import_"),
            None => "importing 'at_import_raise' failed: ValueError: as asked".to_owned(),
        };
        assert!(text.contains(&expected), "{cell}: {text}");
        until(|| pids(slither).len() == size).await;
        let done = slither.dispatch::<Value, Value>(items("fine"), act()).await.unwrap();
        assert_eq!(done.ledger.emitted, 40, "{cell}: the pool goes on");
    }
}

/// A death of an idle worker costs nothing but its start.
async fn dies_idle(slither: &Slither, size: usize) {
    for (deed, death) in DEEDS {
        let cell = format!("{deed} while idle, {size} workers");
        let deaths = slither.stats("default").unwrap().deaths;
        let before = pids(slither);
        let idle = [Value::from(format!("idle:{deed}"))];
        let done = slither.dispatch::<Value, Value>(idle, act()).await.unwrap();
        assert_eq!(done.ledger.emitted, 1, "{cell}");
        if let Some((_, says)) = death {
            until(|| slither.stats("default").unwrap().deaths == deaths + 1).await;
            until(|| pids(slither).len() == size).await;
            let each = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap();
            let last = each.lost.last().unwrap();
            assert!(before.contains(&last.pid) && !pids(slither).contains(&last.pid), "{cell}");
            let story = format!("{says} while it was idle");
            assert!(last.reason.starts_with(&story), "{cell}: {}", last.reason);
        }
        let done = slither.dispatch::<Value, Value>(items("fine"), act()).await.unwrap();
        assert_eq!((done.ledger.emitted, done.ledger.failed), (40, 0), "{cell}: nothing is lost");
    }
}

async fn matrix(size: usize) {
    within(async {
        let begun = Instant::now();
        let folder = Folder::new();
        for (deed, _) in DEEDS {
            let module = format!("from behave import _deed\n\n_deed({deed:?})\n");
            let path = folder.path(&format!("at_import_{}.py", deed.replace('-', "_")));
            fs::write(path, module).unwrap();
        }
        let pool: Pool = pool(size).python_path(folder.path("")).restart_budget(unlimited());
        let slither = runtime(pool).await;
        dies_in_a_batch(&slither, size).await;
        dies_at_import(&slither, size).await;
        dies_idle(&slither, size).await;
        let deaths = slither.stats("default").unwrap().deaths;
        println!("{size} workers: 30 cells, {deaths} deaths, {:.1} s", begun.elapsed().as_secs_f64());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_death_in_every_phase_costs_one_worker_of_one_its_batch() {
    matrix(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_death_in_every_phase_costs_one_worker_of_two_its_batch() {
    matrix(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_death_in_every_phase_costs_one_worker_of_five_its_batch() {
    matrix(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_death_in_every_phase_costs_one_worker_of_thirteen_its_batch() {
    matrix(13).await;
}
