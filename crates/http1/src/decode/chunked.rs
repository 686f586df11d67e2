//! A strict decoder of the chunked transfer coding (RFC 9112, section 7.1). Extensions and trailers are checked and dropped.

use crate::{Malformed, Reason};
use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// The longest line with a chunk's size and extensions, in bytes.
const MAX_SIZE_LINE: usize = 256;
/// The maximum size of all extensions of a body together, in bytes.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// The maximum size of all trailers of a body together, in bytes.
const MAX_TRAILERS: usize = 8 * 1024;
/// The maximum number of trailer lines.
const MAX_TRAILER_LINES: usize = 64;
/// The maximum size of a chunk, in bytes: 5 TiB, far from where arithmetic on sizes could overflow.
const MAX_CHUNK: u64 = 5 << 40;

/// An incremental decoder of a chunked body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    /// The bytes of extensions so far.
    extensions: usize,
    /// The bytes and lines of trailers so far.
    trailers: usize,
    trailer_lines: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the line with a chunk's size.
    #[default]
    Size,
    /// Within a chunk, with this many bytes to come.
    Data(u64),
    /// Before the CRLF after a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
    Done,
}

/// A step of decoding a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of the content.
    Data(Bytes),
    /// More bytes must arrive first.
    NeedMore,
    /// The body has ended.
    End,
}

impl Chunked {
    /// Takes the next piece of the body out of `buf`.
    ///
    /// # Errors
    /// When the coding is invalid or exceeds a bound.
    pub(super) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.state {
                State::Size => match take_line(buf, MAX_SIZE_LINE)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(line) => self.begin_chunk(&line)?,
                },
                State::Data(_) if buf.is_empty() => return Ok(Decoded::NeedMore),
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                    let left = left - here as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Decoded::Data(buf.split_to(here).freeze()));
                }
                State::DataEnd => match buf.get(..2) {
                    Some(b"\r\n") => {
                        buf.advance(2);
                        self.state = State::Size;
                    }
                    None if matches!(buf.first(), None | Some(b'\r')) => return Ok(Decoded::NeedMore),
                    _ => return Err(bad("a chunk must end in CRLF after as many bytes as its size says")),
                },
                State::Trailers => match take_line(buf, MAX_TRAILERS)? {
                    None => return Ok(Decoded::NeedMore),
                    Some(line) if line.is_empty() => self.state = State::Done,
                    Some(line) => self.check_trailer(&line)?,
                },
                State::Done => return Ok(Decoded::End),
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Returns whether the body ends within `bytes`, which follow.
    pub(super) fn ends_within(&self, bytes: &[u8]) -> bool {
        let (mut ahead, mut bytes) = (self.clone(), BytesMut::from(bytes));
        loop {
            match ahead.decode(&mut bytes) {
                Ok(Decoded::Data(_)) => {}
                Ok(Decoded::End) => return true,
                Ok(Decoded::NeedMore) | Err(_) => return false,
            }
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let (digits, extensions) = line.split_at_checked(digits).unwrap_or((line, b""));
        let size = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.len() <= 16)
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .filter(|size| *size <= MAX_CHUNK)
            .ok_or(bad("a chunk's size must be a hexadecimal number of at most 5 TiB"))?;
        if !are_extensions(extensions) {
            return Err(bad("a chunk's extension must be `;name=value`"));
        }
        self.extensions += extensions.len();
        if self.extensions > MAX_EXTENSIONS {
            return Err(bad("the chunks have too many extensions"));
        }
        self.state = if size == 0 { State::Trailers } else { State::Data(size) };
        Ok(())
    }

    fn check_trailer(&mut self, line: &[u8]) -> Result<(), Malformed> {
        self.trailers += line.len();
        self.trailer_lines += 1;
        if self.trailers > MAX_TRAILERS || self.trailer_lines > MAX_TRAILER_LINES {
            return Err(Malformed::new(Reason::HeadTooLarge, "the body has too many or too long trailers"));
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let good = !name.is_empty()
            && name.iter().all(|byte| is_token(*byte))
            && value.iter().all(|byte| is_text(*byte));
        if good { Ok(()) } else { Err(bad("a trailer must be `Name: value`")) }
    }
}

fn bad(why: &'static str) -> Malformed {
    Malformed::new(Reason::InvalidBody, why)
}

/// Takes a line out of `buf` once it is complete, and returns it without its CRLF.
fn take_line(buf: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = memchr(b'\n', buf.get(..buf.len().min(limit + 2)).unwrap_or_default()) else {
        // A line that has not ended is rejected as soon as it is too long or contains a bare CR.
        let early = buf.len() > limit + 1 || memchr(b'\r', buf).is_some_and(|at| at + 1 < buf.len());
        return if early {
            Err(bad("a line of the chunked coding is too long or contains a bare CR"))
        } else {
            Ok(None)
        };
    };
    let mut line = buf.split_to(end + 1);
    line.truncate(end);
    match line.split_last() {
        Some((b'\r', text)) if memchr(b'\r', text).is_none() => {
            line.truncate(end - 1);
            Ok(Some(line))
        }
        _ => Err(bad("every line of the chunked coding must end in CRLF, and CR must not occur elsewhere")),
    }
}

/// Checks for `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (section 7.1.1).
fn are_extensions(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(name) = skip_blanks(rest).strip_prefix(b";").map(skip_blanks) else { return false };
        let Some(after) = skip_token(name) else { return false };
        rest = match skip_blanks(after).strip_prefix(b"=").map(skip_blanks) {
            None => after,
            Some(value) => match skip_token(value).or_else(|| skip_quoted(value)) {
                Some(after) => after,
                None => return false,
            },
        };
    }
    true
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    if end == 0 { None } else { text.get(end..) }
}

fn skip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if is_text(*escaped) => after,
            [byte, after @ ..] if *byte != b'\\' && is_text(*byte) => after,
            _ => return None,
        };
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = Result<Option<(Vec<u8>, Vec<u8>)>, Reason>;

    /// Returns the content and the bytes after the body, fed `step` bytes at a time; `None` if the body does not end.
    fn decode(text: &[u8], step: usize) -> Read {
        let (mut chunked, mut buf, mut content) = (Chunked::default(), BytesMut::new(), Vec::new());
        let mut input = text.chunks(step.max(1));
        loop {
            match chunked.decode(&mut buf).map_err(|malformed| malformed.reason)? {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::End => {
                    buf.extend(input.flatten());
                    return Ok(Some((content, buf.to_vec())));
                }
                Decoded::NeedMore => match input.next() {
                    Some(more) => buf.extend_from_slice(more),
                    None => return Ok(None),
                },
            }
        }
    }

    fn all_steps(text: &[u8]) -> Read {
        let whole = decode(text, text.len());
        for step in [1, 2, 3, 7] {
            assert_eq!(decode(text, step), whole, "{} by {step}", text.escape_ascii());
        }
        whole
    }

    #[test]
    fn decodes_valid_bodies_in_any_pieces() {
        let good: [(&[u8], &[u8], &[u8]); 9] = [
            (b"0\r\n\r\n", b"", b""),
            (b"5\r\nhello\r\n0\r\n\r\nGET /", b"hello", b"GET /"),
            (b"1\r\na\r\n02\r\nbc\r\n0000\r\n\r\n", b"abc", b""),
            (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", b""),
            (b"a;x\r\n0123456789\r\n0;y=z\r\n\r\n", b"0123456789", b""),
            (b"1 ; a = \"q\\\"\t;\" ;b\r\na\r\n0\r\n\r\n", b"a", b""),
            (b"1;chunk-signature=ab\r\na\r\n0\r\n\r\n", b"a", b""),
            (b"1\r\n\r\r\n0\r\nA: b\r\nC:\r\n\r\n", b"\r", b""),
            (b"0000000000000001\r\na\r\n0\r\n\r\n", b"a", b""),
        ];
        for (text, content, rest) in good {
            let expected = Ok(Some((content.to_vec(), rest.to_vec())));
            assert_eq!(all_steps(text), expected, "{}", text.escape_ascii());
        }
        for partial in
            [&b"5\r\nhel"[..], b"5\r\nhello", b"5\r\nhello\r", b"0\r\n", b"0\r\nA: b\r\n", b"", b"5", b"5\r"]
        {
            assert_eq!(all_steps(partial), Ok(None), "{}", partial.escape_ascii());
        }
    }

    #[test]
    fn rejects_malformed_chunks() {
        for bad in [
            &b"5\nhello\n0\n\n"[..],
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhello\r\r\n",
            b"5 5\r\n",
            b"5 \r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"-5\r\n",
            b"0x5\r\n",
            b"5h\r\n",
            b"g\r\n",
            b"\r\n",
            b"5,\r\n",
            b"00000000000000005\r\n",
            b"ffffffffffffffff\r\n",
            b"50000000001\r\n",
            b"10000000000000000\r\n",
            b"5;\r\n",
            b"5; \r\n",
            b"5;=a\r\n",
            b"5;a=\r\n",
            b"5;a=\"b\r\n",
            b"5;a b\r\n",
            b"5;a\0\r\n",
            b"5;a=\"\0\"\r\n",
            b"5;a=\x01\r\n",
            b"5\t\r\n",
            b"5\r5\r\n",
            b"5;a\rb\r\n",
            b"0\r\nA\r\n\r\n",
            b"0\r\n: b\r\n\r\n",
            b"0\r\n A: b\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nA: b\0\r\n\r\n",
            b"0\r\nA: b\rc\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\n\n",
        ] {
            assert_eq!(all_steps(bad), Err(Reason::InvalidBody), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn bounds() {
        let endless = [b"5;a=".to_vec(), vec![b'x'; 300]].concat();
        assert_eq!(decode(&endless, 1), Err(Reason::InvalidBody));
        let extensions = b"1;a=\"0123456789012345678901234567890123456789\"\r\na\r\n".repeat(400);
        assert_eq!(decode(&extensions, 4096), Err(Reason::InvalidBody));
        let trailers = [b"0\r\n".to_vec(), b"A: b\r\n".repeat(65)].concat();
        assert_eq!(decode(&trailers, 4096), Err(Reason::HeadTooLarge));
    }

    proptest! {
        #[test]
        fn decodes_alike_in_any_pieces(text in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'1'), Just(b'5'), Just(b';'), Just(b'a'), Just(b'='), Just(b':'), any::<u8>()], 0..40),
            step in 1..9_usize) {
            prop_assert_eq!(decode(&text, step), decode(&text, 64));
        }

        #[test]
        fn decodes_what_was_encoded(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..8), step in 1..64_usize) {
            let mut text = Vec::new();
            for piece in &pieces {
                text.extend(format!("{:x}\r\n", piece.len()).bytes());
                text.extend(piece);
                text.extend(b"\r\n");
            }
            text.extend(b"0\r\n\r\n");
            prop_assert_eq!(decode(&text, step), Ok(Some((pieces.concat(), Vec::new()))));
        }
    }
}
