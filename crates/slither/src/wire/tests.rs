//! The golden frames of `testdata/wire`, which the Python suite reads, too, and random answers.

mod described;

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use self::described::{Described, plain};
use super::frame::{CHAOS, CLAIM, FAILED, STREAM};
use super::*;
use crate::codec;
use crate::context::{Context, SessionId};
use crate::error::{ErrorKind, ItemError};
use crate::value::Value;

#[derive(Deserialize)]
struct Index {
    frames: BTreeMap<String, Golden>,
    malformed: Malformed,
}

#[derive(Deserialize)]
struct Golden {
    direction: String,
    kind: u8,
    flags: u8,
    segments: u16,
    id: u64,
    body: Option<Described>,
}

#[derive(Deserialize)]
struct Malformed {
    max_frame: usize,
    frames: BTreeMap<String, Broken>,
}

#[derive(Deserialize)]
struct Broken {
    direction: String,
    error: String,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire"))
}

fn index() -> Index {
    serde_json::from_slice(&std::fs::read(folder().join("frames.json")).unwrap()).unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.bin"))).unwrap()
}

/// The frames of a stream, up to what ends it.
fn read(stream: &[u8], cap: usize) -> (Vec<Frame>, Result<(), WireError>) {
    let mut reader = FrameReader::new(cap);
    let mut rest = stream;
    let mut frames = Vec::new();
    loop {
        loop {
            match reader.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        if rest.is_empty() {
            return (frames, reader.finish());
        }
        let space = reader.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        reader.filled(count);
    }
}

fn only(name: &str) -> Frame {
    let (mut frames, end) = read(&bytes(name), 1 << 20);
    assert_eq!(end, Ok(()), "{name}");
    assert_eq!(frames.len(), 1, "{name}");
    frames.remove(0)
}

fn typed<T: DeserializeOwned>(name: &str) -> T {
    body(&only(name).body).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_golden_frame_to_the_host_is_what_its_description_says() {
    let mut seen = 0;
    for (name, golden) in index().frames.iter().filter(|(_, golden)| golden.direction == "to_host") {
        let frame = only(name);
        let header = frame.header;
        assert_eq!(
            (header.kind as u8, header.flags, 0, header.id),
            (golden.kind, golden.flags, golden.segments, golden.id),
            "{name}"
        );
        match &golden.body {
            None => assert!(frame.body.is_empty(), "{name}"),
            Some(described) => {
                assert!(well_formed(&frame.body), "{name}");
                assert_eq!(described.encoded(), frame.body, "{name}");
                if header.flags & REFS != 0 {
                    // What is in it is no value, and becomes a handle where the pool reads it.
                    continue;
                }
                let there: Value = body(&frame.body).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(plain(&there), plain(&described.value()), "{name}");
            }
        }
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} frames");
}

#[test]
fn golden_bodies_decode_into_what_the_host_knows() {
    let hello: Hello = typed("hello");
    assert_eq!((hello.protocol, hello.pid, hello.gil), (1, 4242, true));
    assert!(hello.adapter.is_none());
    let adapter = typed::<Hello>("hello_adapter").adapter.unwrap();
    assert_eq!((adapter.name.as_str(), adapter.any_tool), ("my_adapter:Scorer", false));
    assert_eq!(adapter.warning.as_deref(), Some("Scorer denies it"));
    let [tool] = &adapter.tools[..] else { panic!("{adapter:?}") };
    assert_eq!((tool.name.as_str(), tool.returns.as_deref()), ("predict", Some("float")));
    assert_eq!(tool.parameters[1].annotation.as_deref(), Some("float"));
    assert!(adapter.lists("predict") && !adapter.lists("other"));
    assert_eq!(typed::<Bound>("bound").kind, "generator");
    let log: Log = typed("log");
    assert_eq!((log.level, &*log.logger, &*log.message, log.call), (30, "my_model", "odd input", Some(1)));
    assert_eq!(typed::<Log>("log_idle").call, None);
    let view = ViewCall::parse(&only("view").body).unwrap();
    assert_eq!((view.call, &*view.name), (1, "lookup_feature"));
    assert_eq!(body::<Value>(&view.args).unwrap(), Value::from([("key", "user:42")]));
    let many = only("view_many");
    assert_eq!(many.header.flags, MANY);
    let args = ViewCall::parse(&many.body).unwrap().args;
    assert_eq!(body::<Value>(&args).unwrap().as_list().unwrap().len(), 2);

    let error: ItemError = typed::<RemoteError>("error").into();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Exception, "no good"));
    assert_eq!(error.exception()[0], "ValueError");
    assert!(error.traceback().unwrap().contains("ValueError: no good"));
    let error: ItemError = typed::<RemoteError>("error_contract").into();
    assert_eq!(error.kind(), ErrorKind::Contract);

    let failed = only("result_failed");
    let mixed = results::<i64>(&failed.body, failed.header.flags, 3).unwrap();
    let kinds: Vec<_> = mixed.iter().map(|one| one.as_ref().map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Ok(&1), Err(ErrorKind::Failed), Err(ErrorKind::Value)]);
    // A result of another type fails its own item, and no other.
    let plain = only("result");
    let numbers = results::<i64>(&plain.body, 0, 3).unwrap();
    assert!(numbers[0].is_ok() && numbers[1].is_err() && numbers[2].is_err());
    assert_eq!(numbers[1].as_ref().unwrap_err().kind(), ErrorKind::Decode);
    assert!(results::<Value>(&plain.body, 0, 4).unwrap_err().contains("3 results came for 4 items"));
    assert!(only("skipped").body.is_empty());
    let partial = only("partial");
    assert_eq!(claimed(&partial.body, partial.header.flags), Ok(2));
    let partial = only("partial_failed");
    assert_eq!(claimed(&partial.body, partial.header.flags), Ok(2));
    let mixed = results::<i64>(&partial.body, partial.header.flags, 2).unwrap();
    assert_eq!((mixed[0].as_ref().ok(), mixed[1].is_err()), (Some(&1), true));
    assert_eq!(typed::<Done>("progress"), Done { done: 3, total: Some(1 << 32) });
    assert_eq!(typed::<Done>("progress_without_total"), Done { done: 0, total: None });
}

/// What the host writes for a description of a frame to a worker.
fn written(name: &str, golden: &Golden) -> Vec<u8> {
    let none = Described::Nil;
    let described = golden.body.as_ref().unwrap_or(&none);
    let parts = described.list();
    let text = |part: &Described| part.text().to_owned();
    let id = golden.id;
    let mut frame = match golden.kind {
        1 => batch(id, &text(&parts[0]), &Context::none(), parts[2].list().iter(), 1 << 20).unwrap(),
        2 => single(id, &text(&parts[0]), &Context::none(), &parts[2], 1 << 20).unwrap(),
        3 => bind(id, described.text(), 1 << 20).unwrap(),
        4 if golden.flags == 0 => view_reply(id, &described.encoded(), 1 << 20),
        4 => {
            let value = described.value();
            let part = |key| value.get(key).and_then(Value::as_str).unwrap();
            view_error(id, part("kind"), part("message"))
        }
        5 => bare(Kind::Stop),
        8 | 9 => {
            let kind = if golden.kind == 8 { Kind::KeepRefs } else { Kind::DropRefs };
            let number = |each: &Described| each.value().as_i64().unwrap() as u64;
            refs(kind, id, &parts.iter().map(number).collect::<Vec<_>>())
        }
        6 | 7 => {
            let kind = if golden.kind == 6 { Kind::OpenSession } else { Kind::EndSession };
            let id = SessionId::of(parts[3].text());
            session(kind, golden.id, &Context::none().in_session(&id), 1 << 20).unwrap()
        }
        10 | 11 => {
            let mut frame = bare(if golden.kind == 10 { Kind::Cancel } else { Kind::Dump });
            frame[8..].copy_from_slice(&id.to_le_bytes());
            frame
        }
        12 => more(id, described.value().as_i64().unwrap() as usize),
        other => panic!("{name}: a frame of kind {other} to a worker"),
    };
    if matches!(golden.kind, 1 | 2 | 6 | 7) {
        set_claim(&mut frame, golden.flags & CLAIM != 0);
    }
    if golden.kind == 1 && golden.flags & CHAOS != 0 {
        assert!(!set_fault(&mut frame.clone(), &KILL, 29), "beyond the cap it is left out");
        assert!(set_fault(&mut frame, &KILL, 1 << 20));
    }
    if matches!(golden.kind, 1 | 2) && golden.flags & STREAM != 0 {
        set_stream(&mut frame);
    }
    frame
}

const KILL: Fault = Fault { name: "kill", point: "during", amount: 0.25 };

#[test]
fn what_the_host_writes_is_golden() {
    let mut exact = 0;
    for (name, golden) in index().frames.iter().filter(|(_, golden)| golden.direction == "to_worker") {
        let there = bytes(name);
        let ours = written(name, golden);
        let context = golden.body.as_ref().filter(|_| golden.kind < 3).map(|body| body.list()[1].value());
        // Ids of runs and sessions are made, not chosen: see the test below.
        if context.is_none_or(|context| context == Value::Null) {
            assert_eq!(ours, there, "{name}");
            exact += 1;
        }
    }
    assert!(exact >= 15, "only {exact} frames");
}

#[test]
fn a_context_is_written_as_the_golden_one_is() {
    let golden = &index().frames["call"];
    let parts = golden.body.as_ref().unwrap().list();
    let there = parts[1].value();
    let there = there.as_list().unwrap();
    let mut context = Context::run().in_stage(&"score".into(), &"predict".into());
    context.attempt = 2;
    let Value::Map(metadata) = there[5].clone() else { panic!("metadata is a map") };
    context.metadata = metadata.into();
    let frame = batch(1, "my_model:predict_batch", &context, parts[2].list().iter(), 1 << 20).unwrap();
    let ours: Value = body(&frame[16..]).unwrap();
    let ours = ours.as_list().unwrap();
    assert_eq!(ours[0], parts[0].value());
    assert_eq!(ours[2], parts[2].value());
    let ours = ours[1].as_list().unwrap();
    assert_eq!(ours.len(), 6);
    assert_eq!(ours[0].as_str(), context.run.as_ref().map(|run| run.as_str()));
    assert_eq!(ours[3].as_str(), context.session.as_ref().map(|session| session.as_str()));
    assert_eq!([&ours[1], &ours[2], &ours[4], &ours[5]], [&there[1], &there[2], &there[4], &there[5]]);
}

/// What the host makes of a stream: `protocol`, `decode`, `closed`, or nothing wrong.
fn verdict(stream: &[u8], cap: usize) -> &'static str {
    let (frames, end) = read(stream, cap);
    match end {
        Err(WireError::Truncated { .. }) => return "closed",
        Err(_) => return "protocol",
        Ok(()) => {}
    }
    for frame in frames {
        let count = rmp::decode::read_array_len(&mut &frame.body[..]).unwrap_or(1) as usize;
        match results::<Value>(&frame.body, frame.header.flags, count.min(1024)) {
            Err(_) => return "protocol",
            Ok(results) if results.iter().any(Result::is_err) => return "decode",
            Ok(_) => {}
        }
    }
    "nothing wrong"
}

#[test]
fn every_malformed_frame_gives_the_error_that_its_description_names() {
    let malformed = index().malformed;
    let mut seen = 0;
    for (name, broken) in malformed.frames.iter().filter(|(_, broken)| broken.direction == "to_host") {
        let stream = bytes(&format!("malformed/{name}"));
        assert_eq!(verdict(&stream, malformed.max_frame), broken.error, "{name}");
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} frames");
}

fn error_map(kind: &str, message: &str) -> Value {
    Value::from([
        ("kind", Value::from(kind)),
        ("message", message.into()),
        ("traceback", Value::Null),
        ("exception", Value::List(Vec::new())),
    ])
}

proptest! {
    #[test]
    fn each_failure_fails_its_item_and_no_other(
        outcomes in proptest::collection::vec(proptest::option::of(any::<i64>()), 0..40),
        backwards in any::<bool>(),
    ) {
        let failed: Vec<usize> =
            outcomes.iter().enumerate().filter(|(_, one)| one.is_none()).map(|(at, _)| at).collect();
        let good: Value = outcomes
            .iter()
            .map(|one| one.map_or(Value::Null, Value::from))
            .collect::<Vec<_>>()
            .into();
        let mut failures: Vec<Value> = failed
            .iter()
            .map(|at| Value::List(vec![Value::from(*at), error_map("failed", &format!("item {at}"))]))
            .collect();
        if backwards {
            failures.reverse();
        }
        let mut bytes = Vec::new();
        codec::encode(&Value::List(vec![good, failures.clone().into()]), &mut bytes).unwrap();
        let read = results::<i64>(&bytes, FAILED, outcomes.len()).unwrap();
        for (at, (there, sent)) in read.iter().zip(&outcomes).enumerate() {
            match (there, sent) {
                (Ok(there), Some(sent)) => prop_assert_eq!(there, sent),
                (Err(error), None) => prop_assert_eq!(error.message(), format!("item {at}")),
                other => prop_assert!(false, "item {}: {:?}", at, other),
            }
        }
        prop_assert!(results::<i64>(&bytes, FAILED, outcomes.len() + 1).is_err(), "one too few");
        if let Some(first) = failures.first().cloned() {
            failures.push(first);
            let mut bytes = Vec::new();
            let good = vec![Value::Null; outcomes.len()];
            codec::encode(&Value::List(vec![good.into(), failures.into()]), &mut bytes).unwrap();
            prop_assert!(results::<Option<i64>>(&bytes, FAILED, outcomes.len()).is_err(), "named twice");
        }
    }
}
