//! Promise: what is typed wrongly is answered with what would be right, with exit code 2, before any work.

use insta::assert_snapshot;

use crate::support::{run, slither};

fn answer(args: &[&str]) -> String {
    run(slither(args)).to_string()
}

#[test]
fn help_says_what_there_is() {
    assert_snapshot!(answer(&["--help"]), @"");
    assert_snapshot!(answer(&["example", "--help"]), @"");
    assert_snapshot!(answer(&["setup", "--help"]), @"");
    assert_snapshot!(answer(&["doctor", "-h"]), @"");
}

#[test]
fn no_command() {
    let ended = run(slither(&[]));
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage: slither <COMMAND>"));
}

#[test]
fn an_unknown_example() {
    assert_snapshot!(answer(&["example", "text_analisys"]), @"");
    assert_snapshot!(answer(&["example", "poetry", "--json"]), @"");
}

#[test]
fn no_workers() {
    assert_snapshot!(answer(&["example", "text_analysis", "--workers", "0"]), @"");
    for bad in ["-1", "1025", "two", ""] {
        let ended = run(slither(&["example", "text_analysis", &format!("--workers={bad}")]));
        assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{bad}");
        assert!(ended.stderr.contains("expected 1 to 1024"), "{ended}");
    }
}

#[test]
fn options_of_an_example_without_one() {
    assert_snapshot!(answer(&["example", "--workers", "2"]), @"");
}

#[test]
fn a_mistyped_example_is_not_taken_for_a_package() {
    assert_snapshot!(answer(&["setup", "text-analysis"]), @"");
}

#[test]
fn a_log_filter_that_is_none() {
    let mut command = slither(&["example"]);
    command.env("SLITHER_LOG", "slither=loud");
    assert_snapshot!(run(command), @"");
}
