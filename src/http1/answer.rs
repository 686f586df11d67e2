//! An answer on its way through: its fields stay in the bytes that they came in.

use super::Malformed;
use super::fields::{HeadLimits, read_fields};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::response::Parts;
use http::{Response, StatusCode};
use std::ops::Range;

/// A response of which nothing was looked at that need not be.
#[derive(Debug)]
pub struct Answer<B> {
    /// The status.
    pub status: StatusCode,
    /// The fields, without those of the connection.
    pub fields: Fields,
    /// The body.
    pub body: B,
}

impl<B> Answer<B> {
    /// The head to work with, and the body.
    pub fn into_parts(self) -> (Parts, B) {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers = self.fields.into_map();
        (parts, self.body)
    }
}

impl<B> From<Response<B>> for Answer<B> {
    fn from(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self { status: parts.status, fields: parts.headers.into(), body }
    }
}

/// As many fields of a store's answer as are kept, mostly.
const USUAL_FIELDS: usize = 12;

/// The fields of an answer: those that came, which are not copied, and those that were added.
#[derive(Debug, Default)]
pub struct Fields {
    came: Bytes,
    lines: Vec<Line>,
    /// In a box, since a store's answer mostly goes on without any.
    added: Option<Box<HeaderMap>>,
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
    /// Where `part` stands in `head`, which it is a part of.
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

impl Fields {
    /// Reads the fields of a head, where they begin at `from`, and keeps those that `keep` says of their names and values.
    ///
    /// # Errors
    /// As [`read_fields`] says.
    pub(super) fn read<'c>(
        head: &'c Bytes,
        from: usize,
        limits: HeadLimits,
        mut keep: impl FnMut(&'c [u8], &'c [u8]) -> bool,
    ) -> Result<Self, Malformed> {
        let mut lines = Vec::with_capacity(USUAL_FIELDS);
        read_fields(head.get(from..).unwrap_or_default(), limits, |name, value| {
            if keep(name, value) {
                let too_long = Malformed::message("the head is too long");
                let place = |part| Place::of(part, head).ok_or(too_long);
                lines.push(Line { name: place(name)?, value: place(value)? });
            }
            Ok(())
        })?;
        Ok(Self { came: head.clone(), lines, added: None })
    }

    /// The first value of a field. `name` is in lower case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let came = self.line(name).map(|line| self.at(line.value));
        came.or_else(|| self.added.as_ref()?.get(name).map(HeaderValue::as_bytes))
    }

    /// The first value of a field, without a copy of it. `name` is in lower case.
    pub fn value(&self, name: &str) -> Option<HeaderValue> {
        match self.line(name) {
            Some(line) => HeaderValue::from_maybe_shared(self.came.slice_ref(self.at(line.value))).ok(),
            None => self.added.as_ref()?.get(name).cloned(),
        }
    }

    /// Takes a field out. `name` is in lower case.
    pub fn remove(&mut self, name: &str) {
        if self.line(name).is_some() {
            let mut lines = std::mem::take(&mut self.lines);
            lines.retain(|line| !self.at(line.name).eq_ignore_ascii_case(name.as_bytes()));
            self.lines = lines;
        }
        if let Some(added) = &mut self.added {
            added.remove(name);
        }
    }

    /// Adds a field, in the place of what has that name.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(name.as_str());
        self.added.get_or_insert_default().insert(name, value);
    }

    /// Writes them as they stand in a head.
    pub(super) fn write(&self, out: &mut BytesMut) {
        // Nearly every line is written as it is to be, and many follow each other: those are copied together.
        let mut run = 0..0;
        for Line { name, value } in &self.lines {
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
            write_line(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }

    fn at(&self, place: impl Into<Range<usize>>) -> &[u8] {
        self.came.get(place.into()).unwrap_or_default()
    }

    fn line(&self, name: &str) -> Option<&Line> {
        let name = name.as_bytes();
        let is_it =
            |line: &&Line| line.name.len() == name.len() && self.at(line.name).eq_ignore_ascii_case(name);
        self.lines.iter().find(is_it)
    }

    fn into_map(mut self) -> HeaderMap {
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

impl From<HeaderMap> for Fields {
    /// Fields of Scopegate's own. How a message is framed, and whether another follows, is not theirs to say.
    fn from(mut added: HeaderMap) -> Self {
        added.remove(CONNECTION);
        added.remove(TRANSFER_ENCODING);
        Self { added: Some(Box::new(added)), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &'static str) -> Fields {
        let limits = HeadLimits { bytes: 1024, fields: 20 };
        let keep = |name: &[u8], _: &[u8]| !name.eq_ignore_ascii_case(b"server");
        Fields::read(&Bytes::from_static(text.as_bytes()), 0, limits, keep).unwrap()
    }

    fn written(fields: &Fields) -> String {
        let mut out = BytesMut::new();
        fields.write(&mut out);
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
}
