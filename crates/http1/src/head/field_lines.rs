//! Reads the field lines of a head.

use super::HeadLimits;
use crate::message::{ByteSet, LineOffsets, Malformed, Reason};
use memchr::memchr;

/// Reads the field lines of a head from the offset `from` on, and returns those whose name and value `keep` accepts.
///
/// # Errors
/// When [`for_each_field`] fails.
pub(crate) fn read_lines<'h>(
    head: &'h [u8],
    from: usize,
    limits: HeadLimits,
    mut keep: impl FnMut(&'h [u8], &'h [u8]) -> bool,
) -> Result<LineOffsets, Malformed> {
    let mut lines = LineOffsets::new();
    for_each_field(head.get(from..).unwrap_or_default(), limits, |name, value| {
        if keep(name, value) {
            lines.push(head, name, value).ok_or(Malformed::syntax("the head is too long"))?;
        }
        Ok(())
    })?;
    Ok(lines)
}

/// Calls `each` with the name and value of every field line up to the empty line. Every line must end in CRLF, as
/// [`HeadScan`](super::HeadScan) makes sure.
///
/// # Errors
/// When a line breaks RFC 9112, section 5 (it is folded, has no name, white space before the colon or a control character),
/// when there are too many, or when `each` fails.
fn for_each_field<'l>(
    bytes: &'l [u8],
    limits: HeadLimits,
    mut each: impl FnMut(&'l [u8], &'l [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let bad = Malformed::syntax(NOT_A_FIELD);
    // CR and LF occur only at line ends, so all lines can be checked at once. `fold` instead of `all`: without an
    // early exit the loop is vectorized (docs/performance.md, "a response's text is checked at once").
    let is_text = |byte: u8| (byte >= b' ' && byte != 0x7f) || matches!(byte, b'\t' | b'\r' | b'\n');
    if !bytes.iter().fold(true, |so_far, byte| so_far & is_text(*byte)) {
        return Err(bad);
    }
    let (mut rest, mut left) = (bytes, limits.fields);
    while rest != b"\r\n" {
        let (name, after) = split_name(rest).ok_or(bad)?;
        let (value, after) = memchr(b'\r', after).and_then(|end| after.split_at_checked(end)).ok_or(bad)?;
        rest = after.get(2..).unwrap_or_default();
        left = left
            .checked_sub(1)
            .ok_or(Malformed::new(Reason::HeadTooLarge, "the message has too many headers"))?;
        each(name, value.trim_ascii())?;
    }
    Ok(())
}

const NOT_A_FIELD: &str =
    "a header line must be `Name: value`, without folding, space before the colon or control characters";

/// Splits `field-name ":"` off a line.
fn split_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    static TOKEN: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    // Four letters at a time (docs/performance.md, "names are compared only if length and letters fit").
    let (fours, _) = line.as_chunks::<4>();
    let four = |four: &&[u8; 4]| four.iter().fold(true, |so_far, byte| so_far & TOKEN.has(*byte));
    let whole = 4 * fours.iter().take_while(four).count();
    let rest = line.get(whole..)?.iter().position(|byte| !TOKEN.has(*byte))?;
    let (name, after) = line.split_at_checked(whole + rest)?;
    if name.is_empty() { None } else { Some((name, after.strip_prefix(b":")?)) }
}

/// Returns the members of a comma-separated list of tokens, over all lines of a field.
pub(super) fn list_members<'h>(lines: impl Iterator<Item = &'h [u8]>) -> impl Iterator<Item = &'h [u8]> {
    lines.flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fields;
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn reads_valid_lines_and_rejects_others() {
        let parse = |text: &'static str| {
            let limits = HeadLimits { bytes: 64, fields: 3 };
            let head = Bytes::from_static(text.as_bytes());
            read_lines(&head, 0, limits, |_, _| true).map(|lines| Fields::of(head.clone(), lines))
        };
        let fields = parse("A:b\r\nX-C: \t d e \t\r\na: \u{fc}\r\n\r\n").unwrap();
        assert_eq!(fields.get("x-c"), Some(&b"d e"[..]));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), [&b"b"[..], "\u{fc}".as_bytes()]);
        for bad in [
            "A : b\r\n\r\n",
            " A: b\r\n\r\n",
            "A: b\r\n c\r\n\r\n",
            "A: b\r\n\tc\r\n\r\n",
            ": b\r\n\r\n",
            "A\r\n\r\n",
            "A: b\0\r\n\r\n",
            "A: b\u{1}\r\n\r\n",
            "A: b\u{7f}\r\n\r\n",
            "A\u{fc}: b\r\n\r\n",
            "A(: b\r\n\r\n",
            "A\0: b\r\n\r\n",
        ] {
            assert_eq!(parse(bad).unwrap_err().reason, Reason::InvalidSyntax, "{bad:?}");
        }
        assert_eq!(parse("A: b\r\nB: b\r\nC: b\r\nD: b\r\n\r\n").unwrap_err().reason, Reason::HeadTooLarge);
    }

    /// Returns the fields as httparse reads them; `None` if it rejects the lines.
    fn read_by_httparse(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut room = [httparse::EMPTY_HEADER; 16];
        match httparse::parse_headers(text, &mut room) {
            Ok(httparse::Status::Complete((length, fields))) if length == text.len() => Some(
                fields.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect(),
            ),
            _ => None,
        }
    }

    fn read_here(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut fields = Vec::new();
        for_each_field(text, HeadLimits { bytes: 4096, fields: 16 }, |name, value| {
            fields.push((name.to_vec(), value.to_vec()));
            Ok(())
        })
        .ok()
        .map(|()| fields)
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let byte = || any::<u8>().prop_filter("an end of line", |byte| !matches!(byte, b'\r' | b'\n'));
        let shown = || prop_oneof![8 => b' '..=b'~', 1 => byte()];
        prop_oneof![
            4 => ("[A-Za-z0-9_-]{1,20}:[ \t]{0,2}", vec(shown(), 0..8))
                .prop_map(|(name, value)| [name.into_bytes(), value].concat()),
            1 => vec(shown(), 1..12),
        ]
    }

    proptest! {
        /// Generates mostly valid lines, of any bytes but CR and LF, which `HeadScan` has checked.
        #[test]
        fn reads_lines_like_httparse(lines in vec(line(), 0..6)) {
            let mut text = lines.join(&b"\r\n"[..]);
            text.extend_from_slice(if lines.is_empty() { b"\r\n" } else { b"\r\n\r\n" });
            prop_assert_eq!(read_here(&text), read_by_httparse(&text), "{}", text.escape_ascii());
        }
    }
}
