//! Promise: an input that is no input is refused by name, before any work, with exit code 2.

use std::path::Path;

use insta::assert_snapshot;

use crate::support::{Scratch, run, text_analysis};

fn refusal(scratch: &Scratch, input: &Path) -> String {
    run(text_analysis(input, &["--json"])).snapshot(&[(scratch.path(), "DIR")])
}

#[test]
fn a_missing_file() {
    let scratch = Scratch::new();
    assert_snapshot!(refusal(&scratch, &scratch.path().join("gone.jsonl")), @"");
}

#[test]
fn a_folder_without_documents() {
    let scratch = Scratch::new();
    scratch.file("notes.md", "no document");
    assert_snapshot!(refusal(&scratch, scratch.path()), @"");
}

#[test]
fn a_line_that_is_no_json() {
    let scratch = Scratch::new();
    let input = scratch.file("lines.jsonl", "{\"text\": \"fine\"}\n\n{\"text\": \"open}\n");
    assert_snapshot!(refusal(&scratch, &input), @"");
}

#[test]
fn a_line_that_is_no_document() {
    let scratch = Scratch::new();
    let input = scratch.file("lines.jsonl", "\"fine\"\n{\"body\": \"no text\"}\n");
    assert_snapshot!(refusal(&scratch, &input), @"");
}

#[test]
fn text_in_another_encoding() {
    let scratch = Scratch::new();
    let input = scratch.file("latin.txt", b"caf\xe9");
    assert_snapshot!(refusal(&scratch, &input), @"");
}

#[test]
fn a_file_of_another_kind() {
    let scratch = Scratch::new();
    let input = scratch.file("table.csv", "a,b");
    assert_snapshot!(refusal(&scratch, &input), @"");
}
