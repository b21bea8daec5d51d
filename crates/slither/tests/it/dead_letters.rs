//! Dead letters: what failed is on the disk whole, and once mended it runs again, each item once.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use slither::dispatch::{InProcess, Limits, Outcome, dispatch, try_dispatch_stream};
use slither::letters::{DeadLetters, Fault, LetterReader};
use slither::pipe::{Event, Pipe, RunOptions, stream_pipe};
use slither::{Call, Context, OnError, Router, Value};

use crate::support::{Folder, behave, pool, runtime, until, within};

/// Set in a process that is to write letters until it is killed; its value is the file.
const WRITER: &str = "SLITHER_TEST_LETTERS";

fn payload(n: u64) -> Value {
    match n % 10 {
        3 => "raise".into(),
        7 => "segfault".into(),
        _ => Value::from([("n", Value::from(n)), ("raw", Bytes::from(vec![n as u8, 255]).into())]),
    }
}

fn analysis(function: &str) -> Pipe<Value, Value> {
    Pipe::builder("analysis")
        .python::<Value>("act", Call::new(function).batch_size(4).max_in_flight(2))
        .route("all", Router::new().when("good", |_: &Value| true))
        .on_error("act", OnError::Isolate)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_runs_again_once_it_is_mended_and_nothing_is_missing_or_twice() {
    within(async {
        let (folder, slither) = (Folder::new(), runtime(pool(2)).await);
        let path = folder.path("letters.jsonl");
        let letters = DeadLetters::append(&path).unwrap();
        let options =
            RunOptions::new().dead_letters(&letters).metadata([("tenant", "a")].into_iter().collect());
        let source = stream::iter((0..40).map(|n| Ok::<_, String>(payload(n))));
        let first = slither.stream_pipe(&analysis("behave:act"), source, options).await.unwrap();
        let first = first.into_outputs().await.unwrap();
        assert_eq!(letters.close().await.unwrap(), 8);
        assert_eq!((first.ledger().emitted, first.ledger().failed), (32, 8));
        assert!(first.failures().iter().all(|failure| failure.payload.is_some() && failure.attempts > 1));

        let read: Vec<_> = LetterReader::open(&path).unwrap().map(Result::unwrap).collect();
        for letter in &read {
            let failure = first.failures().iter().find(|failure| failure.item == letter.item).unwrap();
            assert_eq!(letter.to_payload::<Value>().unwrap(), payload(letter.item.0));
            assert_eq!((letter.pipe.as_deref(), letter.stage.as_deref()), (Some("analysis"), Some("act")));
            assert_eq!(letter.attempts, failure.attempts);
            assert_eq!(letter.run_metadata["tenant"].as_str(), Some("a"));
            let worker = letter.error.worker.as_ref().unwrap();
            assert_eq!(
                worker.get("pid").unwrap().as_i64(),
                failure.error.worker().map(|report| report.pid.into())
            );
            match letter.item.0 % 10 {
                3 => assert!(letter.error.traceback.as_ref().unwrap().contains("as asked")),
                _ => assert_eq!(worker.get("death").unwrap().get("signal"), Some(&Value::Int(11))),
            }
        }

        let letters = LetterReader::open(&path).unwrap();
        let second = slither.replay(&analysis("behave:echo"), letters, RunOptions::new()).await.unwrap();
        let second = second.into_outputs().await.unwrap();
        assert_eq!((second.ledger().emitted, second.ledger().failed), (8, 0));
        let mut all = BTreeMap::new();
        for item in first.items("good") {
            assert!(all.insert(item.id.0, item.payload.clone()).is_none());
        }
        for item in second.items("good") {
            let letter = &item.metadata["letter"];
            assert_eq!(letter.get("stage").unwrap().as_str(), Some("act"));
            let id = letter.get("item").unwrap().as_i64().unwrap() as u64;
            assert!(all.insert(id, item.payload.clone()).is_none(), "item {id} is there twice");
        }
        assert_eq!(all, (0..40).map(|n| (n, payload(n))).collect());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_keeps_the_payloads_of_what_fails_and_routes_are_no_failures() {
    within(async {
        let slither = runtime(pool(2)).await;
        let retry = slither::Retry::new(2)
            .on("ValueError")
            .backoff(std::time::Duration::from_millis(1))
            .then(OnError::Skip);
        for (policy, attempts, failed) in [
            (OnError::Skip, 1, vec![0, 1, 2]),
            (OnError::Isolate, 3, vec![1]),
            (retry.into(), 2, vec![0, 1, 2]),
            (OnError::Halt, 1, vec![0, 1, 2]),
        ] {
            let deeds = ["a", "raise", "b", "failed"].map(Value::from);
            let call = behave("act").batch_size(3).max_in_flight(1).on_error(policy.clone()).keep_payloads();
            let done = match slither.dispatch::<Value, Value>(deeds.clone(), call).await {
                Ok(done) => done,
                Err(error) => {
                    let slither::RunError::Halted(failure) = &error.cause else { panic!("{error}") };
                    assert_eq!(failure.payload.as_ref().unwrap().to_value().unwrap(), deeds[0]);
                    assert!(failure.context.as_ref().unwrap().run.is_some());
                    *error.finished
                }
            };
            let batch: Vec<_> = done.failures.iter().filter(|failure| failure.item.0 < 3).collect();
            assert_eq!(batch.iter().map(|failure| failure.item.0).collect::<Vec<_>>(), failed, "{policy}");
            assert!(batch.iter().all(|failure| failure.attempts == attempts), "{policy}: {batch:?}");
            for failure in &done.failures {
                let payload = failure.payload.as_ref().unwrap().to_value().unwrap();
                assert_eq!(payload, deeds[failure.item.0 as usize], "{policy}");
            }
            if policy != OnError::Halt {
                assert_eq!(done.failures.last().unwrap().item.0, 3, "{policy}: one that fails alone");
            }
        }
        let plain = behave("act").on_error(OnError::Skip);
        let done = slither.dispatch::<Value, Value>(["raise".into()], plain).await.unwrap();
        assert_eq!(done.failures[0].payload, None, "nothing is kept that nobody asked for");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_stage_has_no_payload_left_and_the_letter_says_so() {
    within(async {
        let folder = Folder::new();
        let path = folder.path("letters.jsonl");
        let letters = DeadLetters::append(&path).unwrap();
        let pipe = Pipe::builder("numbers")
            .try_map("parse", |text: String, _: &Context| text.parse::<u64>())
            .on_error("parse", OnError::Skip)
            .build()
            .unwrap();
        let options = RunOptions::new().dead_letters(&letters);
        let mut events =
            stream_pipe(&pipe, stream::iter(["1", "x"].map(String::from)), options).await.unwrap();
        while let Some(event) = events.next().await {
            if let Event::Failed(failure) = event.unwrap() {
                assert_eq!((failure.item.0, failure.attempts, &failure.payload), (1, 1, &None));
            }
        }
        assert_eq!(letters.close().await.unwrap(), 1);
        let error = LetterReader::open(&path).unwrap().payloads::<String>().next().unwrap().unwrap_err();
        assert_eq!(error.fault(), Fault::NoPayload);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_input_of_a_dispatch_with_their_metadata() {
    within(async {
        let folder = Folder::new();
        let path = folder.path("letters.jsonl");
        let mended = Arc::new(AtomicBool::new(false));
        let halve = || {
            let mended = mended.clone();
            Arc::new(InProcess::new("local", move |numbers: Vec<u64>| {
                let odd = numbers.iter().any(|n| n % 2 == 1) && !mended.load(Ordering::Relaxed);
                if odd { Err("odd") } else { Ok(numbers.iter().map(|n| n / 2).collect()) }
            }))
        };
        let limits = Limits::new().on_error(OnError::Isolate).keep_payloads();
        let done = dispatch(halve(), 0..10u64, &limits, Context::run()).await.unwrap();
        let letters = DeadLetters::append(&path).unwrap();
        letters.write_all(&done.failures).await.unwrap();
        assert_eq!(letters.close().await.unwrap(), 5);
        assert!(letters.write(&done.failures[0]).await.unwrap_err().to_string().ends_with("are closed"));

        mended.store(true, Ordering::Relaxed);
        let items = stream::iter(LetterReader::open(&path).unwrap().items::<u64>().collect::<Vec<_>>());
        let mut outcomes = try_dispatch_stream(halve(), items, &limits, Context::run()).unwrap();
        let mut halves = Vec::new();
        while let Some(outcome) = outcomes.next().await {
            let Ok(Outcome::Done(item)) = outcome else { panic!("{outcome:?}") };
            assert!(item.metadata["letter"].get("attempts").unwrap().as_i64().unwrap() > 1);
            halves.push(item.payload);
        }
        assert_eq!(halves, [0, 1, 2, 3, 4]);
    })
    .await;
}

/// Writes letters without end, when it is told to.
#[test]
fn writer() {
    let Ok(path) = std::env::var(WRITER) else { return };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    tokio.block_on(async {
        let letters = DeadLetters::append(path).unwrap();
        let broken =
            Arc::new(InProcess::new(
                "local",
                |texts: Vec<String>| {
                    if texts.is_empty() { Ok(texts) } else { Err("broken") }
                },
            ));
        let pipe = Pipe::builder("broken")
            .dispatch("break", broken, Limits::new().keep_payloads())
            .on_error("break", OnError::Skip)
            .build()
            .unwrap();
        let endless = stream::iter((0u64..).map(|n| format!("{n}:{}", "x".repeat(50_000))));
        let options = RunOptions::new().dead_letters(&letters);
        let mut events = stream_pipe(&pipe, endless, options).await.unwrap();
        while events.next().await.is_some() {}
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_while_it_writes_loses_no_letter_that_was_written() {
    within(async {
        let mut torn = 0;
        for round in 1..=5u64 {
            let folder = Folder::new();
            let path = folder.path("letters.jsonl");
            let mut host = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "dead_letters::writer", "--nocapture"])
                .env(WRITER, &path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let size = || std::fs::metadata(&path).map_or(0, |file| file.len());
            until(|| size() > round * 3_000_000).await;
            host.kill().unwrap();
            host.wait().unwrap();

            let bytes = std::fs::read(&path).unwrap();
            let whole = bytes.iter().filter(|byte| **byte == b'\n').count();
            let (mut good, mut bad) = (Vec::new(), Vec::new());
            for letter in LetterReader::open(&path).unwrap() {
                match letter {
                    Ok(letter) => good.push(letter),
                    Err(error) => bad.push(error),
                }
            }
            assert_eq!(good.len(), whole, "every line that is whole is a letter");
            let numbers = good.iter().map(|letter| letter.to_payload::<String>().unwrap());
            for (n, text) in numbers.enumerate() {
                assert!(text.starts_with(&format!("{n}:")) && text.len() > 50_000, "letter {n}");
            }
            assert_eq!(bad.len(), usize::from(bytes.last() != Some(&b'\n')), "{bad:?}");
            torn += bad.len();
            assert!(bad.iter().all(|bad| bad.fault() == Fault::Torn && bad.line() == whole as u64 + 1));

            // The next run begins on a line of its own, behind whatever is there.
            let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"slither\":1,\"ti").unwrap();
            drop(file);
            let letters = DeadLetters::append(&path).unwrap();
            let refuse = InProcess::new("local", |_: Vec<u64>| Err::<Vec<u64>, _>("no"));
            let limits = Limits::new().on_error(OnError::Skip).keep_payloads();
            let done = dispatch(Arc::new(refuse), [7u64], &limits, Context::run()).await.unwrap();
            letters.write_all(&done.failures).await.unwrap();
            letters.close().await.unwrap();
            let last = LetterReader::open(&path).unwrap().last().unwrap().unwrap();
            assert_eq!(last.to_payload::<u64>().unwrap(), 7);
        }
        println!("5 hosts killed while writing, {torn} of the files end within a line");
    })
    .await;
}

#[tokio::test]
async fn the_file_is_its_owners_alone_and_one_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.path("letters.jsonl");
    let letters = DeadLetters::append(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(letters.close().await.unwrap(), 0);
    let error = DeadLetters::append(folder.path("no/such/folder")).unwrap_err().to_string();
    assert!(error.contains("cannot be written: No such file"), "{error}");
    let full = DeadLetters::append("/dev/full").unwrap();
    let refuse = InProcess::new("local", |_: Vec<u64>| Err::<Vec<u64>, _>("no"));
    let limits = Limits::new().on_error(OnError::Skip);
    let done = dispatch(Arc::new(refuse), [7u64, 8], &limits, Context::run()).await.unwrap();
    full.write_all(&done.failures).await.unwrap();
    let error = full.close().await.unwrap_err().to_string();
    assert!(
        error.starts_with("/dev/full: 2 of 2 dead letters could not be written: No space left"),
        "{error}"
    );
}
