//! Promise: where a function's calls would go is told with its reason, and nothing of it is imported.

use insta::assert_snapshot;

use crate::support::{Scratch, run, slither};

const MODULE: &str = "\
import slither
import pandas

raise SystemExit('this module was imported')

@slither.traits('cpu_bound')
def score(items): ...

async def fetch(items): ...
";

fn route(scratch: &Scratch, args: &[&str]) -> std::process::Command {
    let mut command = slither(&["doctor", "--route"]);
    command.args(args).arg("--path").arg(scratch.path());
    command
}

#[test]
fn a_decision_is_explained_from_the_source_alone() {
    let scratch = Scratch::new();
    scratch.file("my_model.py", MODULE);
    let told = run(route(&scratch, &["my_model:score"]));
    assert_eq!(told.code(), Some(0), "{told}");
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert_eq!(
        lines[0], "my_model:score goes to processes: it imports pandas, which is not safe in threads",
        "{told}"
    );
    // What is said of threads depends on whether there is an interpreter without a GIL.
    assert!(lines[1..3].iter().all(|line| line.starts_with("  not to ")), "{told}");
    assert_eq!(
        lines[3..].join("\n").replace(&*scratch.path().to_string_lossy(), "DIR"),
        "\nWhat is known of it\n  source          DIR/my_model.py\n  is said to be   cpu_bound\n  \
         imports         pandas (unsafe in threads)\n  was measured    no; `slither probe` does that"
    );
    let told = run(route(&scratch, &["my_model:fetch", "--traits", "io_bound"]));
    let whole = "my_model:fetch goes to async: it is an `async def`, whose calls wait together";
    assert_eq!(told.stdout.lines().next(), Some(whole), "{told}");
    // What waits needs no Python without a GIL.
    scratch.file("waiting.py", "def fetch(items): ...\n");
    let told = run(route(&scratch, &["waiting:fetch", "--traits", "io_bound,thread_safe"]));
    let whole = "waiting:fetch goes to threads: it waits more than it computes, and it is declared as safe in threads";
    assert_eq!(told.stdout.lines().next(), Some(whole), "{told}");
    let told = run(route(&scratch, &["my_model:score", "--traits", "unsafe_native", "--json"])).json();
    assert_eq!(told["decision"]["profile"], "processes", "{told}");
    assert_eq!(told["traits"], "cpu_bound,unsafe_native", "{told}");
    assert_eq!(told["libraries"][0], "pandas", "{told}");
    assert_eq!(told["pools"].as_array().map(Vec::len), Some(3), "{told}");
}

#[test]
fn what_is_mistyped_is_named() {
    let scratch = Scratch::new();
    scratch.file("my_model.py", "def score(items): ...\n");
    let told = run(route(&scratch, &["my_model:scroe"]));
    assert!(told.stderr.starts_with("no `def` of `my_model:scroe` is found in "), "{told}");
    assert_eq!(run(route(&scratch, &["my_model:score"])).stderr, "");
    assert_snapshot!(run(route(&scratch, &["my_model:score", "--traits", "thread-safe"])).snapshot(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unknown trait `thread-safe`
      hint: did you mean `thread_safe`?
    ");
    assert_snapshot!(run(route(&scratch, &["my_model"])).snapshot(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: `my_model` does not name a Python function
      hint: expected `module:function`, as in `my_model:predict_batch`
    ");
}
