//! Promise: an adapter's tools can be listed, called and checked from the command, wherever the SDK is not installed.

use std::fs;

use insta::assert_snapshot;

use crate::support::{Scratch, run, slither};

const ADAPTER: &str = r#"
from slither import ThreadSafeAdapter, thread_safe_method, tool


class Scorer(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.scored = 0

    @thread_safe_method
    @tool(description="The score of a text")
    def score(self, text: str, scale: int = 1) -> dict:
        if not text:
            raise ValueError("the text is empty")
        return {"score": len(text) * scale}

    @tool(description="Counts")
    def count(self, end: int):
        yield from range(end)

    @tool
    async def later(self) -> str:
        "Says something, later"
        return "later"


class Careless(Scorer):
    @thread_safe_method
    @tool(description="Scores, and counts without a lock")
    def score(self, text: str) -> int:
        self.scored += 1
        return self.scored


class Broken:
    def __init__(self):
        raise RuntimeError("there is no model")
"#;

const BRIDGED: &str = r#"
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method, tool


class Old(ThreadSafeAdapter):
    __thread_safe__ = True

    @thread_safe_method
    @tool(description="Twice as much")
    def double(self, value: int) -> int:
        return value * 2
"#;

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("scorer.py"), ADAPTER).unwrap();
    fs::write(scratch.path().join("old.py"), BRIDGED).unwrap();
    scratch
}

/// The command, in that folder.
fn here(scratch: &Scratch, args: &[&str]) -> crate::support::Ended {
    let mut command = slither(args);
    command.current_dir(scratch.path());
    run(command)
}

#[test]
fn tools_are_listed_and_called() {
    let scratch = scratch();
    assert_snapshot!(here(&scratch, &["call", "scorer:Scorer"]).snapshot(&[]), @r"
    exit code: 0
    ----- stdout -----
      tool   arguments                            kind    what it does
      score  (text: str, scale: int = 1) -> dict          The score of a text
      count  (end: int)                           stream  Counts
      later  () -> str                            async   Says something, later
    ----- stderr -----
    ");
    let listed = here(&scratch, &["call", "scorer.Scorer", "--json"]).json();
    assert_eq!(listed["adapter"], "scorer.Scorer");
    assert_eq!(listed["tools"][0]["parameters"][0]["name"], "text");
    for (args, printed) in [
        (&["score", r#"{"text": "good", "scale": 10}"#][..], "{\"score\":40}\n"),
        (&["score", r#"["good"]"#], "{\"score\":4}\n"),
        (&["score", r#""good""#], "{\"score\":4}\n"),
        (&["later"], "\"later\"\n"),
        (&["count", "[3]"], "0\n1\n2\n"),
        (&["count", "0"], ""),
    ] {
        let ended = here(&scratch, &[&["call", "scorer:Scorer"], args].concat());
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(0), printed), "{ended}");
    }
    let ended = here(&scratch, &["call", "old:Old", "double", "[21]"]);
    assert_eq!(ended.stdout, "42\n", "{ended}");
    let elsewhere = scratch.path().to_str().unwrap();
    let ended = run(slither(&["call", "--path", elsewhere, "old:Old", "double", "[4]"]));
    assert_eq!(ended.stdout, "8\n", "{ended}");
}

#[test]
fn what_fails_is_told_and_what_cannot_be_called_is_another_exit_code() {
    let scratch = scratch();
    let ended = here(&scratch, &["call", "scorer:Scorer", "score", r#"[""]"#]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""), "{ended}");
    assert!(ended.stderr.lines().any(|line| line == "error: the text is empty"), "{ended}");
    assert!(ended.stderr.contains("in score"), "{ended}");
    for (args, said) in [
        (&["scorer:Scorer", "scores"][..], "Scorer has no tool 'scores'; it has score, count, later"),
        (&["scorer:Score"], "'scorer' has no 'Score'"),
        (&["scorer:Broken"], "building 'scorer:Broken' failed: RuntimeError: there is no model"),
        (&["scorer"], "`scorer` does not name an adapter's class"),
        (&["scorer:Scorer", "score", "{"], "the arguments are no JSON"),
        (&["scorer:Scorer", "score", "--timeout", "0"], "expected a number of seconds above 0"),
    ] {
        let ended = here(&scratch, &[&["call"], args].concat());
        assert_eq!(ended.code(), Some(2), "{ended}");
        assert_eq!(ended.stderr.matches(said).count(), 1, "{said}: {ended}");
    }
}

#[test]
fn an_adapter_is_checked_with_the_exit_code_of_what_was_found() {
    let scratch = scratch();
    let few = ["--threads", "4", "--calls", "40"];
    let check = |class: &str, more: &[&str]| here(&scratch, &[&["check", class], &few[..], more].concat());
    let ended = check("scorer:Scorer", &["--call", "score('good')"]);
    assert_eq!(ended.code(), Some(0), "{ended}");
    let ended = check("scorer:Careless", &["--json", "--call", "score('good')"]);
    assert_eq!(ended.code(), Some(1), "{ended}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["report"]["violations"][0]["subject"], "Careless.scored");
    assert_eq!((report["threads"].as_u64(), report["calls"].as_u64()), (Some(4), Some(40)));
    let ended = check("old:Old", &[]);
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(ended.stdout.contains("double: 40 calls, 0 failed"), "{ended}");
    let ended = check("scorer:Nobody", &[]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert!(ended.stderr.contains("slither check: 'scorer' has no 'Nobody'"), "{ended}");
}
