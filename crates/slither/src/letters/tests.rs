//! Any value comes back, and any bytes are read without harm.

use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::{Fault, LetterReader, line};
use crate::context::Context;
use crate::error::{Death, ErrorKind, ItemError, WorkerReport};
use crate::item::{Failure, Fall, Item, ItemId, Payload};
use crate::metadata::Metadata;
use crate::value::{Dtype, Tensor, Timestamp, Value};

fn failure(payload: &Value, metadata: Metadata) -> Failure {
    let worker = WorkerReport {
        death: Some(Death::Signal(9)),
        stderr: vec!["\u{1b}[31m".to_owned()],
        ..WorkerReport::new("default/0#3", 77)
    };
    let error = ItemError::new(ErrorKind::Crash, "the worker\ndied")
        .with_traceback(Some("Traceback".to_owned()), vec!["ValueError".to_owned()])
        .with_worker(worker);
    let fall =
        Fall { error, batch: Arc::from([ItemId(6), ItemId(7)]), attempts: 3, payload: Payload::of(payload) };
    let item = Item { id: ItemId(7), payload: (), metadata };
    Failure { context: Some(Arc::new(Context::run())), ..Failure::new(item, fall, Some("score".into())) }
}

fn written(failure: &Failure) -> Vec<u8> {
    let mut text = Vec::new();
    line::write(failure, Timestamp::new(0, 0).unwrap(), &mut text).unwrap();
    text
}

/// Text that looks like a tag as often as not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\$(bytes|int|map|float|time|pairs)?", "\\PC{0,6}", any::<String>()]
}

fn value() -> impl Strategy<Value = Value> {
    let tensor = vec(any::<u8>(), 0..4).prop_map(|data| {
        Value::Tensor(Tensor::new(Dtype::U16, vec![data.len(), 1], data.repeat(2)).unwrap())
    });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        ((1u64 << 63)..).prop_map(Value::Uint),
        any::<f64>().prop_map(Value::Float),
        prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), Just(5e-324)]
            .prop_map(Value::Float),
        text().prop_map(Value::Str),
        vec(any::<u8>(), 0..5).prop_map(|bytes| Value::Bytes(Bytes::from(bytes))),
        (any::<i64>(), 0u32..1_000_000_000)
            .prop_map(|(seconds, nanos)| Value::Timestamp(Timestamp::new(seconds, nanos).unwrap())),
        (-99_999_999_999i64..300_000_000_000)
            .prop_map(|seconds| Value::Timestamp(Timestamp::new(seconds, 1000).unwrap())),
        tensor,
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map(text(), inner, 0..4).prop_map(Value::Map)
        ]
    })
}

proptest! {
    #[test]
    fn any_value_comes_back_bit_by_bit(payload in value(), metadata in btree_map(text(), value(), 0..3)) {
        let failure = failure(&payload, metadata.into());
        let text = written(&failure);
        prop_assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), 1);
        let letter = LetterReader::new(&text[..]).next().unwrap().unwrap();
        // Encoded they can be compared though a NaN is no NaN's equal.
        prop_assert_eq!(&letter.payload, &failure.payload);
        prop_assert_eq!(Payload::of(&letter.metadata), Payload::of(&failure.metadata));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..400)) {
        let lines = bytes.split(|byte| *byte == b'\n').count();
        prop_assert!(LetterReader::new(&bytes[..]).count() <= lines);
    }

    #[test]
    fn a_letter_that_was_tampered_with_is_read_without_harm(
        payload in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()
    ) {
        let mut text = written(&failure(&payload, Metadata::new()));
        let at = at.index(text.len());
        text[at] = byte;
        text.truncate(cut.index(text.len()) + 1);
        for letter in LetterReader::new(&text[..]).flatten() {
            let _ = letter.to_payload::<Value>();
        }
    }
}

#[test]
fn a_letter_says_all_that_is_known() {
    let metadata: Metadata = [("source", "upload")].into_iter().collect();
    let failure = failure(&Value::from("x"), metadata.clone());
    let letter = LetterReader::new(&written(&failure)[..]).next().unwrap().unwrap();
    let context = failure.context.unwrap();
    assert_eq!(letter.run.as_deref(), context.run.as_ref().map(|run| run.as_str()));
    assert_eq!(letter.session.as_deref(), context.session.as_ref().map(|session| session.as_str()));
    assert_eq!((letter.pipe, letter.stage.as_deref()), (None, Some("score")));
    assert_eq!((letter.item, letter.batch, letter.attempts), (ItemId(7), vec![ItemId(6), ItemId(7)], 3));
    assert_eq!((letter.error.kind.as_str(), letter.error.message.as_str()), ("crash", "the worker\ndied"));
    assert_eq!(letter.error.traceback.as_deref(), Some("Traceback"));
    assert_eq!(letter.error.exception, ["ValueError"]);
    let worker = letter.error.worker.unwrap();
    assert_eq!(worker.get("pid"), Some(&Value::Int(77)));
    assert_eq!(worker.get("death").unwrap().get("signal"), Some(&Value::Int(9)));
    assert_eq!(letter.metadata, metadata);
    assert_eq!(letter.time, Timestamp::new(0, 0).unwrap());
}

#[test]
fn input_that_was_a_letter_is_marked_and_its_attempts_add_up() {
    let first = failure(&Value::from(1), [("source", "upload")].into_iter().collect());
    let item = LetterReader::new(&written(&first)[..]).items::<u64>().next().unwrap().unwrap();
    assert_eq!((item.payload, item.metadata["source"].as_str()), (1, Some("upload")));
    assert_eq!(item.metadata["letter"].get("attempts"), Some(&Value::Int(3)));
    assert_eq!(item.metadata["letter"].get("item"), Some(&Value::Int(7)));
    let again = failure(&Value::from(1), item.metadata);
    let item = LetterReader::new(&written(&again)[..]).items::<u64>().next().unwrap().unwrap();
    assert_eq!(item.metadata["letter"].get("attempts"), Some(&Value::Int(6)));
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_next_is_read() {
    let good = written(&failure(&Value::from(1), Metadata::new()));
    let torn = &good[..good.len() / 2];
    let later = String::from_utf8(good.clone()).unwrap().replace("\"slither\":1", "\"slither\":2");
    let file = [b"{}\n\n", &good[..], b"not json\n", later.as_bytes(), &vec![b'x'; 2000], b"\n", &good, torn]
        .concat();
    let faults: Vec<_> = LetterReader::new(&file[..])
        .max_line(1500)
        .map(|letter| letter.map_err(|bad| (bad.line(), bad.fault())).map(|letter| letter.line))
        .collect();
    assert_eq!(
        faults,
        [
            Err((1, Fault::Malformed)),
            Ok(3),
            Err((4, Fault::Malformed)),
            Err((5, Fault::Version)),
            Err((6, Fault::TooLong)),
            Ok(7),
            Err((8, Fault::Torn)),
        ]
    );
    let last = LetterReader::new(torn).next().unwrap().unwrap_err().to_string();
    assert_eq!(
        last,
        format!(
            "line 1: the file ends within it, after {} bytes\n  hint: whoever wrote it was stopped in the middle; \
             delete the line, its item has to come from its source",
            torn.len()
        )
    );
}

#[test]
fn a_last_line_without_its_newline_is_as_good() {
    let good = written(&failure(&Value::from(1), Metadata::new()));
    assert!(LetterReader::new(&good[..good.len() - 1]).next().unwrap().is_ok());
}

#[test]
fn nesting_without_end_is_an_error() {
    for hostile in [
        "[".repeat(1 << 20),
        "{\"a\":".repeat(1 << 20),
        "{\"slither\":1,\"payload\":".to_owned() + &"[".repeat(300),
    ] {
        assert!(LetterReader::new(hostile.as_bytes()).next().unwrap().is_err());
    }
}

#[test]
fn another_type_is_told_with_a_way_out() {
    let text = written(&failure(&Value::from("x"), Metadata::new()));
    let error = LetterReader::new(&text[..]).payloads::<u64>().next().unwrap().unwrap_err();
    assert_eq!(error.fault(), Fault::Payload);
    assert!(error.to_string().starts_with("line 1: the payload is no u64: "), "{error}");
    let mut bare = failure(&Value::Null, Metadata::new());
    bare.payload = None;
    let text = written(&bare);
    let error = LetterReader::new(&text[..]).payloads::<u64>().next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: item 7 was kept without its payload by stage `score`\n  hint: Python stages keep payloads, and \
         dispatches with `Call::keep_payloads`; the item has to come from its source"
    );
}
