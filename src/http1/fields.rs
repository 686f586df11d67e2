//! Where a head ends, and its field lines.

use super::{AsciiSet, Malformed};
use crate::refusal::Rule;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use std::sync::LazyLock;

/// The same words for all that is wrong with a line's end: which of it shows first depends on what has arrived.
const LINE_END: &str = "a line does not end in CRLF, or holds a bare CR or LF";

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Its length in bytes.
    pub bytes: usize,
    /// The number of its field lines.
    pub fields: usize,
}

/// Empty lines that may stand before a request line (RFC 9112, section 2.2).
const MAX_EMPTY_LINES: usize = 4;

/// Looks for the end of a head in what has arrived so far: at once where all of it has, else line by line, each byte
/// once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// Where the head begins, behind empty lines.
    start: usize,
    /// Where the line begins that is being read.
    line: usize,
    /// How far was looked.
    seen: usize,
    /// The lines that have ended, and up to which of them bare CRs were looked for.
    lines: usize,
    checked: Checked,
    empty: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checked {
    bytes: usize,
    lines: usize,
}

impl HeadScan {
    /// The head's beginning and end (behind its empty line) once all of it is there.
    ///
    /// # Errors
    /// When a line does not end in CRLF alone, or the head is too long.
    pub(super) fn find(
        &mut self,
        buf: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<(usize, usize)>, Malformed> {
        if self.seen == 0
            && let Some(end) = whole_head(buf, limits)
        {
            return Ok(Some((0, end)));
        }
        let from = self.seen;
        for at in memchr_iter(b'\n', buf.get(from..).unwrap_or_default()) {
            let end = from + at + 1;
            let Some(length) = (end - self.line).checked_sub(2).filter(|_| buf.get(end - 2) == Some(&b'\r'))
            else {
                return Err(Malformed::message(LINE_END));
            };
            let is_first = self.line == self.start;
            (self.line, self.seen) = (end, end);
            self.lines += 1;
            if length > 0 {
                if is_first {
                    self.check_returns(buf)?;
                    within(length, limits, Rule::TargetTooLong)?;
                }
                continue;
            }
            if end - self.start > 2 {
                self.check_returns(buf)?;
                within(end - self.start, limits, Rule::HeaderTooLarge)?;
                return Ok(Some((self.start, end)));
            }
            self.start = end;
            self.empty += 1;
            if self.empty > MAX_EMPTY_LINES {
                return Err(Malformed::message("too many empty lines stand before the request"));
            }
        }
        self.check_returns(buf)?;
        // A bare CR shows before its line ends, which it may never do.
        let new = buf.get(self.seen.saturating_sub(1).max(self.line)..).unwrap_or_default();
        if memchr(b'\r', new).is_some_and(|at| at + 1 < new.len()) {
            return Err(Malformed::message(LINE_END));
        }
        self.seen = buf.len();
        let rule = if self.line == self.start { Rule::TargetTooLong } else { Rule::HeaderTooLarge };
        // What ends a line is not part of it.
        let length = buf.len().saturating_sub(self.start);
        let length = if self.line == self.start { length.saturating_sub(1) } else { length };
        within(length, limits, rule).map(|()| None)
    }

    /// Each line that has ended has one CR, which is at its end.
    fn check_returns(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        let new = buf.get(self.checked.bytes..self.line).unwrap_or_default();
        if memchr_iter(b'\r', new).count() != self.lines - self.checked.lines {
            return Err(Malformed::message(LINE_END));
        }
        self.checked = Checked { bytes: self.line, lines: self.lines };
        Ok(())
    }
}

/// The end of a head that is there as a whole, and of which nothing has to be said. All of its lines are looked at
/// together.
fn whole_head(buf: &[u8], limits: HeadLimits) -> Option<usize> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
    if matches!(buf.first(), Some(b'\r' | b'\n')) {
        return None;
    }
    let end = END.find(buf)? + 4;
    let head = buf.get(..end.min(limits.bytes)).filter(|head| head.len() == end)?;
    // Not `all`: without a way out in the middle many bytes are looked at together.
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    let is_well = |(one, next): (&u8, &u8)| (*one == b'\r') == (*next == b'\n');
    let ends_in_crlf = pairs.fold(true, |so_far, pair| so_far & is_well(pair));
    ends_in_crlf.then_some(end)
}

fn within(length: usize, limits: HeadLimits, rule: Rule) -> Result<(), Malformed> {
    if length <= limits.bytes {
        return Ok(());
    }
    Err(Malformed::new(rule, "the request's target and headers together are too long"))
}

/// Reads field lines up to the empty line at their end, and hands each one's name and value to `each`. Every line is
/// known to end in CRLF.
///
/// # Errors
/// When a line is no field line (RFC 9112, section 5): folded, without a name, with white space before the colon,
/// with a control character; when there are too many; or whatever `each` says.
pub(super) fn read_fields<'l>(
    bytes: &'l [u8],
    limits: HeadLimits,
    mut each: impl FnMut(&'l [u8], &'l [u8]) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    // All at once, which is the faster: of CR and LF it is known that they end lines and stand nowhere else. Not `all`:
    // without a way out in the middle many bytes are looked at together.
    let is_text = |byte: u8| (byte >= b' ' && byte != 0x7f) || matches!(byte, b'\t' | b'\r' | b'\n');
    if !bytes.iter().fold(true, |so_far, byte| so_far & is_text(*byte)) {
        return Err(Malformed::message(NO_FIELD));
    }
    let (mut begin, mut left) = (0, limits.fields);
    for end in memchr_iter(b'\r', bytes) {
        let line = bytes.get(begin..end).unwrap_or_default();
        begin = end + 2;
        if line.is_empty() {
            break;
        }
        let (name, value) = field(line).ok_or(Malformed::message(NO_FIELD))?;
        left = left
            .checked_sub(1)
            .ok_or(Malformed::new(Rule::HeaderTooLarge, "the request has too many headers"))?;
        each(name, value)?;
    }
    if begin == bytes.len() { Ok(()) } else { Err(Malformed::message(NO_FIELD)) }
}

const NO_FIELD: &str =
    "a header line is not `Name: value`: no fold, no space before the colon, no control character";

/// `field-name ":" OWS field-value OWS`.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    static TOKEN: AsciiSet = AsciiSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    let colon = memchr(b':', line).filter(|at| *at > 0)?;
    let (name, value) = line.split_at_checked(colon)?;
    let is_token = name.iter().fold(true, |so_far, byte| so_far & TOKEN.has(*byte));
    is_token.then_some((name, value.strip_prefix(b":")?.trim_ascii()))
}

/// The fields of a request, which begin at `from` in its head; each of their lines by itself, which `note` is told of.
pub(super) fn request_fields<'h>(
    head: &'h Bytes,
    from: usize,
    limits: HeadLimits,
    mut note: impl FnMut(&'h [u8], &'h [u8]),
) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::new();
    read_fields(head.get(from..).unwrap_or_default(), limits, |name, value| {
        note(name, value);
        let bad = || Malformed::message("a header has a name or a value that HTTP does not allow");
        let name = HeaderName::from_bytes(name).map_err(|_| bad())?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value)).map_err(|_| bad())?;
        map.append(name, value);
        Ok(())
    })?;
    Ok(map)
}

/// The members of a comma-separated list of tokens, over all lines of a field.
pub(super) fn list_members<'h>(lines: impl Iterator<Item = &'h [u8]>) -> impl Iterator<Item = &'h [u8]> {
    lines.flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 64, fields: 3 };

    fn find(text: &[u8]) -> Result<Option<(usize, usize)>, Rule> {
        let whole = HeadScan::default().find(text, LIMITS).map_err(|malformed| malformed.rule);
        // Byte by byte the answer is the same, at the byte that decides it.
        let mut scan = HeadScan::default();
        let piecemeal = (1..=text.len())
            .map(|length| scan.find(&text[..length], LIMITS).map_err(|malformed| malformed.rule))
            .find(|found| !matches!(found, Ok(None)))
            .unwrap_or(Ok(None));
        assert_eq!(whole, piecemeal, "{:?}", text.escape_ascii().to_string());
        whole
    }

    #[test]
    fn heads_end_in_an_empty_line() {
        assert_eq!(find(b"GET / HTTP/1.1\r\n\r\nrest"), Ok(Some((0, 18))));
        assert_eq!(find(b"\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n"), Ok(Some((4, 28))));
        assert_eq!(find(b"GET / HTTP/1.1\r\nA: b\r\n"), Ok(None));
        for bad in [
            &b"GET / HTTP/1.1\n\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\r\n\r\n",
            b"GET / HTTP/1.1\rHost: a\r\r",
            b"\r\r",
            b"\n\nGET",
            b"\r\n\r\n\r\n\r\n\r\nGET",
        ] {
            assert_eq!(find(bad), Err(Rule::MalformedRequest), "{}", bad.escape_ascii());
        }
        assert_eq!(find(&[b'a'; 66]), Err(Rule::TargetTooLong));
        assert_eq!(find(&[&[b'a'; 65], &b"\r\nA: b\r\n\r\n"[..]].concat()), Err(Rule::TargetTooLong));
        assert_eq!(find(&[b"GET / HTTP/1.1\r\nA: ", &[b'a'; 65][..]].concat()), Err(Rule::HeaderTooLarge));
    }

    #[test]
    fn field_lines() {
        let parse = |text: &'static str| {
            let text = Bytes::from_static(text.as_bytes());
            request_fields(&text, 0, LIMITS, |_, _| {})
        };
        let map = parse("A:b\r\nX-C: \t d e \t\r\na: \u{fc}\r\n\r\n").unwrap();
        assert_eq!(map["x-c"], "d e");
        assert_eq!(map.get_all("a").iter().count(), 2);
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
            assert_eq!(parse(bad).unwrap_err().rule, Rule::MalformedRequest, "{bad:?}");
        }
        assert_eq!(parse("A: b\r\nB: b\r\nC: b\r\nD: b\r\n\r\n").unwrap_err().rule, Rule::HeaderTooLarge);
    }

    /// What httparse, which others rely on, says of the same lines: the fields, or that there is a mistake.
    fn by_httparse(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut room = [httparse::EMPTY_HEADER; 16];
        match httparse::parse_headers(text, &mut room) {
            Ok(httparse::Status::Complete((length, fields))) if length == text.len() => Some(
                fields.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec())).collect(),
            ),
            _ => None,
        }
    }

    fn by_us(text: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut fields = Vec::new();
        read_fields(text, HeadLimits { bytes: 4096, fields: 16 }, |name, value| {
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
            4 => ("[A-Za-z0-9-]{1,8}:[ \t]{0,2}", vec(shown(), 0..8))
                .prop_map(|(name, value)| [name.into_bytes(), value].concat()),
            1 => vec(shown(), 1..12),
        ]
    }

    proptest! {
        /// Mostly fields, of any bytes but CR and LF, which `HeadScan` has seen to.
        #[test]
        fn lines_are_read_as_httparse_reads_them(lines in vec(line(), 0..6)) {
            let mut text = lines.join(&b"\r\n"[..]);
            text.extend_from_slice(if lines.is_empty() { b"\r\n" } else { b"\r\n\r\n" });
            prop_assert_eq!(by_us(&text), by_httparse(&text), "{}", text.escape_ascii());
        }
    }
}
