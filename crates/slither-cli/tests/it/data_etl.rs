//! Promise: `slither example data_etl` proves what it shows, and refuses a faulty file before any work.

use insta::assert_snapshot;

use crate::support::{Scratch, actual, broken, run, slither};

#[test]
fn a_hundred_reloads_mix_nothing() {
    let ended = run(slither(&["example", "data_etl", "--json", "--workers", "2"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended}");
    let report = ended.json();
    assert_eq!(broken(&report), [&serde_json::Value::Null; 0]);
    assert_eq!(actual(&report, "reloads_done")["reloads"], 100);
    assert_eq!(actual(&report, "no_torn_reads")["torn"], 0);
    assert_eq!(actual(&report, "rows_accounted"), 10_032);
}

#[test]
fn a_faulty_row_of_the_users_is_named() {
    let scratch = Scratch::new();
    let file = scratch.file("x.csv", "a,b\n1,2\n\n3\n");
    let mut command = slither(&["example", "data_etl"]);
    command.arg("--input").arg(file);
    assert_snapshot!(run(command).snapshot(&[(scratch.path(), "DIR")]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/x.csv line 4: 1 cells, expected 2 as in the header
      hint: a cell that holds a delimiter or a line break is put in quotes
    ");
}
