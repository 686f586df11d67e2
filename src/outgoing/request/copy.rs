//! The size of a copied object, which counts like the size of an upload.

use super::Outgoing;
use crate::authorize::mapping::{Grant, check_size};
use crate::authorize::operations::grammar::{NO_TAG, copied_range};
use crate::outgoing::payload::Payload;
use crate::refusal::{Refusal, Rule};
use crate::s3::operation::Operation;
use http::Method;
use http::header::{HeaderName, HeaderValue};
use http1::Fields;

const X_AMZ_COPY_SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const X_AMZ_COPY_SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");

/// Refuses a copied part that is larger than the scope allows.
pub(super) fn check_range(
    headers: &[(HeaderName, HeaderValue)],
    max_size: Option<u64>,
) -> Result<(), Refusal> {
    let Some((_, range)) = headers.iter().find(|(name, _)| *name == X_AMZ_COPY_SOURCE_RANGE) else {
        return Ok(());
    };
    let length = range.to_str().ok().and_then(|range| copied_range(range).ok());
    let length = length.ok_or_else(|| {
        let why =
            format!("the header {X_AMZ_COPY_SOURCE_RANGE} {range:?} is not of the form bytes=FIRST-LAST");
        Refusal::new(Rule::BadHeader, why)
    })?;
    check_size(length, max_size)
}

impl Outgoing {
    /// Returns the request for the size of a copy's source, if the scope limits it and the request does not state it.
    /// The grant of the copy includes the right to read its source.
    pub fn source_size_request(grant: &Grant<'_>, fields: &Fields) -> Option<Self> {
        grant.max_object_size()?;
        // A copy of a whole object has no range: the header is left out.
        if grant.operation() == Operation::UploadPartCopy && fields.has(X_AMZ_COPY_SOURCE_RANGE.as_str()) {
            return None;
        }
        let (path, query) = grant.copy_source_target()?;
        Some(Self {
            operation: Operation::HeadObject,
            max_size: None,
            method: Method::HEAD,
            path,
            query,
            headers: Vec::new(),
            payload: Payload::Empty,
            is_range_conditional: false,
        })
    }

    /// Returns the same copy, on the condition that the source is still the one with `etag`. Without `etag` there was
    /// no source, and the copy fails if there is one now.
    #[must_use]
    pub fn pinned_to(self, etag: Option<&HeaderValue>) -> Self {
        let mut outgoing = self;
        let wanted = outgoing.headers.iter().find(|(name, _)| *name == X_AMZ_COPY_SOURCE_IF_MATCH);
        let matches = |(_, wanted): &(HeaderName, HeaderValue)| {
            wanted == "*" || etag.is_some_and(|etag| unquoted(etag) == unquoted(wanted))
        };
        let is_wanted = wanted.is_none_or(matches);
        let condition = etag.filter(|_| is_wanted).cloned().unwrap_or(HeaderValue::from_static(NO_TAG));
        outgoing.headers.retain(|(name, _)| *name != X_AMZ_COPY_SOURCE_IF_MATCH);
        outgoing.headers.push((X_AMZ_COPY_SOURCE_IF_MATCH, condition));
        outgoing.sort();
        outgoing
    }
}

fn unquoted(etag: &HeaderValue) -> &[u8] {
    let etag = etag.as_bytes().trim_ascii();
    etag.strip_prefix(b"\"").and_then(|etag| etag.strip_suffix(b"\"")).unwrap_or(etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_range_is_limited_like_an_upload() {
        let check = |range: &'static str, max| {
            let headers = [(X_AMZ_COPY_SOURCE_RANGE, HeaderValue::from_static(range))];
            check_range(&headers, max).map_err(|refusal| refusal.rule)
        };
        assert_eq!(check("bytes=0-99", Some(100)), Ok(()));
        assert_eq!(check("bytes=0-100", Some(100)), Err(Rule::TooLarge));
        assert_eq!(check("bytes=7-106", Some(100)), Ok(()));
        assert_eq!(check("bytes=0-5368709119", None), Ok(()));
        assert_eq!(check("bytes=1-0", None), Err(Rule::BadHeader));
        assert_eq!(check_range(&[], Some(1)), Ok(()));
    }

    #[test]
    fn copies_only_the_source_that_was_checked() {
        let copy = |condition: Option<&'static str>, etag: Option<&'static str>| {
            let header = |value| (X_AMZ_COPY_SOURCE_IF_MATCH, HeaderValue::from_static(value));
            let outgoing = Outgoing {
                operation: Operation::CopyObject,
                max_size: Some(1),
                method: Method::PUT,
                path: "/tmp/a".to_owned(),
                query: String::new(),
                headers: condition.map(header).into_iter().collect(),
                payload: Payload::Empty,
                is_range_conditional: false,
            };
            let pinned = outgoing.pinned_to(etag.map(HeaderValue::from_static).as_ref());
            assert_eq!(pinned.headers().len(), 1);
            pinned.headers()[0].1.to_str().unwrap().to_owned()
        };
        assert_eq!(copy(None, Some("\"e\"")), "\"e\"");
        assert_eq!(copy(Some("*"), Some("\"e\"")), "\"e\"");
        assert_eq!(copy(Some("e"), Some("\"e\"")), "\"e\"");
        assert_eq!(copy(Some("\"f\""), Some("\"e\"")), NO_TAG);
        assert_eq!(copy(None, None), NO_TAG);
        assert_eq!(copy(Some("*"), None), NO_TAG);
    }
}
