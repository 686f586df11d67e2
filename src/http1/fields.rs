//! Where a head ends, and its field lines.

use super::Malformed;
use crate::refusal::Rule;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::{memchr, memchr_iter};

/// Most field lines that any peer is allowed; [`HeadLimits::fields`] may be less.
const MAX_FIELDS: usize = 256;

/// The same words for all that is wrong with a line's end: which of it shows first depends on what has arrived.
const LINE_END: &str = "a line does not end in CRLF, or holds a bare CR or LF";

/// As many as nearly all heads have at most.
const FEW_FIELDS: usize = 32;

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

/// Looks for the end of a head in what has arrived so far, line by line, each byte once.
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

fn within(length: usize, limits: HeadLimits, rule: Rule) -> Result<(), Malformed> {
    if length <= limits.bytes {
        return Ok(());
    }
    Err(Malformed::new(rule, "the request's target and headers together are too long"))
}

/// Reads field lines up to the empty line at their end, and hands them to `each`. Every line is known to end in CRLF.
///
/// # Errors
/// When a line is no field line (RFC 9112, section 5): folded, without a name, with white space before the colon,
/// with a control character; when there are too many; or whatever `each` says.
pub(super) fn read_fields<'l>(
    bytes: &'l [u8],
    limits: HeadLimits,
    each: impl FnMut(&httparse::Header<'l>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    // Most heads have a dozen fields: room for all that there could be is made where there are more.
    match parse_fields(bytes, limits.fields, &mut [httparse::EMPTY_HEADER; FEW_FIELDS])? {
        Some(fields) => fields.iter().try_for_each(each),
        None => match parse_fields(bytes, limits.fields, &mut [httparse::EMPTY_HEADER; MAX_FIELDS])? {
            Some(fields) => fields.iter().try_for_each(each),
            None => Err(Malformed::new(Rule::HeaderTooLarge, "the request has too many headers")),
        },
    }
}

/// The field lines, at most `most`; none where there is not room for all of them.
fn parse_fields<'r, 'l>(
    bytes: &'l [u8],
    most: usize,
    room: &'r mut [httparse::Header<'l>],
) -> Result<Option<&'r [httparse::Header<'l>]>, Malformed> {
    let most = most.min(room.len());
    match httparse::parse_headers(bytes, room.get_mut(..most).unwrap_or_default()) {
        Ok(httparse::Status::Complete((length, fields))) if length == bytes.len() => Ok(Some(fields)),
        Err(httparse::Error::TooManyHeaders) => Ok(None),
        _ => Err(Malformed::message(
            "a header line is not `Name: value`: no fold, no space before the colon, no control character",
        )),
    }
}

/// The fields of a request, which begin at `from` in its head; each of their lines by itself.
pub(super) fn request_fields(head: &Bytes, from: usize, limits: HeadLimits) -> Result<HeaderMap, Malformed> {
    let mut map = HeaderMap::new();
    read_fields(head.get(from..).unwrap_or_default(), limits, |field| {
        let bad = || Malformed::message("a header has a name or a value that HTTP does not allow");
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value)).map_err(|_| bad())?;
        map.append(name, value);
        Ok(())
    })?;
    Ok(map)
}

/// The lines of a request's field.
pub(super) fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

/// The members of a comma-separated list of tokens, over all lines of a field.
pub(super) fn list_members<'h>(lines: impl Iterator<Item = &'h [u8]>) -> impl Iterator<Item = &'h [u8]> {
    lines.flat_map(|line| line.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let parse = |text: &'static str| request_fields(&Bytes::from_static(text.as_bytes()), 0, LIMITS);
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
}
