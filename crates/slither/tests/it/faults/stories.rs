//! Each way to die, and the story that its error tells: `report()`, word for word but for numbers that change.

use std::fs;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use insta::assert_snapshot;
use serde::Deserialize;
use slither::store::{BoxError, Tables, Transaction, ViewContext, ViewError};
use slither::{Call, ItemError, OnError, Pool, RunError, Slither, Store, Value, View};

use super::{pids, unlimited};
use crate::support::{Folder, behave, pool, profile, runtime, until, within};

/// What changes from run to run, or from one Python to the next, is replaced.
pub(super) fn plain(report: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in report.lines() {
        let file = line.trim_start().strip_prefix("File \"").and_then(|rest| rest.split_once('"'));
        let line = match file {
            // Of the stack only the user's frames; the SDK's below them are not the story.
            Some((path, rest)) => match path.rsplit_once("/tests/python/") {
                // Newer Pythons have no frame for a comprehension.
                Some((_, name)) if !rest.ends_with("in <listcomp>") => {
                    format!("  File \"{name}\" in {}", rest.split_once(" in ").map_or("", |(_, rest)| rest))
                }
                _ => continue,
            },
            // A line of source, which not every Python marks in the same way.
            None if line.starts_with("    ") => continue,
            None => line.to_owned(),
        };
        let line = head(&words(&line));
        if line == ALONE
            || line.starts_with("Extension modules")
            || line.trim_start().starts_with("Binary file")
        {
            continue;
        }
        if line.starts_with("Current thread's C stack") {
            break;
        }
        lines.push(line);
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

/// What a Python without a GIL says of the one stack that it writes at a fatal signal.
const ALONE: &str = "<Cannot show all threads while the GIL is disabled>";

/// How a stack is headed in a worker of one call, whose only thread is always the current one.
fn head(line: &str) -> String {
    let lane = line.starts_with("Thread 0xN ") && profile() != "process";
    let line = if lane || line.starts_with("Stack (") {
        "Current thread 0xN (most recent call first):"
    } else {
        line
    };
    line.to_owned()
}

/// Replaces pids, epochs, seconds, sizes and threads in one line.
fn words(line: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut before = "";
    let words: Vec<&str> = line.split(' ').collect();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or("");
        let number = word.parse::<f64>().is_ok();
        out.push(match *word {
            _ if before == "(pid" => "N)".to_owned(),
            word if word.starts_with("default/") => "default/N#N".to_owned(),
            _ if number && next == "MiB" => "N".to_owned(),
            _ if number && next == "s" && words.get(at + 2) == Some(&"into") => "N".to_owned(),
            word if word.starts_with("0x") => "0xN".to_owned(),
            word if word.starts_with("[python") => continue,
            word => word.to_owned(),
        });
        before = word;
    }
    out.join(" ")
}

fn act() -> Call<Value> {
    Call::new("dying:act").batch_size(4).on_error(OnError::Skip)
}

/// What is said of a deed that kills the batch of the items from 4 to 7.
async fn story(slither: &Slither, deed: &str, call: Call<Value>) -> String {
    let items = (0..8u64).map(|number| match number {
        4 => Value::from("user:mutter"),
        6 => Value::from(deed),
        _ => Value::from(number),
    });
    slither.call_each::<_, Value>("default", "dying:arm", &()).await.unwrap();
    let done = slither.dispatch::<Value, Value>(items, call).await.unwrap();
    let error: &ItemError = &done.failures[0].error;
    until(|| pids(slither).len() == 1 && !pids(slither).contains(&error.worker().unwrap().pid)).await;
    plain(&format!("{}: {}", error.kind(), error.report()))
}

/// A store whose one view answers when the test is over.
struct Gate(Mutex<Option<mpsc::Receiver<()>>>);

#[derive(Deserialize)]
struct Nothing {}

impl Store for Gate {
    fn tables(&self) -> Tables {
        Tables::new()
    }

    fn views(&self) -> Vec<View> {
        let gate = Mutex::new(self.0.lock().unwrap().take());
        let wait = move |Nothing {}, _: &ViewContext| -> Result<(), ViewError> {
            let _ = gate.lock().unwrap().as_ref().map(mpsc::Receiver::recv);
            Ok(())
        };
        vec![View::scalar("gate", wait)]
    }

    fn load(&self, _: &mut Transaction<'_>) -> Result<(), BoxError> {
        Ok(())
    }
}

fn one() -> Pool {
    pool(1).restart_budget(unlimited())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_each_phase() {
    within(async {
        let slither = runtime(one()).await;
        let story = async |deed: &str| story(&slither, deed, act()).await;
        assert_snapshot!("segfault", story("user:segfault").await);
        assert_snapshot!("abort", story("user:abort").await);
        assert_snapshot!("os_exit", story("user:exit").await);
        assert_snapshot!("libc_exit", story("user:libc-exit").await);
        assert_snapshot!("external_kill", story("user:kill").await);
        assert_snapshot!("decode", story("decode:segfault").await);
        assert_snapshot!("encode", story("encode:segfault").await);
        assert_snapshot!("half_a_reply", story("reply:exit").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_a_generator_names_what_was_not_yielded() {
    within(async {
        let slither = runtime(one()).await;
        let call = Call::new("dying:stream").batch_size(8).on_error(OnError::Skip);
        assert_snapshot!("generator", story(&slither, "user:exit", call).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_a_view_is_waited_for_names_it() {
    within(async {
        let (open, gate) = mpsc::sync_channel::<()>(0);
        let store = Gate(Mutex::new(Some(gate)));
        let slither = Slither::builder().pool(one()).store(store).start().await.unwrap();
        // It is another thread that dies. Without the GIL that one's stack is all that Python writes.
        let name = match profile().as_str() {
            "process" => "view".to_owned(),
            other => format!("view_in_profile_{other}"),
        };
        assert_snapshot!(name, story(&slither, "view:segfault", act()).await);
        drop(open);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_while_idle_and_one_at_import() {
    within(async {
        let folder = Folder::new();
        fs::write(folder.path("fatal.py"), "from behave import _deed\n\n_deed(\"segfault\")\n").unwrap();
        let slither = runtime(one().python_path(folder.path(""))).await;
        let idle = slither.dispatch::<Value, Value>(["idle:segfault".into()], act()).await.unwrap();
        assert_eq!(idle.ledger.emitted, 1);
        until(|| slither.stats("default").unwrap().deaths == 1).await;
        until(|| pids(&slither).len() == 1).await;
        let each = slither.call_each::<_, u32>("default", "behave:who", &()).await.unwrap();
        assert_snapshot!("idle", each.lost[0].reason);

        let refused =
            slither.dispatch::<Value, Value>([1.into()], Call::new("fatal:echo")).await.unwrap_err();
        let RunError::Config(error) = refused.cause else { panic!("{:?}", refused.cause) };
        assert_snapshot!("import", plain(&error.to_string()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_in_python_and_one_in_c_that_holds_the_gil() {
    within(async {
        // Whatever comes before the hang has time enough; both are waited for together.
        let told = async |deed: &str| {
            story(&runtime(one()).await, deed, act().timeout(Duration::from_secs(4))).await
        };
        let (in_python, in_c) = tokio::join!(told("user:hang"), told("user:deadlock"));
        assert_snapshot!("hang_in_python", in_python);
        assert_snapshot!("hang_in_c", in_c);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_that_runs_out_in_python() {
    within(async {
        let slither = runtime(one().memory_limit(512 << 20)).await;
        let call = behave("act").on_error(OnError::Skip);
        let done = slither.dispatch::<Value, Value>(["devour".into()], call).await.unwrap();
        let error = &done.failures[0].error;
        assert_snapshot!("memory_error", plain(&format!("{}: {}", error.kind(), error.report())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_that_the_guide_explains_is_one_that_a_user_gets() {
    within(async {
        let slither = runtime(one()).await;
        let guide = include_str!("../../../../../guides/operations.md");
        let (_, section) = guide.split_once("## Reading a report").unwrap();
        let shown = section.split("```").nth(1).unwrap().strip_prefix("text\n").unwrap();
        // The stack has files of the reader's own.
        let facts = |report: &str| -> Vec<String> {
            report.lines().filter(|line| !line.contains("File ")).map(|line| head(&words(line))).collect()
        };
        let mut shown = facts(shown.trim_end());
        let mut told = facts(&story(&slither, "user:segfault", act()).await);
        assert_eq!(shown.split_off(1), told.split_off(1));
        assert_eq!(shown, told);
    })
    .await;
}
