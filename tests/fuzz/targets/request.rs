//! A request as lines, the format of inputs of several targets: `METHOD target`, then lines `name: value`.

use http::{HeaderName, HeaderValue, Method};
use http1::Fields;

pub(super) struct Lines<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) fields: Fields,
}

impl<'a> Lines<'a> {
    /// Reads an input, or returns nothing if it has another format.
    pub(super) fn read(input: &'a [u8]) -> Option<Self> {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (method, target) = std::str::from_utf8(&input[..end]).ok()?.split_once(' ')?;
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Some(Self { method, path, query, fields: fields(input.get(end + 1..).unwrap_or_default()) })
    }
}

/// Returns the fields among these lines.
pub(super) fn fields(lines: &[u8]) -> Fields {
    let mut fields = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').take(200) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            fields.push((name, value));
        }
    }
    fields.into_iter().collect()
}
