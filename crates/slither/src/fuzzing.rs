//! What the fuzz targets in `fuzz/` and the property tests below both hold: no bytes hurt the decoders.

use crate::codec;
use crate::value::Value;
use crate::wire::{self, Bound, Done, Frame, FrameReader, Hello, Kind, Log, RemoteError, ViewCall};

/// The cap that frames are read with: above the buffer, so that large bodies are tried, too.
const CAP: usize = 1 << 20;
/// What a reader may set aside beyond what has arrived: its buffer and one step.
const AHEAD: usize = (64 << 10) + (1 << 20);

/// Reads a stream as a worker's socket gives it, in pieces whose sizes the first byte chooses.
///
/// # Panics
/// If more is allocated than may be.
pub fn frame(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    read(stream, usize::from(*first) * usize::from(*first) + 1, CAP);
}

/// Reads `stream` in pieces of `piece` bytes; returns the frames before the end or the first error.
fn read(stream: &[u8], piece: usize, cap: usize) -> Vec<Frame> {
    let mut reader = FrameReader::new(cap);
    let mut frames = Vec::new();
    let mut arrived = 0;
    while arrived < stream.len() {
        let space = reader.space();
        let count = piece.min(space.len()).min(stream.len() - arrived);
        space[..count].copy_from_slice(&stream[arrived..arrived + count]);
        arrived += count;
        reader.filled(count);
        loop {
            let allocated = reader.allocated();
            assert!(allocated <= arrived + AHEAD, "{allocated} bytes are allocated for {arrived}");
            match reader.next() {
                Ok(Some(frame)) => {
                    open(&frame);
                    frames.push(frame);
                }
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
    }
    // A stream may end anywhere; what that means must be known.
    let _ = reader.finish();
    frames
}

/// Decodes a body as the host does.
fn open(frame: &Frame) {
    let body = &frame.body[..];
    match frame.header.kind {
        Kind::Hello => drop(wire::body::<Hello>(body)),
        Kind::Bound => drop(wire::body::<Bound>(body)),
        Kind::Log => drop(wire::body::<Log>(body)),
        Kind::Progress => drop(wire::body::<Done>(body)),
        Kind::Capacity => drop(wire::body::<(u32, bool, Option<String>)>(body)),
        Kind::Error => drop(wire::body::<RemoteError>(body)),
        Kind::View => drop(ViewCall::parse(body)),
        Kind::Result => {
            for expected in [0, 1, 2, 64] {
                if let Ok(results) = wire::results::<Value>(body, frame.header.flags, expected) {
                    assert_eq!(results.len(), expected, "as many results as items");
                }
            }
            drop(wire::body::<Value>(body));
        }
        Kind::Partial => {
            if let Ok(count) = wire::claimed(body, frame.header.flags)
                && count <= body.len()
                && let Ok(results) = wire::results::<Value>(body, frame.header.flags, count)
            {
                assert_eq!(results.len(), count, "as many results as it claims");
            }
        }
        Kind::Skipped => assert!(body.is_empty(), "a body where there is none"),
        Kind::Call
        | Kind::Execute
        | Kind::Bind
        | Kind::ViewReply
        | Kind::Stop
        | Kind::OpenSession
        | Kind::EndSession
        | Kind::KeepRefs
        | Kind::DropRefs
        | Kind::Cancel
        | Kind::Dump
        | Kind::More => {
            unreachable!("the reader refuses what only the host sends")
        }
    }
}

/// Decodes one payload. What is well-formed and decodes, encodes to something that decodes to the same.
///
/// # Panics
/// If it does not.
pub fn value(data: &[u8]) {
    let Ok(value) = codec::decode::<Value>(data) else { return };
    if !wire::well_formed(data) {
        // Text that is not UTF-8, which the decoder takes for bytes: the host looks at the form first.
        return;
    }
    let mut once = Vec::new();
    codec::encode(&value, &mut once).expect("what was decoded can be encoded");
    let again: Value = codec::decode(&once).expect("what was encoded can be decoded");
    let mut twice = Vec::new();
    codec::encode(&again, &mut twice).expect("what was decoded can be encoded");
    // Bytes and not values: a NaN is not equal to itself.
    assert_eq!(once, twice);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bytes that look like msgpack often enough to get somewhere.
    fn msgpack() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => any::<u8>(),
            2 => 0x80..=0x94u8,
            2 => 0xa0..=0xa4u8,
            1 => prop::sample::select(vec![0xc7u8, 0xd4, 0xd6, 0xd7, 0xd9, 0xdc, 0xde, 0xff, 0x01]),
        ];
        vec(byte, 0..96)
    }

    fn framed(kind: u8, flags: u8, id: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend([kind, flags, 0, 0]);
        bytes.extend(id.to_le_bytes());
        bytes.extend(body);
        bytes
    }

    fn any_frame() -> impl Strategy<Value = Vec<u8>> {
        (32..=38u8, 0..=1u8, any::<u64>(), msgpack())
            .prop_map(|(kind, flags, id, body)| framed(kind, flags, id, &body))
    }

    #[test]
    fn no_golden_or_malformed_frame_hurts_wherever_it_is_split() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/wire");
        let mut seen = 0;
        for folder in [folder.to_owned(), format!("{folder}/malformed")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "bin") {
                    let stream = std::fs::read(path).unwrap();
                    for piece in [1, 7, 16, 1000] {
                        read(&stream, piece, CAP);
                    }
                    // What lies behind the header is as good a payload as any.
                    value(stream.get(16..).unwrap_or_default());
                    seen += 1;
                }
            }
        }
        assert!(seen > 60, "only {seen} frames");
    }

    proptest! {
        #[test]
        fn no_bytes_hurt_the_reader(data in vec(any::<u8>(), 0..512)) {
            frame(&data);
        }

        #[test]
        fn no_bodies_hurt_the_host(first in any::<u8>(), frames in vec(any_frame(), 0..8)) {
            frame(&[vec![first], frames.concat()].concat());
        }

        #[test]
        fn no_payload_hurts_and_what_decodes_survives(data in msgpack()) {
            value(&data);
        }

        #[test]
        fn a_frame_is_the_same_wherever_it_is_split(
            bodies in vec((0..=300_000usize, any::<u64>()), 1..4),
            piece in 1..100_000usize,
        ) {
            // Skipped frames have no body, results any.
            let stream: Vec<u8> = bodies
                .iter()
                .flat_map(|(len, id)| match len % 5 {
                    0 => framed(38, 0, *id, &[]),
                    _ => framed(33, 0, *id, &(0..*len).map(|at| at as u8).collect::<Vec<_>>()),
                })
                .collect();
            let whole = read(&stream, usize::MAX, CAP);
            prop_assert_eq!(whole.len(), bodies.len());
            prop_assert_eq!(&read(&stream, piece, CAP), &whole);
            // The bytes are all there, in order.
            let back: Vec<u8> = whole
                .iter()
                .flat_map(|frame| framed(frame.header.kind as u8, 0, frame.header.id, &frame.body))
                .collect();
            prop_assert_eq!(back, stream);
        }

        #[test]
        fn a_claimed_length_is_not_allocated(length in any::<u32>(), arrived in 0..5000usize) {
            let mut bytes = framed(33, 0, 1, &vec![0; arrived]);
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            read(&bytes, 4096, 1 << 30);
        }
    }
}
