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
    assert_snapshot!(refusal(&scratch, &scratch.path().join("gone.jsonl")), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no file or folder DIR/gone.jsonl
      hint: a relative path starts at the current folder
    ");
}

#[test]
fn a_folder_without_documents() {
    let scratch = Scratch::new();
    scratch.file("notes.md", "no document");
    assert_snapshot!(refusal(&scratch, scratch.path()), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: there is no document in DIR
      hint: a folder is searched for files that end in .txt or .jsonl
    ");
}

#[test]
fn a_line_that_is_no_json() {
    let scratch = Scratch::new();
    let input = scratch.file("lines.jsonl", "{\"text\": \"fine\"}\n\n{\"text\": \"open}\n");
    assert_snapshot!(refusal(&scratch, &input), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/lines.jsonl line 3, column 15: not JSON: EOF while parsing a string
      hint: each line of a .jsonl file is one JSON value
    ");
}

#[test]
fn a_line_that_is_no_document() {
    let scratch = Scratch::new();
    let input = scratch.file("lines.jsonl", "\"fine\"\n{\"body\": \"no text\"}\n");
    assert_snapshot!(refusal(&scratch, &input), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/lines.jsonl line 2: expected an object with a `text` field that is text, or a bare string
      hint: for example {"text": "The words of one document."}
    "#);
}

#[test]
fn text_in_another_encoding() {
    let scratch = Scratch::new();
    let input = scratch.file("latin.txt", b"caf\xe9");
    assert_snapshot!(refusal(&scratch, &input), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/latin.txt is not UTF-8 text (byte 3)
      hint: save it as UTF-8
    ");
}

#[test]
fn a_file_of_another_kind() {
    let scratch = Scratch::new();
    let input = scratch.file("table.csv", "a,b");
    assert_snapshot!(refusal(&scratch, &input), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/table.csv is neither a .txt nor a .jsonl file
      hint: a .txt file is one document, a .jsonl file one document a line
    ");
}
