//! The fields of a head: they stay in the bytes that they came in.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use std::fmt;
use std::ops::Range;

/// Whether a name is this one, in any case. It is found fastest in the case in which `known` is written.
#[inline]
pub fn is_named<const N: usize>(name: &[u8], known: &[u8; N]) -> bool {
    name == known || name.eq_ignore_ascii_case(known)
}

/// A field's value as text, if it is ASCII that shows, with spaces and tabs: the values that HTTP defines are
/// (RFC 9110, section 5.5).
#[inline]
pub fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    str::from_utf8(value).ok().filter(|text| text.as_bytes().iter().all(is_visible))
}

/// As many fields as a head has, mostly.
const USUAL_FIELDS: usize = 16;

/// The fields of a message: those that came, which are not copied, and those that were added. Names are looked for in
/// any case.
#[derive(Clone, Default)]
pub struct Fields {
    came: Bytes,
    lines: Vec<Line>,
    /// In a box, since what came mostly goes on without any.
    added: Option<Box<HeaderMap>>,
    /// Whole lines that are written last, empty for most messages. They are not found by name.
    closing: &'static str,
}

/// Where a field's name and value stand. No head is so long that 32 bits do not do, and half the room is half the work
/// where many are under way.
#[derive(Clone, Copy, Debug)]
struct Line {
    name: Place,
    value: Place,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// Returns the place of `part` in `head`.
    fn of(part: &[u8], head: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(head.as_ptr().addr())?;
        Some(Self { start: start.try_into().ok()?, end: (start + part.len()).try_into().ok()? })
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

impl From<Place> for Range<usize> {
    fn from(place: Place) -> Self {
        place.start as usize..place.end as usize
    }
}

/// Where the fields of a head stand.
#[derive(Debug)]
pub(crate) struct LineOffsets(Vec<Line>);

impl LineOffsets {
    /// Makes room for as many lines as most heads have.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(USUAL_FIELDS))
    }

    /// Adds a line of `head`. `None` if the parts do not lie in it.
    pub(crate) fn push(&mut self, head: &[u8], name: &[u8], value: &[u8]) -> Option<()> {
        self.0.push(Line { name: Place::of(name, head)?, value: Place::of(value, head)? });
        Some(())
    }
}

impl Fields {
    /// Those of a head at these places.
    pub(crate) fn of(head: Bytes, places: LineOffsets) -> Self {
        Self { came: head, lines: places.0, ..Self::default() }
    }

    /// The first value of a field.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let came = self.line(name).map(|line| self.at(line.value));
        came.or_else(|| self.added.as_ref()?.get(name).map(HeaderValue::as_bytes))
    }

    /// Every value of a field, in their order.
    #[inline]
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let came = self.lines.iter().filter(move |line| self.has_name(line, name));
        let added = self.added.iter().flat_map(move |added| added.get_all(name));
        came.map(|line| self.at(line.value)).chain(added.map(HeaderValue::as_bytes))
    }

    /// Whether a field is there.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The name, as it was written, and the value of each line.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let added = self.added.iter().flat_map(|added| added.iter());
        let came = self.lines.iter().map(|line| (self.at(line.name), self.at(line.value)));
        came.chain(added.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
    }

    /// The first value of a field, without a copy of it.
    #[inline]
    pub fn value(&self, name: &str) -> Option<HeaderValue> {
        match self.line(name) {
            Some(line) => HeaderValue::from_maybe_shared(self.came.slice_ref(self.at(line.value))).ok(),
            None => self.added.as_ref()?.get(name).cloned(),
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        if self.line(name).is_some() {
            let mut lines = std::mem::take(&mut self.lines);
            lines.retain(|line| !self.has_name(line, name));
            self.lines = lines;
        }
        if let Some(added) = &mut self.added {
            added.remove(name);
        }
    }

    /// Sets a field, instead of those of that name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(name.as_str());
        self.added.get_or_insert_default().insert(name, value);
    }

    /// Sets lines that are written last, each with its CRLF. They cost no allocation.
    pub fn close_with(&mut self, lines: &'static str) {
        debug_assert!(lines.is_empty() || lines.ends_with("\r\n"), "whole lines");
        self.closing = lines;
    }

    /// The lines that are written last.
    #[inline]
    pub fn closing(&self) -> &'static str {
        self.closing
    }

    /// Whether lines to be written last were set.
    #[inline]
    pub fn is_closed(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Writes them as they stand in a head, and tells `note` of each one's name.
    pub(crate) fn write(&self, out: &mut BytesMut, mut note: impl FnMut(&[u8])) {
        // Nearly every line is written as it is to be, and many follow each other: those are copied together.
        let mut run = 0..0;
        for Line { name, value } in &self.lines {
            note(self.at(*name));
            let (Range { start, end: name_end }, Range { start: value_start, end }) =
                (Range::from(*name), Range::from(*value));
            let is_well = self.at(name_end..value_start) == b": " && self.at(end..end + 2) == b"\r\n";
            if is_well && start == run.end {
                run.end = end + 2;
                continue;
            }
            out.extend_from_slice(self.at(run));
            run = if is_well { start..end + 2 } else { 0..0 };
            if !is_well {
                write_line(out, self.at(*name), self.at(*value));
            }
        }
        out.extend_from_slice(self.at(run));
        for (name, value) in self.added.iter().flat_map(|added| added.iter()) {
            note(name.as_str().as_bytes());
            write_line(out, name.as_str().as_bytes(), value.as_bytes());
        }
        out.extend_from_slice(self.closing.as_bytes());
    }

    #[inline]
    fn at(&self, place: impl Into<Range<usize>>) -> &[u8] {
        self.came.get(place.into()).unwrap_or_default()
    }

    #[inline]
    fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| self.has_name(line, name))
    }

    #[inline]
    fn has_name(&self, line: &Line, name: &str) -> bool {
        line.name.len() == name.len() && self.at(line.name).eq_ignore_ascii_case(name.as_bytes())
    }

    pub(crate) fn into_map(mut self) -> HeaderMap {
        let added = self.added.take().map_or_else(HeaderMap::new, |added| *added);
        let mut map = HeaderMap::with_capacity(self.lines.len() + added.len());
        for Line { name, value } in &self.lines {
            // Both were read as what they are.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(self.at(*name)),
                HeaderValue::from_maybe_shared(self.came.slice_ref(self.at(*value))),
            ) {
                map.append(name, value);
            }
        }
        map.extend(added);
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
    /// Their names alone: among the values are clients' keys.
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
    /// Fields of Scopegate's own. How a message is framed, and whether another follows, is not theirs to say.
    fn from(mut added: HeaderMap) -> Self {
        added.remove(CONNECTION);
        added.remove(TRANSFER_ENCODING);
        Self { added: Some(Box::new(added)), ..Self::default() }
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Fields {
    /// Fields of a request, as they are given. Those of an answer are made of a [`HeaderMap`].
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: I) -> Self {
        Self { added: Some(Box::new(fields.into_iter().collect())), ..Self::default() }
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
    fn what_came_is_written_as_it_came() {
        let fields = fields("ETag:\t\"a\" \r\nServer: x\r\nx-a: 1\r\nX-A: 2\r\n\r\n");
        assert_eq!(written(&fields), "ETag: \"a\"\r\nx-a: 1\r\nX-A: 2\r\n");
        assert_eq!(fields.get("etag"), Some(&b"\"a\""[..]));
        assert_eq!(fields.get("x-a"), Some(&b"1"[..]));
        assert_eq!(fields.get("server"), None);
        let map = fields.into_map();
        assert_eq!(
            (map.len(), map["etag"].as_bytes(), map.get_all("x-a").iter().count()),
            (3, &b"\"a\""[..], 2)
        );
    }

    #[test]
    fn fields_are_replaced_and_taken_out() {
        let mut fields = fields("ETag: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n");
        fields.insert(HeaderName::from_static("x-a"), HeaderValue::from_static("3"));
        fields.remove("etag");
        assert_eq!((written(&fields).as_str(), fields.get("x-a")), ("x-a: 3\r\n", Some(&b"3"[..])));
        fields.remove("x-a");
        assert!(fields.into_map().is_empty());
    }

    /// A log or a panic shows no client's key.
    #[test]
    fn values_are_not_shown() {
        let mut fields = fields("Authorization: AWS4-HMAC-SHA256 hush\r\n\r\n");
        fields.insert(HeaderName::from_static("x-amz-security-token"), HeaderValue::from_static("hush"));
        assert_eq!(format!("{fields:?}"), r#"["Authorization", "x-amz-security-token"]"#);
    }

    #[test]
    fn fields_are_the_same_in_any_case_of_their_names() {
        let came = fields("X-A: 1\r\nx-b: 2\r\n\r\n");
        let name = HeaderName::from_static;
        let made = |b| Fields::from_iter([(name("x-a"), HeaderValue::from_static("1")), (name("x-b"), b)]);
        assert_eq!(came, made(HeaderValue::from_static("2")));
        assert_ne!(came, made(HeaderValue::from_static("3")));
    }
}
