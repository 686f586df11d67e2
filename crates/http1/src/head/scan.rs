//! Where a head ends.

use super::HeadLimits;
use crate::message::{Malformed, Reason};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use std::sync::LazyLock;

/// The same words for all that is wrong with a line's end: which of it shows first depends on what has arrived.
const LINE_END: &str = "a line does not end in CRLF, or holds a bare CR or LF";

/// Empty lines that may stand before a request line (RFC 9112, section 2.2).
const MAX_EMPTY_LINES: usize = 4;

/// Looks for the end of a head in what has arrived so far: at once where all of it has, else line by line, each byte
/// once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadScan {
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
    pub(crate) fn find(
        &mut self,
        buf: &[u8],
        limits: HeadLimits,
    ) -> Result<Option<(usize, usize)>, Malformed> {
        if buf.len() == self.seen {
            return Ok(None);
        }
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
                return Err(Malformed::syntax(LINE_END));
            };
            let is_first = self.line == self.start;
            (self.line, self.seen) = (end, end);
            self.lines += 1;
            if length > 0 {
                if is_first {
                    self.check_returns(buf)?;
                    within(length, limits, Reason::TargetTooLong)?;
                }
                continue;
            }
            if end - self.start > 2 {
                self.check_returns(buf)?;
                within(end - self.start, limits, Reason::HeadTooLarge)?;
                return Ok(Some((self.start, end)));
            }
            self.start = end;
            self.empty += 1;
            if self.empty > MAX_EMPTY_LINES {
                return Err(Malformed::syntax("too many empty lines stand before the request"));
            }
        }
        self.check_returns(buf)?;
        // A bare CR shows before its line ends, which it may never do.
        let new = buf.get(self.seen.saturating_sub(1).max(self.line)..).unwrap_or_default();
        if memchr(b'\r', new).is_some_and(|at| at + 1 < new.len()) {
            return Err(Malformed::syntax(LINE_END));
        }
        self.seen = buf.len();
        let rule = if self.line == self.start { Reason::TargetTooLong } else { Reason::HeadTooLarge };
        // What ends a line is not part of it.
        let length = buf.len().saturating_sub(self.start);
        let length = if self.line == self.start { length.saturating_sub(1) } else { length };
        within(length, limits, rule).map(|()| None)
    }

    /// Each line that has ended has one CR, which is at its end.
    fn check_returns(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        let new = buf.get(self.checked.bytes..self.line).unwrap_or_default();
        if memchr_iter(b'\r', new).count() != self.lines - self.checked.lines {
            return Err(Malformed::syntax(LINE_END));
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

fn within(length: usize, limits: HeadLimits, rule: Reason) -> Result<(), Malformed> {
    if length <= limits.bytes {
        return Ok(());
    }
    Err(Malformed::new(rule, "the request's target and headers together are too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 64, fields: 3 };

    fn find(text: &[u8]) -> Result<Option<(usize, usize)>, Reason> {
        let whole = HeadScan::default().find(text, LIMITS).map_err(|malformed| malformed.reason);
        // Byte by byte the answer is the same, at the byte that decides it.
        let mut scan = HeadScan::default();
        let piecemeal = (1..=text.len())
            .map(|length| scan.find(&text[..length], LIMITS).map_err(|malformed| malformed.reason))
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
            assert_eq!(find(bad), Err(Reason::InvalidSyntax), "{}", bad.escape_ascii());
        }
        assert_eq!(find(&[b'a'; 66]), Err(Reason::TargetTooLong));
        assert_eq!(find(&[&[b'a'; 65], &b"\r\nA: b\r\n\r\n"[..]].concat()), Err(Reason::TargetTooLong));
        assert_eq!(find(&[b"GET / HTTP/1.1\r\nA: ", &[b'a'; 65][..]].concat()), Err(Reason::HeadTooLarge));
    }
}
