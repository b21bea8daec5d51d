//! Cuts a stream of bytes into frames, without I/O of its own.

use bytes::Bytes;

use super::frame::{HEADER, Header, WireError};

/// How much a single read may bring; a larger frame's body is read straight into a buffer of its own.
const BUFFER: usize = 64 * 1024;

/// How far the buffer of a large body grows ahead of what has arrived.
const STEP: usize = 1024 * 1024;

/// A whole frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) body: Bytes,
}

#[cfg(test)]
impl Frame {
    /// The frame as it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.header.bytes()[..], &self.body[..]].concat()
    }
}

/// The frames in bytes that are all there, up to the first error or the last whole frame.
pub(crate) fn frames(mut bytes: &[u8], cap: usize) -> impl Iterator<Item = Result<Frame, WireError>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
        let header = match Header::parse(head, cap) {
            Ok(header) => header,
            Err(error) => {
                bytes = &[];
                return Some(Err(error));
            }
        };
        let body = rest.get(..header.length)?;
        bytes = &rest[header.length..];
        Some(Ok(Frame { header, body: Bytes::copy_from_slice(body) }))
    })
}

/// The bytes that have arrived and not yet made a frame.
///
/// The caller reads into [`space`](Self::space), says how much came with [`filled`](Self::filled), and takes
/// frames with [`next`](Self::next) until there is none.
#[derive(Debug)]
pub(crate) struct FrameReader {
    cap: usize,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    large: Option<Large>,
}

/// A body that does not fit the buffer.
#[derive(Debug)]
struct Large {
    header: Header,
    body: Vec<u8>,
    filled: usize,
}

impl FrameReader {
    /// A reader that refuses bodies above `cap` bytes.
    pub(crate) fn new(cap: usize) -> Self {
        Self { cap, buffer: vec![0; BUFFER].into(), start: 0, end: 0, large: None }
    }

    /// Where the next bytes go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some(large) = &mut self.large {
            if large.filled == large.body.len() {
                let step = STEP.min(large.header.length - large.filled);
                // Exact, because growth by doubling would run ahead of what has arrived.
                large.body.reserve_exact(step);
                large.body.resize(large.filled + step, 0);
            }
            return &mut large.body[large.filled..];
        }
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// `count` bytes were written to the front of [`space`](Self::space).
    pub(crate) fn filled(&mut self, count: usize) {
        match &mut self.large {
            Some(large) => large.filled += count,
            None => self.end += count,
        }
    }

    /// The next whole frame; none until more bytes come.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, WireError> {
        if let Some(large) = &self.large {
            if large.filled < large.header.length {
                return Ok(None);
            }
            let Some(large) = self.large.take() else { return Ok(None) };
            return Ok(Some(Frame { header: large.header, body: large.body.into() }));
        }
        let ready = &self.buffer[self.start..self.end];
        let Some((head, rest)) = ready.split_first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::parse(head, self.cap)?;
        if rest.len() >= header.length {
            let body = Bytes::copy_from_slice(&rest[..header.length]);
            self.start += HEADER + header.length;
            return Ok(Some(Frame { header, body }));
        }
        if HEADER + header.length > self.buffer.len() {
            let body = rest.to_vec();
            let filled = body.len();
            self.start = 0;
            self.end = 0;
            self.large = Some(Large { header, body, filled });
        }
        Ok(None)
    }

    /// Bytes that are set aside for what has arrived and what may come next.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn allocated(&self) -> usize {
        self.buffer.len() + self.large.as_ref().map_or(0, |large| large.body.capacity())
    }

    /// What the end of the stream means here: nothing between two frames, an error inside one.
    pub(crate) fn finish(&self) -> Result<(), WireError> {
        let missing = match &self.large {
            Some(large) => large.header.length - large.filled,
            None if self.start == self.end => return Ok(()),
            None => match self.buffer[self.start..self.end].split_first_chunk::<HEADER>() {
                Some((head, rest)) => Header::parse(head, self.cap)?.length.saturating_sub(rest.len()),
                None => HEADER - (self.end - self.start),
            },
        };
        Err(WireError::Truncated { missing })
    }
}
