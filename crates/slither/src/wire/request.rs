//! Frames that the host sends, each built whole in one buffer.

use serde::Serialize;

use super::frame::{CHAOS, CLAIM, HEADER, Header, Kind, STREAM, VIEW_ERROR};
use crate::codec::encode;
use crate::context::Context;
use crate::error::{ErrorKind, ItemError};

/// A frame under construction: room for the header, then the body.
struct Builder {
    kind: Kind,
    flags: u8,
    id: u64,
    bytes: Vec<u8>,
}

impl Builder {
    fn new(kind: Kind, flags: u8, id: u64, expected: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + expected);
        bytes.resize(HEADER, 0);
        Self { kind, flags, id, bytes }
    }

    fn array(&mut self, len: usize) {
        // Writing to a `Vec` cannot fail, and more than u32::MAX items exceed every cap.
        let _ = rmp::encode::write_array_len(&mut self.bytes, u32::try_from(len).unwrap_or(u32::MAX));
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), String> {
        encode(value, &mut self.bytes)
    }

    fn finish(mut self, cap: usize) -> Result<Vec<u8>, usize> {
        let length = self.bytes.len() - HEADER;
        if length > cap {
            return Err(length);
        }
        let header = Header { length, kind: self.kind, flags: self.flags, id: self.id };
        self.bytes[..HEADER].copy_from_slice(&header.bytes());
        Ok(self.bytes)
    }
}

fn context(builder: &mut Builder, context: &Context) -> Result<(), String> {
    if context.run.is_none() && context.session.is_none() && context.metadata.is_empty() {
        return builder.value(&());
    }
    builder.array(6);
    builder.value(&context.run)?;
    builder.value(&context.pipe)?;
    builder.value(&context.stage)?;
    builder.value(&context.session)?;
    builder.value(&context.attempt)?;
    if context.metadata.is_empty() { builder.value(&()) } else { builder.value(&context.metadata) }
}

fn value_error(index: Option<usize>, reason: String) -> ItemError {
    let what = match index {
        Some(index) => format!("payload {index} of the batch cannot be encoded"),
        None => "the arguments cannot be encoded".to_owned(),
    };
    ItemError::new(ErrorKind::Value, format!("{what}: {reason}"))
}

fn too_large(length: usize, cap: usize) -> ItemError {
    ItemError::new(
        ErrorKind::TooLarge,
        format!("the call takes {length} bytes, more than the pool's max_frame of {cap}"),
    )
}

/// `CALL`: a batch for `function`.
pub(crate) fn batch<'a, T: Serialize + 'a>(
    id: u64,
    function: &str,
    whose: &Context,
    payloads: impl ExactSizeIterator<Item = &'a T>,
    cap: usize,
) -> Result<Vec<u8>, ItemError> {
    let mut builder = Builder::new(Kind::Call, 0, id, 512);
    builder.array(3);
    builder.value(function).and_then(|()| context(&mut builder, whose)).map_err(|e| value_error(None, e))?;
    builder.array(payloads.len());
    for (index, payload) in payloads.enumerate() {
        builder.value(payload).map_err(|reason| value_error(Some(index), reason))?;
    }
    builder.finish(cap).map_err(|length| too_large(length, cap))
}

/// `EXECUTE`: one call of `function`.
pub(crate) fn single<T: Serialize + ?Sized>(
    id: u64,
    function: &str,
    whose: &Context,
    args: &T,
    cap: usize,
) -> Result<Vec<u8>, ItemError> {
    let mut builder = Builder::new(Kind::Execute, 0, id, 256);
    builder.array(3);
    builder
        .value(function)
        .and_then(|()| context(&mut builder, whose))
        .and_then(|()| builder.value(args))
        .map_err(|reason| value_error(None, reason))?;
    builder.finish(cap).map_err(|length| too_large(length, cap))
}

/// `CANCEL` or `DUMP`, as `kind` says, of a call.
pub(crate) fn about(kind: Kind, id: u64) -> Vec<u8> {
    Header { length: 0, kind, flags: 0, id }.bytes().to_vec()
}

/// `BIND`: import `function`.
pub(crate) fn bind(id: u64, function: &str, cap: usize) -> Result<Vec<u8>, ItemError> {
    let mut builder = Builder::new(Kind::Bind, 0, id, 64);
    builder.value(function).map_err(|reason| value_error(None, reason))?;
    builder.finish(cap).map_err(|length| too_large(length, cap))
}

/// `OPEN_SESSION` or `END_SESSION`, as `kind` says, for the session of the context.
pub(crate) fn session(kind: Kind, id: u64, whose: &Context, cap: usize) -> Result<Vec<u8>, ItemError> {
    let mut builder = Builder::new(kind, 0, id, 64);
    context(&mut builder, whose).map_err(|reason| value_error(None, reason))?;
    builder.finish(cap).map_err(|length| too_large(length, cap))
}

/// `KEEP_REFS` for the result of call `id`, or `DROP_REFS`, as `kind` says.
pub(crate) fn refs(kind: Kind, id: u64, refs: &[u64]) -> Vec<u8> {
    let mut builder = Builder::new(kind, 0, id, 16);
    // Numbers always encode, and no more than came in a frame fit one.
    let _ = builder.value(refs);
    builder.finish(usize::MAX).unwrap_or_default()
}

/// A frame without a body.
pub(crate) fn bare(kind: Kind) -> Vec<u8> {
    Header { length: 0, kind, flags: 0, id: 0 }.bytes().to_vec()
}

/// `VIEW_REPLY` with the encoded value, which must fit `cap`.
pub(crate) fn view_reply(id: u64, value: &[u8], cap: usize) -> Vec<u8> {
    if value.len() > cap {
        let message = format!("the answer takes {} bytes, more than the cap of {cap}", value.len());
        return view_error(id, "failed", &message);
    }
    let header = Header { length: value.len(), kind: Kind::ViewReply, flags: 0, id };
    [&header.bytes(), value].concat()
}

/// `VIEW_REPLY` that says why there is no value.
pub(crate) fn view_error(id: u64, kind: &str, message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        kind: &'a str,
        message: &'a str,
    }
    let longest = message.len().min(8 * 1024);
    let cut = (0..=longest).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    let mut builder = Builder::new(Kind::ViewReply, VIEW_ERROR, id, 128);
    // Two short texts always encode and always fit.
    let _ = builder.value(&Body { kind, message: &message[..cut] });
    builder.finish(usize::MAX).unwrap_or_default()
}

/// Marks a whole frame that carries a call as sent ahead, or takes the mark away.
pub(crate) fn set_claim(frame: &mut [u8], claim: bool) {
    if let Some(flags) = frame.get_mut(5) {
        *flags = if claim { *flags | CLAIM } else { *flags & !CLAIM };
    }
}

/// Whether the frame is of a kind that may be sent ahead.
pub(crate) fn may_be_claimed(frame: &[u8]) -> bool {
    let kinds = [Kind::Call, Kind::Execute, Kind::OpenSession, Kind::EndSession].map(|kind| kind as u8);
    frame.get(4).is_some_and(|kind| kinds.contains(kind))
}

/// Whether the frame asks for a function to be run.
pub(crate) fn is_call(frame: &[u8]) -> bool {
    frame.get(4).is_some_and(|kind| [Kind::Call as u8, Kind::Execute as u8].contains(kind))
}

/// A fault that a worker is to have with a call, as `docs/PROTOCOL.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Where in the call, or in which way.
    pub(crate) point: &'static str,
    /// Seconds for `slow`, else from 0 to 1.
    pub(crate) amount: f64,
}

/// Sends a fault along with a whole `CALL` frame; false, and the frame as it was, if it does not fit.
pub(crate) fn set_fault(frame: &mut Vec<u8>, fault: &Fault, cap: usize) -> bool {
    let length = frame.len();
    let fault = (fault.name, fault.point, fault.amount);
    if encode(&fault, frame).is_err() || frame.len() - HEADER > cap {
        frame.truncate(length);
        return false;
    }
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[5] |= CHAOS;
    // The array has one more than its three.
    frame[HEADER] += 1;
    true
}

/// `MORE`: so many values of the stream that call `id` gives were taken.
pub(crate) fn more(id: u64, values: usize) -> Vec<u8> {
    let mut builder = Builder::new(Kind::More, 0, id, 9);
    // A number always encodes, and is as good as nothing.
    let _ = builder.value(&values);
    builder.finish(usize::MAX).unwrap_or_default()
}

/// Marks a whole `CALL` or `EXECUTE` frame as one whose results may come before its answer.
pub(crate) fn set_stream(frame: &mut [u8]) {
    if let Some(flags) = frame.get_mut(5) {
        *flags |= STREAM;
    }
}
