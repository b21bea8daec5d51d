//! Promise: `slither example image_pipeline` keeps its files where it is told, and harms none that are there.

use insta::assert_snapshot;

use crate::support::{Scratch, actual, broken, run, slither};

#[test]
fn thumbnails_are_kept_where_they_are_asked_for() {
    // Pillow, fetched once.
    assert_eq!(run(slither(&["setup", "image_pipeline"])).code(), Some(0));
    let scratch = Scratch::new();
    let output = scratch.path().join("thumbnails");
    let mut command = slither(&["example", "image_pipeline", "--json", "--workers", "2"]);
    command.arg("--output").arg(&output);
    let ended = run(command);
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended}");
    let report = ended.json();
    assert_eq!(broken(&report), [&serde_json::Value::Null; 0]);
    assert_eq!(actual(&report, "thumbnails_written"), 30);
    assert_eq!(std::fs::read_dir(&output).unwrap().count(), 31);
}

#[test]
fn an_output_that_is_in_use_or_useless_is_refused() {
    let scratch = Scratch::new();
    scratch.file("mine.txt", "");
    let mut command = slither(&["example", "image_pipeline"]);
    command.arg("--output").arg(scratch.path());
    assert_snapshot!(run(command).snapshot(&[(scratch.path(), "DIR")]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR is not empty, and not from an earlier run
      hint: give a new folder to --output, so that no file of yours is written over
    ");
    assert_snapshot!(run(slither(&["example", "data_etl", "--output", "x"])).snapshot(&[]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: the example `data_etl` writes no files
      hint: leave --output out, or run image_pipeline
    ");
}
