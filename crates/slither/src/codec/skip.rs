//! Steps over one msgpack value without decoding it.

use super::MAX_DEPTH;

/// The length in bytes of the first value of `bytes`; none if it is cut short, nests too deep, or is no msgpack.
///
/// The value itself lies `above` levels deep in its frame. Works without recursion, so nesting costs no stack.
pub(crate) fn value_len(bytes: &[u8], above: usize) -> Option<usize> {
    let first = step(bytes)?;
    match first.inside {
        None => Some(first.len),
        Some(inside) => Some(first.len + inside_len(&bytes[first.len..], above + 1, inside)?),
    }
}

/// The length of the `count` values at the front of `bytes`, which lie `depth` levels deep.
fn inside_len(bytes: &[u8], depth: usize, count: u64) -> Option<usize> {
    // The deepest of the levels that these values may open.
    let deepest = MAX_DEPTH.checked_sub(depth)?;
    let mut at = 0usize;
    // How many values are still to come on each level that is open.
    let mut left = [0u64; MAX_DEPTH + 1];
    let mut level = 0;
    left[0] = count;
    loop {
        while left[level] == 0 {
            if level == 0 {
                return Some(at);
            }
            level -= 1;
        }
        // Small ints come in long runs, as the results of a batch do.
        let most = usize::try_from(left[level]).unwrap_or(usize::MAX);
        let run = bytes
            .get(at..)?
            .iter()
            .take(most)
            .take_while(|head| matches!(head, 0x00..=0x7f | 0xe0..))
            .count();
        if run > 0 {
            at += run;
            left[level] -= run as u64;
            continue;
        }
        left[level] -= 1;
        let part = step(bytes.get(at..)?)?;
        at += part.len;
        if let Some(inside) = part.inside {
            level += 1;
            if level > deepest {
                return None;
            }
            left[level] = inside;
        }
    }
}

/// A value without what is inside it.
struct Part {
    /// Bytes of it.
    len: usize,
    /// How many of them, at the end, are text.
    text: usize,
    /// How many values follow inside; none if it holds no others.
    inside: Option<u64>,
}

/// The first part of `bytes`, if all of it is there, and its text is text.
fn step(bytes: &[u8]) -> Option<Part> {
    let part = part(bytes)?;
    let own = bytes.get(part.len.checked_sub(part.text)?..part.len)?;
    if part.text > 0 {
        std::str::from_utf8(own).ok()?;
    }
    Some(part)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let number = |width: usize| -> Option<usize> {
        let field = bytes.get(1..=width)?;
        Some(field.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    let plain = |len: usize| Some(Part { len, text: 0, inside: None });
    let text = |head: usize, text: usize| Some(Part { len: head + text, text, inside: None });
    let holds = |len: usize, inside: u64| Some(Part { len, text: 0, inside: Some(inside) });
    match *bytes.first()? {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => plain(1),
        head @ 0x80..=0x8f => holds(1, 2 * u64::from(head & 0x0f)),
        head @ 0x90..=0x9f => holds(1, u64::from(head & 0x0f)),
        head @ 0xa0..=0xbf => text(1, usize::from(head & 0x1f)),
        0xc1 => None,
        0xc4 => plain(2 + number(1)?),
        0xc5 => plain(3 + number(2)?),
        0xc6 => plain(5 + number(4)?),
        0xc7 => plain(3 + number(1)?),
        0xc8 => plain(4 + number(2)?),
        0xc9 => plain(6 + number(4)?),
        0xca | 0xce | 0xd2 => plain(5),
        0xcb | 0xcf | 0xd3 => plain(9),
        0xcc | 0xd0 => plain(2),
        0xcd | 0xd1 => plain(3),
        head @ 0xd4..=0xd8 => plain(2 + (1 << (head - 0xd4))),
        0xd9 => text(2, number(1)?),
        0xda => text(3, number(2)?),
        0xdb => text(5, number(4)?),
        0xdc => holds(3, number(2)? as u64),
        0xdd => holds(5, number(4)? as u64),
        0xde => holds(3, 2 * number(2)? as u64),
        0xdf => holds(5, 2 * number(4)? as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_over_what_the_encoder_writes() {
        let value = crate::Value::from([
            ("a", crate::Value::from(vec![1i64, -70000, 1 << 40])),
            ("b", "x".repeat(300).as_str().into()),
            ("c", 0.5.into()),
        ]);
        let mut bytes = Vec::new();
        crate::codec::encode(&value, &mut bytes).unwrap();
        let whole = bytes.len();
        bytes.push(0xc0);
        assert_eq!(value_len(&bytes, 0), Some(whole));
        assert_eq!(value_len(&bytes[..whole - 1], 0), None);
        assert_eq!(value_len(&[0xdd, 0xff, 0xff, 0xff, 0xff], 0), None);
        assert_eq!(value_len(&[0xc1], 0), None);
        assert_eq!(value_len(&[0xa1, 0xff], 0), None, "text that is not UTF-8");
    }

    #[test]
    fn nesting_is_counted_from_the_frame() {
        let mut bytes = vec![0x91; MAX_DEPTH];
        bytes.push(0xc0);
        assert_eq!(value_len(&bytes, 0), Some(MAX_DEPTH + 1));
        assert_eq!(value_len(&bytes, 1), None);
        assert_eq!(value_len(&vec![0x91; 1_000_000], 0), None);
        assert_eq!(value_len(&[0x90; 1], MAX_DEPTH), None, "an empty one is a level, too");
    }
}
