//! What goes back to a client: the store's answer without what is the store's own, or a refusal.

use crate::access::AccessRecord;
use crate::body::BoxError;
use crate::listing::Pages;
use crate::refusal::{RULE_HEADER, Refusal};
use crate::representation::Representation;
use crate::representation::error::ErrorDocument;
use crate::rewrite::{Rewriter, Rewritten};
use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The body of every response; when it ends or is dropped, the request is accounted for.
pub struct ResponseBody<D: Body> {
    source: Source<D>,
    record: AccessRecord,
}

enum Source<D> {
    Store(D),
    Rewritten(Box<Rewritten<D>>),
    Own(Option<Bytes>),
    Pages(Pages),
}

/// The body of an answer that Scopegate made.
pub enum Made {
    /// None, where the method is HEAD.
    Nothing,
    /// All of it.
    Whole(Bytes),
    /// A list that goes on as it is taken.
    Pages(Pages),
}

/// Keeps of a store's headers what S3 clients know. What is left out says who the store is, grants other origins
/// access, or belongs to the connection.
pub fn strip(headers: &mut HeaderMap) {
    let strange: Vec<HeaderName> = headers.keys().filter(|name| !is_known(name.as_str())).cloned().collect();
    for name in strange {
        headers.remove(name);
    }
}

/// Whether a header is looked at at all, in whatever case its name is written: the rest need not be read.
pub fn is_wanted(name: &str) -> bool {
    if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-")) {
        return true;
    }
    let mut lower = [0; 24];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    str::from_utf8(lower).is_ok_and(|name| is_known(name) || name == "x-minio-error-code")
}

fn is_known(name: &str) -> bool {
    matches!(
        name,
        "accept-ranges"
            | "age"
            | "cache-control"
            | "content-disposition"
            | "content-encoding"
            | "content-language"
            | "content-length"
            | "content-range"
            | "content-type"
            | "date"
            | "etag"
            | "expires"
            | "last-modified"
            | "retry-after"
    ) || (name.starts_with("x-amz-") && name != "x-amz-security-token")
}

/// Passes a store's answer on, with the client's names in the place of the store's.
pub fn relay<D: Body>(
    answer: Response<D>,
    rewriter: Option<Box<Rewriter>>,
    record: AccessRecord,
) -> Response<ResponseBody<D>> {
    let (mut parts, body) = answer.into_parts();
    let Some(rewriter) = rewriter.filter(|it| it.concerns(parts.status) && !body.is_end_stream()) else {
        return stripped(parts, Source::Store(body), record);
    };
    // Names differ in length.
    parts.headers.remove(header::CONTENT_LENGTH);
    stripped(parts, Source::Rewritten(Box::new(Rewritten::new(body, rewriter))), record)
}

/// Passes on an answer of the store whose body was read to be looked at.
pub fn relay_read<D: Body>(
    mut parts: http::response::Parts,
    body: Bytes,
    rewriter: Option<Box<Rewriter>>,
    mut record: AccessRecord,
) -> Response<ResponseBody<D>> {
    let rewritten = match rewriter.filter(|rewriter| rewriter.concerns(parts.status)) {
        Some(rewriter) => rewriter.rewrite(&body).map(Bytes::from),
        None => Ok(body),
    };
    let body = rewritten.unwrap_or_else(|error| {
        record.note(&error);
        Bytes::new()
    });
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    stripped(parts, Source::Own(Some(body)), record)
}

/// A document of Scopegate's own, in the place of an answer of the store.
pub fn own_document(document: String) -> (http::response::Parts, Bytes) {
    let mut parts = Response::new(()).into_parts().0;
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    (parts, document.into())
}

fn stripped<D: Body>(
    mut parts: http::response::Parts,
    source: Source<D>,
    mut record: AccessRecord,
) -> Response<ResponseBody<D>> {
    strip(&mut parts.headers);
    parts.version = http::Version::HTTP_11;
    let upstream_id = parts.headers.get(&X_AMZ_REQUEST_ID).cloned();
    if upstream_id.is_none()
        && let Ok(id) = HeaderValue::from_str(record.request_id())
    {
        parts.headers.insert(X_AMZ_REQUEST_ID, id);
    }
    record.answered(parts.status, upstream_id);
    Response::from_parts(parts, ResponseBody { source, record })
}

/// Answers with what Scopegate made of the store's answers.
pub fn make<D: Body>(answer: Response<Made>, mut record: AccessRecord) -> Response<ResponseBody<D>> {
    let (mut parts, body) = answer.into_parts();
    let upstream_id = parts.headers.remove(&X_AMZ_REQUEST_ID);
    record.answered(parts.status, upstream_id);
    if let Ok(id) = HeaderValue::from_str(record.request_id()) {
        parts.headers.insert(X_AMZ_REQUEST_ID, id);
    }
    let source = match body {
        Made::Nothing => Source::Own(None),
        Made::Pages(pages) => Source::Pages(pages),
        Made::Whole(body) => {
            parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
            Source::Own(Some(body).filter(|body| !body.is_empty()))
        }
    };
    Response::from_parts(parts, ResponseBody { source, record })
}

/// Answers with a refusal, in this form. `path` is the request's path as the client wrote it.
pub fn refuse<D: Body>(
    refusal: &Refusal,
    form: Representation,
    path: &str,
    mut record: AccessRecord,
) -> Response<ResponseBody<D>> {
    record.refused(refusal);
    let mapping = record.mapping_name();
    let document = ErrorDocument::of(refusal, mapping.as_deref(), path, record.request_id());
    let body = document.body(form);
    let mut response = Response::new(());
    *response.status_mut() = refusal.rule.status();
    let headers = response.headers_mut();
    form.describe(headers);
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(RULE_HEADER, HeaderValue::from_static(refusal.rule.name()));
    if let Ok(id) = HeaderValue::from_str(record.request_id()) {
        headers.insert(X_AMZ_REQUEST_ID, id);
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response.map(|()| ResponseBody { source: Source::Own(Some(body)), record })
}

impl<D: Body> Drop for ResponseBody<D> {
    fn drop(&mut self) {
        let whole = match &self.source {
            Source::Store(body) => body.is_end_stream(),
            Source::Rewritten(body) => body.is_over(),
            Source::Pages(pages) => pages.is_end_stream(),
            Source::Own(_) => true,
        };
        if !whole {
            self.record.cut_short();
        }
    }
}

impl<D> Body for ResponseBody<D>
where
    D: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Store(body) => Pin::new(body).poll_frame(cx),
            Source::Rewritten(body) => Pin::new(body).poll_frame(cx),
            Source::Own(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Source::Pages(pages) => Pin::new(pages).poll_frame(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                this.record.sent(frame.data_ref().map_or(0, |data| data.len() as u64));
            }
            Poll::Ready(Some(Err(error))) => this.record.broken(error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Store(body) => body.is_end_stream(),
            Source::Rewritten(body) => body.is_end_stream(),
            Source::Own(body) => body.is_none(),
            Source::Pages(pages) => pages.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Store(body) => body.size_hint(),
            Source::Rewritten(body) => body.size_hint(),
            Source::Own(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Source::Pages(pages) => pages.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_stores_own_is_left_out() {
        let mut headers = HeaderMap::new();
        for name in [
            "etag",
            "content-length",
            "x-amz-meta-a",
            "x-amz-version-id",
            "server",
            "vary",
            "set-cookie",
            "x-minio-error-code",
            "access-control-allow-origin",
            "access-control-allow-credentials",
            "connection",
            "transfer-encoding",
            "location",
            "strict-transport-security",
            "x-amz-security-token",
            "x-minio-deployment-id",
            "www-authenticate",
        ] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        assert!(
            headers.keys().all(|name| !is_known(name.as_str()) || is_wanted(&name.as_str().to_uppercase()))
        );
        assert!(
            is_wanted("X-Minio-Error-Code")
                && !is_wanted("Server")
                && !is_wanted("Strict-Transport-Security")
        );
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "etag", "x-amz-meta-a", "x-amz-version-id"]);
    }
}
