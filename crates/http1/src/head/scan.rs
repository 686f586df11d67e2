//! The scan for the end of a head.

use super::HeadLimits;
use crate::message::{Malformed, Reason};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use std::ops::ControlFlow;
use std::sync::LazyLock;

/// One message for every mistake at a line's end, because the first one that shows depends on how much has arrived.
const LINE_END: &str = "every line must end in CRLF, and CR or LF must not occur elsewhere";

/// The number of empty lines tolerated before a request line (RFC 9112, section 2.2).
const MAX_EMPTY_LINES: usize = 4;

/// A scan for the end of a head in the bytes that have arrived. A complete head is checked in one pass. An incomplete
/// one is scanned line by line as it arrives, each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadScan {
    /// The offset of the head, after empty lines.
    start: usize,
    /// The offset of the line that has not ended.
    line: usize,
    /// The number of bytes scanned.
    seen: usize,
    /// The number of lines that have ended.
    lines: usize,
    /// The part of the lines that was searched for bare CRs.
    checked: Checked,
    empty_lines: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checked {
    bytes: usize,
    lines: usize,
}

impl HeadScan {
    /// Returns the start of the head and its end, after the empty line, once all of it is in `buf`.
    ///
    /// # Errors
    /// When a line does not end in CRLF, CR or LF occurs elsewhere, or the head is too long.
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
            if let ControlFlow::Break(found) = self.end_line(buf, from + at + 1, limits)? {
                return Ok(Some(found));
            }
        }
        self.check_returns(buf)?;
        self.check_partial_line(buf, limits)?;
        self.seen = buf.len();
        Ok(None)
    }

    /// Records a line that ends at `end`. Breaks with the bounds of the head if this is the empty line after it.
    fn end_line(
        &mut self,
        buf: &[u8],
        end: usize,
        limits: HeadLimits,
    ) -> Result<ControlFlow<(usize, usize)>, Malformed> {
        let length = (end - self.line).checked_sub(2).filter(|_| buf.get(end - 2) == Some(&b'\r'));
        let length = length.ok_or(Malformed::syntax(LINE_END))?;
        let is_first = self.line == self.start;
        (self.line, self.seen) = (end, end);
        self.lines += 1;
        if length > 0 {
            if is_first {
                self.check_returns(buf)?;
                check_length(length, limits, Reason::TargetTooLong)?;
            }
            return Ok(ControlFlow::Continue(()));
        }
        if end - self.start > 2 {
            self.check_returns(buf)?;
            check_length(end - self.start, limits, Reason::HeadTooLarge)?;
            return Ok(ControlFlow::Break((self.start, end)));
        }
        self.start = end;
        self.empty_lines += 1;
        if self.empty_lines > MAX_EMPTY_LINES {
            return Err(Malformed::syntax("too many empty lines before the request line"));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Checks the ended lines for bare CRs: there must be as many CRs as lines, since each line has one at its end.
    fn check_returns(&mut self, buf: &[u8]) -> Result<(), Malformed> {
        let new = buf.get(self.checked.bytes..self.line).unwrap_or_default();
        if memchr_iter(b'\r', new).count() != self.lines - self.checked.lines {
            return Err(Malformed::syntax(LINE_END));
        }
        self.checked = Checked { bytes: self.line, lines: self.lines };
        Ok(())
    }

    /// Checks a line that has not ended, and may never end.
    fn check_partial_line(&self, buf: &[u8], limits: HeadLimits) -> Result<(), Malformed> {
        let new = buf.get(self.seen.saturating_sub(1).max(self.line)..).unwrap_or_default();
        if memchr(b'\r', new).is_some_and(|at| at + 1 < new.len()) {
            return Err(Malformed::syntax(LINE_END));
        }
        let length = buf.len().saturating_sub(self.start);
        if self.line == self.start {
            // The CR that may end the line does not count.
            check_length(length.saturating_sub(1), limits, Reason::TargetTooLong)
        } else {
            check_length(length, limits, Reason::HeadTooLarge)
        }
    }
}

/// Returns the end of a head that is complete and whose lines are valid. `None` decides nothing.
fn whole_head(buf: &[u8], limits: HeadLimits) -> Option<usize> {
    static END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
    if matches!(buf.first(), Some(b'\r' | b'\n')) {
        return None;
    }
    let end = END.find(buf)? + 4;
    let head = buf.get(..end.min(limits.bytes)).filter(|head| head.len() == end)?;
    // `fold` instead of `all`: without an early exit the loop is vectorized (docs/performance.md, "heads, keys and
    // signed text are scanned many bytes at a time").
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    let is_well = |(one, next): (&u8, &u8)| (*one == b'\r') == (*next == b'\n');
    let ends_in_crlf = pairs.fold(true, |so_far, pair| so_far & is_well(pair));
    ends_in_crlf.then_some(end)
}

fn check_length(length: usize, limits: HeadLimits, reason: Reason) -> Result<(), Malformed> {
    if length <= limits.bytes {
        return Ok(());
    }
    Err(Malformed::new(reason, "the request's target and headers together are too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 64, fields: 3 };

    fn find(text: &[u8]) -> Result<Option<(usize, usize)>, Reason> {
        let whole = HeadScan::default().find(text, LIMITS).map_err(|malformed| malformed.reason);
        // Fed byte by byte, the scan decides the same, at the first byte that allows the decision.
        let mut scan = HeadScan::default();
        let piecemeal = (1..=text.len())
            .map(|length| scan.find(&text[..length], LIMITS).map_err(|malformed| malformed.reason))
            .find(|found| !matches!(found, Ok(None)))
            .unwrap_or(Ok(None));
        assert_eq!(whole, piecemeal, "{:?}", text.escape_ascii().to_string());
        whole
    }

    #[test]
    fn finds_the_empty_line_and_rejects_bare_line_ends() {
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
