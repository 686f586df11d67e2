//! The fields of a message. Those that arrived stay in the bytes of the head (docs/performance.md, "a response's
//! fields stay in the bytes they arrived in").

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use std::fmt;
use std::ops::Range;

/// Returns whether a name is `known`, in any case. Fastest when it is written like `known`.
#[inline]
pub fn is_named<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// Returns a field's value as text if it consists of visible ASCII, spaces and tabs, as the values that HTTP defines do (RFC
/// 9110, section 5.5).
#[inline]
pub fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    str::from_utf8(value).ok().filter(|text| text.as_bytes().iter().all(is_visible))
}

/// The number of fields that most heads do not exceed.
const USUAL_FIELDS: usize = 16;

/// The fields of a message: those that arrived, which are not copied, and those that were added. Lookups ignore case.
#[derive(Clone, Default)]
pub struct Fields {
    /// The head that the fields arrived in.
    head: Bytes,
    lines: Vec<Line>,
    /// Those that were added, and all fields of a message of HTTP/2. Searching a few takes less than hashing a name.
    added: Vec<(HeaderName, HeaderValue)>,
    /// The names that the fields may have.
    names: NameFilter,
    /// Whole lines that are written last, empty for most messages. Lookups do not find them.
    trailing_lines: &'static str,
}

/// The error of a field that occurs more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

/// A Bloom filter over names: one bit for each length and last letter, modulo its size. A request is searched for a dozen
/// names, most of which it does not have.
#[derive(Clone, Copy, Debug, Default)]
struct NameFilter(u64);

impl NameFilter {
    #[inline]
    fn add(&mut self, name: &[u8]) {
        self.0 |= Self::bit(name);
    }

    /// Returns whether a name may have been added, in any case.
    #[inline]
    fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name.as_bytes()) != 0
    }

    #[inline]
    fn bit(name: &[u8]) -> u64 {
        let last = name.last().map_or(0, |last| usize::from(last.to_ascii_lowercase()));
        1 << ((5 * name.len()).wrapping_add(last) % 64)
    }
}

/// The offsets of a field's name and value. 32 bits suffice for a head, and halve what is written and kept for each.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Returns the span of `part` within `head`.
    fn of(part: &[u8], head: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(head.as_ptr().addr())?;
        Some(Self { start: start.try_into().ok()?, end: (start + part.len()).try_into().ok()? })
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start as usize..span.end as usize
    }
}

/// The fields of a head, as offsets into it.
#[derive(Debug)]
pub(crate) struct LineOffsets {
    lines: Vec<Line>,
    names: NameFilter,
}

impl LineOffsets {
    /// Allocates for as many lines as most heads have.
    pub(crate) fn new() -> Self {
        Self { lines: Vec::with_capacity(USUAL_FIELDS), names: NameFilter::default() }
    }

    /// Adds a line. Returns `None` if its parts are not in `head`.
    pub(crate) fn push(&mut self, head: &[u8], name: &[u8], value: &[u8]) -> Option<()> {
        self.lines.push(Line { name: Span::of(name, head)?, value: Span::of(value, head)? });
        self.names.add(name);
        Some(())
    }
}

impl Fields {
    /// Makes the fields of `head` from their offsets.
    pub(crate) fn of(head: Bytes, lines: LineOffsets) -> Self {
        Self { head, lines: lines.lines, names: lines.names, ..Self::default() }
    }

    /// Makes fields with room for `count` that are added.
    fn with_room(count: usize) -> Self {
        Self { added: Vec::with_capacity(count), ..Self::default() }
    }

    /// Returns the first value of a field.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let arrived = self.line(name).map(|line| self.at(line.value));
        arrived.or_else(|| self.added_named(name).next().map(HeaderValue::as_bytes))
    }

    /// Returns the value of a field that must not be repeated.
    ///
    /// # Errors
    /// When it is.
    #[inline]
    pub fn only(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut lines = self.lines_named(name).map(|line| self.at(line.value));
        let arrived = lines.next();
        if lines.next().is_some() {
            return Err(Repeated);
        }
        let mut added = self.added_named(name).map(HeaderValue::as_bytes);
        match (arrived, added.next(), added.next()) {
            (only, None, _) | (None, only, None) => Ok(only),
            _ => Err(Repeated),
        }
    }

    /// Returns every value of a field, in order.
    #[inline]
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let arrived = self.lines_named(name).map(|line| self.at(line.value));
        arrived.chain(self.added_named(name).map(HeaderValue::as_bytes))
    }

    /// Returns whether a field is present.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns the name, as it was written, and the value of each line.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let arrived = self.lines.iter().map(|line| (self.at(line.name), self.at(line.value)));
        arrived.chain(self.added.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
    }

    /// Returns the first value of a field without copying it.
    #[inline]
    pub fn value(&self, name: &str) -> Option<HeaderValue> {
        match self.line(name) {
            Some(line) => HeaderValue::from_maybe_shared(self.head.slice_ref(self.at(line.value))).ok(),
            None => self.added_named(name).next().cloned(),
        }
    }

    /// Removes a field.
    pub fn remove(&mut self, name: &str) {
        if self.line(name).is_some() {
            let mut lines = std::mem::take(&mut self.lines);
            lines.retain(|line| !self.has_name(line, name));
            self.lines = lines;
        }
        if self.names.may_have(name) {
            self.added.retain(|(added, _)| !added.as_str().eq_ignore_ascii_case(name));
        }
    }

    /// Sets a field, and removes all others of its name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(name.as_str());
        self.append(name, value);
    }

    /// Adds a field, and keeps others of its name.
    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.names.add(name.as_str().as_bytes());
        self.added.push((name, value));
    }

    /// Sets lines that are written last, each with its CRLF. This costs no allocation.
    pub fn set_trailing_lines(&mut self, lines: &'static str) {
        debug_assert!(lines.is_empty() || lines.ends_with("\r\n"), "each line ends in CRLF");
        self.trailing_lines = lines;
    }

    /// Returns the lines that are written last.
    #[inline]
    pub fn trailing_lines(&self) -> &'static str {
        self.trailing_lines
    }

    /// Returns whether lines to be written last are set.
    #[inline]
    pub fn has_trailing_lines(&self) -> bool {
        !self.trailing_lines.is_empty()
    }

    /// Writes the fields as the lines of an HTTP/1.1 head, and calls `each` with every name.
    pub(crate) fn write(&self, out: &mut BytesMut, mut each: impl FnMut(&[u8])) {
        // Nearly every line arrives in the form it is written in. Consecutive ones are copied together.
        let mut run = 0..0;
        for Line { name, value } in &self.lines {
            each(self.at(*name));
            let (Range { start, end: name_end }, Range { start: value_start, end }) =
                (Range::from(*name), Range::from(*value));
            let is_canonical = self.at(name_end..value_start) == b": " && self.at(end..end + 2) == b"\r\n";
            if is_canonical && start == run.end {
                run.end = end + 2;
                continue;
            }
            out.extend_from_slice(self.at(run));
            run = if is_canonical { start..end + 2 } else { 0..0 };
            if !is_canonical {
                write_line(out, self.at(*name), self.at(*value));
            }
        }
        out.extend_from_slice(self.at(run));
        for (name, value) in &self.added {
            each(name.as_str().as_bytes());
            write_line(out, name.as_str().as_bytes(), value.as_bytes());
        }
        out.extend_from_slice(self.trailing_lines.as_bytes());
    }

    #[inline]
    fn at(&self, span: impl Into<Range<usize>>) -> &[u8] {
        self.head.get(span.into()).unwrap_or_default()
    }

    #[inline]
    fn line(&self, name: &str) -> Option<&Line> {
        self.lines_named(name).next()
    }

    #[inline]
    fn lines_named(&self, name: &str) -> impl Iterator<Item = &Line> {
        let lines = if self.names.may_have(name) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |line| self.has_name(line, name))
    }

    #[inline]
    fn added_named(&self, name: &str) -> impl Iterator<Item = &HeaderValue> {
        let added = if self.names.may_have(name) { self.added.as_slice() } else { &[] };
        added
            .iter()
            .filter(move |(added, _)| added.as_str().eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    #[inline]
    fn has_name(&self, line: &Line, name: &str) -> bool {
        line.name.len() == name.len() && self.at(line.name).eq_ignore_ascii_case(name.as_bytes())
    }

    /// Makes a map of all fields, those that are written last included.
    pub(crate) fn into_map(mut self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len() + self.added.len());
        for Line { name, value } in &self.lines {
            // Neither fails: both were checked when the head was read.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(self.at(*name)),
                HeaderValue::from_maybe_shared(self.head.slice_ref(self.at(*value))),
            ) {
                map.append(name, value);
            }
        }
        for (name, value) in self.added.drain(..) {
            map.append(name, value);
        }
        for (name, value) in self.trailing_lines.split("\r\n").filter_map(|line| line.split_once(": ")) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

fn write_line(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

impl fmt::Debug for Fields {
    /// Shows the names alone: values may be clients' keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        let lines = |fields: &Self| -> Vec<(Vec<u8>, Vec<u8>)> {
            fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect()
        };
        lines(self) == lines(other)
    }
}

impl From<HeaderMap> for Fields {
    /// Makes fields without those that frame a message of HTTP/1.1 or manage its connection: that codec writes its own,
    /// and HTTP/2 has none.
    fn from(mut map: HeaderMap) -> Self {
        map.remove(CONNECTION);
        map.remove(TRANSFER_ENCODING);
        let mut fields = Self::with_room(map.len());
        let mut repeated = None;
        // The name of each value after the first of a name is left out.
        for (name, value) in map {
            repeated = name.or(repeated);
            if let Some(name) = repeated.clone() {
                fields.append(name, value);
            }
        }
        fields
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Fields {
    /// Makes the fields of a request as they are given. Those of a response are made from a [`HeaderMap`].
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(given: I) -> Self {
        let given = given.into_iter();
        let mut fields = Self::with_room(given.size_hint().0);
        for (name, value) in given {
            fields.append(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{HeadLimits, read_lines};

    fn fields(text: &'static str) -> Fields {
        let limits = HeadLimits { bytes: 1024, fields: 20 };
        let keep = |name: &[u8], _: &[u8]| !name.eq_ignore_ascii_case(b"server");
        let lines = read_lines(text.as_bytes(), 0, limits, keep).unwrap();
        Fields::of(Bytes::from_static(text.as_bytes()), lines)
    }

    fn written(fields: &Fields) -> String {
        let mut out = BytesMut::new();
        fields.write(&mut out, |_| {});
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn fields_that_arrived_are_written_unchanged() {
        let fields = fields("ETag:\t\"a\" \r\nServer: x\r\nx-a: 1\r\nX-A: 2\r\n\r\n");
        assert_eq!(written(&fields), "ETag: \"a\"\r\nx-a: 1\r\nX-A: 2\r\n");
        assert_eq!(fields.get("etag"), Some(&b"\"a\""[..]));
        assert_eq!(fields.all("x-a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(fields.get("x-a"), Some(&b"1"[..]));
        assert_eq!(fields.get("server"), None);
        let map = fields.into_map();
        assert_eq!(
            (map.len(), map["etag"].as_bytes(), map.get_all("x-a").iter().count()),
            (3, &b"\"a\""[..], 2)
        );
    }

    #[test]
    fn a_field_that_must_not_be_repeated_has_one_value() {
        let only = |fields: &Fields, name: &str| fields.only(name).map(|value| value.map(<[u8]>::to_vec));
        let mut fields = fields("A: 1\r\nHOST: h\r\nb: 2\r\nB: 3\r\n\r\n");
        assert_eq!(only(&fields, "host"), Ok(Some(b"h".to_vec())));
        assert_eq!((only(&fields, "b"), only(&fields, "c")), (Err(Repeated), Ok(None)));
        let name = HeaderName::from_static;
        for (field, value) in [("c", "4"), ("d", "5"), ("d", "6")] {
            fields.append(name(field), HeaderValue::from_static(value));
        }
        assert_eq!((only(&fields, "c"), only(&fields, "d")), (Ok(Some(b"4".to_vec())), Err(Repeated)));
        fields.append(name("a"), HeaderValue::from_static("7"));
        assert_eq!(only(&fields, "a"), Err(Repeated));
    }

    #[test]
    fn fields_are_replaced_and_removed() {
        let mut fields = fields("ETag: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n");
        fields.insert(HeaderName::from_static("x-a"), HeaderValue::from_static("3"));
        fields.remove("etag");
        assert_eq!((written(&fields).as_str(), fields.get("x-a")), ("x-a: 3\r\n", Some(&b"3"[..])));
        fields.remove("x-a");
        assert!(fields.into_map().is_empty());
    }

    #[test]
    fn a_map_keeps_its_values_in_order() {
        let mut map = HeaderMap::new();
        for (name, value) in [("x-a", "1"), ("connection", "close"), ("x-b", "2"), ("x-a", "3"), ("x-c", "4")]
        {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut fields = Fields::from(map);
        assert_eq!(fields.all("X-A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!((fields.only("x-a"), fields.only("connection")), (Err(Repeated), Ok(None)));
        assert_eq!(fields.value("x-c"), Some(HeaderValue::from_static("4")));
        fields.insert(HeaderName::from_static("x-a"), HeaderValue::from_static("5"));
        assert_eq!(fields.all("x-a").collect::<Vec<_>>(), [b"5"]);
        let map = fields.into_map();
        assert_eq!((map.len(), map["x-b"].as_bytes()), (3, &b"2"[..]));
    }

    /// Keeps clients' keys out of logs and panics.
    #[test]
    fn debug_output_hides_values() {
        let mut fields = fields("Authorization: AWS4-HMAC-SHA256 hush\r\n\r\n");
        fields.insert(HeaderName::from_static("x-amz-security-token"), HeaderValue::from_static("hush"));
        assert_eq!(format!("{fields:?}"), r#"["Authorization", "x-amz-security-token"]"#);
    }

    #[test]
    fn equality_ignores_the_case_of_names() {
        let arrived = fields("X-A: 1\r\nx-b: 2\r\n\r\n");
        let name = HeaderName::from_static;
        let made = |b| Fields::from_iter([(name("x-a"), HeaderValue::from_static("1")), (name("x-b"), b)]);
        assert_eq!(arrived, made(HeaderValue::from_static("2")));
        assert_ne!(arrived, made(HeaderValue::from_static("3")));
    }
}
