//! The messages that the pages show under *Troubleshooting* are those that a user sees, word for word.

use std::fs;
use std::time::Duration;

use slither::python::{Env, Interpreter};
use slither::{Call, Pool, RunError, Slither, Value};

use crate::pages::pages;
use crate::support::{Folder, within};

/// A module of the troubled user.
const MODULE: &str = r#"
import os, time

def crash(items): os.kill(os.getpid(), 11)
def devour(items): raise MemoryError
def hang(items): time.sleep(60)
def nothing(items): pass
def collect(items): return [{1, 2} for _ in items]
"#;

/// What the machine at hand is replaced by, so that the pages read the same everywhere.
fn plain(message: &str, folder: &Folder) -> String {
    let python = Interpreter::find(None).expect("the tests have a python");
    message
        .replace(folder.path("").trim_end_matches('/'), "/home/me/score")
        .replace(&python.executable.display().to_string(), "/usr/bin/python3")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_the_messages_that_users_see() {
    within(async {
        let folder = Folder::new();
        fs::create_dir(folder.path("python")).unwrap();
        fs::write(folder.path("python/trouble.py"), MODULE).unwrap();
        fs::write(folder.path("python/my_model.py"), "def predict_batch(items): return items").unwrap();
        let lacking = "raise ModuleNotFoundError(\"No module named 'sklearn'\", name='sklearn')";
        fs::write(folder.path("python/scorer.py"), lacking).unwrap();

        let pool = || Pool::processes("default").size(1).python_path(folder.path("python"));
        let mut seen = Vec::new();
        for broken in [pool().size(0), pool().python_path("pyhton")] {
            seen.push(Slither::builder().pool(broken).start().await.unwrap_err().to_string());
        }
        let nowhere = Env::from_variables([("PATH", "/nonexistent")]);
        seen.push(Interpreter::find_in(&nowhere, None).unwrap_err().to_string());

        let slither = Slither::builder().pool(pool()).start().await.unwrap();
        // The pages show this deadline; only what hangs is to meet it.
        let call = |function: &str| match function {
            "trouble:hang" => Call::<u32>::new(function).timeout(Duration::from_millis(500)),
            _ => Call::new(function),
        };
        for function in [
            "my_modle:predict_batch",
            "scorer:predict_batch",
            "trouble:nothing",
            "trouble:crash",
            "trouble:devour",
            "trouble:hang",
        ] {
            let error = slither.dispatch::<u32, Value>([1, 2], call(function)).await.unwrap_err();
            seen.push(match error.cause {
                RunError::Halted(failure) => format!("{}: {}", failure.error.kind(), failure.error),
                other => other.to_string(),
            });
        }
        let done = slither.dispatch::<u32, Value>([1], call("trouble:collect")).await.unwrap();
        seen.push(format!("{}: {}", done.failures[0].error.kind(), done.failures[0].error));

        let seen: Vec<String> = seen.iter().map(|message| plain(message, &folder)).collect();
        let mut shown = 0;
        for (page, blocks) in pages() {
            for block in blocks.iter().filter(|it| it.section == "Troubleshooting" && it.language == "text") {
                let shown_text = block.text.trim_end();
                let known = seen.iter().any(|message| message.starts_with(shown_text));
                assert!(known, "{page}:{}: nobody sees this, but\n{}", block.line, seen.join("\n\n"));
                shown += 1;
            }
        }
        assert!(shown >= 4, "README shows four");
    })
    .await;
}
