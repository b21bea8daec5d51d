//! Steps over one msgpack value without decoding it.

/// The length in bytes of the first value of `bytes`; none if it is cut short or no msgpack.
///
/// Works without recursion, so nesting costs no stack.
pub(super) fn value_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    let mut left = 1u64;
    while left > 0 {
        left -= 1;
        let (head, children) = step(bytes.get(at..)?)?;
        at = at.checked_add(head)?;
        if at > bytes.len() {
            return None;
        }
        left = left.checked_add(children)?;
    }
    Some(at)
}

/// Bytes of the value's own part, and how many values follow inside it.
fn step(bytes: &[u8]) -> Option<(usize, u64)> {
    let number = |width: usize| -> Option<usize> {
        let field = bytes.get(1..=width)?;
        Some(field.iter().fold(0usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    let plain = |len: usize| Some((len, 0));
    match *bytes.first()? {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => plain(1),
        head @ 0x80..=0x8f => Some((1, 2 * u64::from(head & 0x0f))),
        head @ 0x90..=0x9f => Some((1, u64::from(head & 0x0f))),
        head @ 0xa0..=0xbf => plain(1 + usize::from(head & 0x1f)),
        0xc1 => None,
        0xc4 | 0xd9 => plain(2 + number(1)?),
        0xc5 | 0xda => plain(3 + number(2)?),
        0xc6 | 0xdb => plain(5 + number(4)?),
        0xc7 => plain(3 + number(1)?),
        0xc8 => plain(4 + number(2)?),
        0xc9 => plain(6 + number(4)?),
        0xcc | 0xd0 => plain(2),
        0xcd | 0xd1 => plain(3),
        0xca | 0xce | 0xd2 => plain(5),
        0xcb | 0xcf | 0xd3 => plain(9),
        head @ 0xd4..=0xd8 => plain(2 + (1 << (head - 0xd4))),
        0xdc => Some((3, number(2)? as u64)),
        0xdd => Some((5, number(4)? as u64)),
        0xde => Some((3, 2 * number(2)? as u64)),
        0xdf => Some((5, 2 * number(4)? as u64)),
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
        assert_eq!(value_len(&bytes), Some(whole));
        assert_eq!(value_len(&bytes[..whole - 1]), None);
        assert_eq!(value_len(&[0xdd, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(value_len(&[0xc1]), None);
    }
}
