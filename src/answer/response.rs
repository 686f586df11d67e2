//! Builds responses to clients: the store's response without its private headers, Scopegate's own, or a refusal.

use crate::answer::listing::Pages;
use crate::answer::representation::Representation;
use crate::answer::representation::error::ErrorDocument;
use crate::answer::rewrite::{Rewriter, Rewritten};
use crate::bounds::holdings::Holdings;
use crate::identify::browser;
use crate::refusal::{RULE_HEADER, Refusal};
use crate::store::response_fields::ERROR_CODE;
use crate::telemetry::access::AccessRecord;
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http1::body::BoxError;
use http1::splice::{Pipe, SpliceBody};
use http1::{Fields, PeerState, Response};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const ERROR_MESSAGE: HeaderName = HeaderName::from_static("x-minio-error-desc");
const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The body of every response. The request's record is written when the body ends or is dropped.
pub(crate) struct ResponseBody<D: Body> {
    source: Source<D>,
    record: Box<AccessRecord>,
    /// The request's permits and memory, held until this is dropped.
    holdings: Option<Holdings>,
}

enum Source<D> {
    Store(D),
    Rewritten(Box<Rewritten<D>>),
    Own(Option<Bytes>),
    Pages(Box<Pages>),
}

/// The body of a response that Scopegate makes itself.
pub(crate) enum LocalBody {
    /// No body, as for HEAD.
    Nothing,
    /// The whole body.
    Whole(Bytes),
    /// A list whose pages are requested as the client becomes ready for them.
    Pages(Pages),
}

/// Passes on a response of the store, with the client's names instead of the store's.
pub(crate) fn relay<D: Body>(
    answer: Response<D>,
    rewriter: Option<Box<Rewriter>>,
    record: Box<AccessRecord>,
) -> Response<ResponseBody<D>> {
    let Response { status, mut fields, body } = answer;
    let Some(rewriter) = rewriter.filter(|it| it.concerns(status) && !body.is_end_stream()) else {
        return stripped(status, fields, Source::Store(body), record);
    };
    // Names differ in length.
    fields.remove("content-length");
    stripped(status, fields, Source::Rewritten(Box::new(Rewritten::new(body, rewriter))), record)
}

/// Passes on a response of the store whose body was read to inspect it.
pub(crate) fn relay_read<D: Body>(
    mut parts: http::response::Parts,
    body: Bytes,
    rewriter: Option<Box<Rewriter>>,
    mut record: Box<AccessRecord>,
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
    stripped(parts.status, parts.headers.into(), Source::Own(Some(body)), record)
}

/// Makes one of Scopegate's own responses in this form.
pub(crate) fn local(
    form: Representation,
    status: StatusCode,
    body: LocalBody,
) -> Box<http::Response<LocalBody>> {
    let mut response = Box::new(http::Response::new(body));
    *response.status_mut() = status;
    form.describe(response.headers_mut());
    response
}

fn stripped<D: Body>(
    status: StatusCode,
    mut fields: Fields,
    source: Source<D>,
    mut record: Box<AccessRecord>,
) -> Response<ResponseBody<D>> {
    fields.remove(ERROR_CODE);
    let id = fields.get(X_AMZ_REQUEST_ID.as_str());
    record.answered(status, id);
    if id.is_none()
        && let Ok(id) = HeaderValue::from_str(record.request_id().as_str())
    {
        fields.insert(X_AMZ_REQUEST_ID, id);
    }
    browser::confine(&mut fields);
    Response { status, fields, body: ResponseBody { source, record, holdings: None } }
}

/// Completes a response that Scopegate made.
pub(crate) fn make<D: Body>(
    answer: http::Response<LocalBody>,
    mut record: Box<AccessRecord>,
) -> Response<ResponseBody<D>> {
    let (mut parts, body) = answer.into_parts();
    let upstream_id = parts.headers.remove(&X_AMZ_REQUEST_ID);
    record.answered(parts.status, upstream_id.as_ref().map(HeaderValue::as_bytes));
    if let Ok(id) = HeaderValue::from_str(record.request_id().as_str()) {
        parts.headers.insert(X_AMZ_REQUEST_ID, id);
    }
    let source = match body {
        LocalBody::Nothing => Source::Own(None),
        LocalBody::Pages(pages) => Source::Pages(Box::new(pages)),
        LocalBody::Whole(body) => {
            parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
            Source::Own(Some(body).filter(|body| !body.is_empty()))
        }
    };
    let mut fields = Fields::from(parts.headers);
    browser::confine(&mut fields);
    Response { status: parts.status, fields, body: ResponseBody { source, record, holdings: None } }
}

/// Responds with a refusal in this form. `path` is the request's path as the client wrote it, `back` a reference to
/// the nearest folder that the client may see.
pub(crate) fn refuse<D: Body>(
    refusal: &Refusal,
    form: Representation,
    (path, back): (&str, Option<&str>),
    mut record: Box<AccessRecord>,
) -> Response<ResponseBody<D>> {
    record.refused(refusal);
    let mapping = record.own_mapping_name();
    let id = record.request_id();
    let document = ErrorDocument::of(refusal, mapping.as_deref(), path, id.as_str()).with_way_back(back);
    let body = document.body(form);
    let mut headers = HeaderMap::new();
    form.describe(&mut headers);
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(RULE_HEADER, HeaderValue::from_static(refusal.rule.name()));
    if let Ok(id) = HeaderValue::from_str(record.request_id().as_str()) {
        headers.insert(X_AMZ_REQUEST_ID, id);
    }
    if let Some(verbs) = refusal.allow {
        headers.insert(header::ALLOW, verbs.allow());
    }
    for challenge in refusal.challenges() {
        headers.append(header::WWW_AUTHENTICATE, challenge.header().clone());
    }
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    let body = ResponseBody { source: Source::Own(Some(body)), record, holdings: None };
    let mut fields = Fields::from(headers);
    browser::confine(&mut fields);
    Response { status: refusal.status(), fields, body }
}

/// Names the error of a response without a body in its head, as MinIO does. `mc` reads it: otherwise it takes every
/// refused HEAD for a lack of rights, and accepts a wrong secret.
pub(crate) fn name_error(fields: &mut Fields, refusal: &Refusal) {
    fields.insert(HeaderName::from_static(ERROR_CODE), HeaderValue::from_static(refusal.rule.code()));
    if let Ok(message) = HeaderValue::try_from(format!("\"{}\"", refusal.message)) {
        fields.insert(ERROR_MESSAGE, message);
    }
}

impl<D: Body> ResponseBody<D> {
    /// Keeps the request's permits and memory until the body ends or is dropped.
    pub(crate) fn hold(&mut self, holdings: Holdings) {
        self.holdings = Some(holdings);
    }

    /// Notes what the client did before it had the response.
    pub(crate) fn note_peer(&mut self, peer: PeerState) {
        match peer {
            PeerState::Open => {}
            PeerState::Ended => self.record.client_ended(),
            PeerState::Gone => self.record.cut_short(),
        }
    }
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
            Source::Pages(pages) => Pin::new(&mut **pages).poll_frame(cx),
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

impl<D> SpliceBody for ResponseBody<D>
where
    D: SpliceBody<Data = Bytes, Error = BoxError> + Unpin,
{
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, BoxError>> {
        let Source::Store(body) = &mut self.source else { return Poll::Ready(Ok(None)) };
        let piece = ready!(body.poll_splice(cx));
        match &piece {
            Ok(Some(pipe)) => self.record.sent(pipe.held() as u64),
            Ok(None) => {}
            Err(error) => self.record.broken(error),
        }
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::client::Client;
    use crate::identify::client::tests::{connection, listener};
    use crate::refusal::{Challenge, Rule};
    use crate::telemetry::access::Recorded;
    use crate::telemetry::metrics::Metrics;
    use http::Method;
    use http_body_util::Empty;
    use std::sync::Arc;

    type NoBody = http_body_util::combinators::MapErr<Empty<Bytes>, fn(std::convert::Infallible) -> BoxError>;

    fn refused(refusal: &Refusal) -> Response<ResponseBody<NoBody>> {
        let connection = connection(None, listener("main"));
        let client = Client::of_connection(&connection);
        let record = AccessRecord::begin(
            Arc::new(Metrics::default()),
            &client,
            Recorded::default(),
            &Method::GET,
            None,
        );
        refuse(refusal, Representation::S3, ("/", None), record)
    }

    #[test]
    fn an_error_is_named_in_the_head() {
        for (message, shown) in [("Access Denied.", Some("\"Access Denied.\"")), ("two\nlines", None)] {
            let mut fields = Fields::default();
            name_error(&mut fields, &Refusal::new(Rule::WrongSignature, message));
            assert_eq!(fields.get("x-minio-error-code"), Some(&b"SignatureDoesNotMatch"[..]));
            assert_eq!(fields.get("x-minio-error-desc"), shown.map(str::as_bytes));
        }
    }

    #[test]
    fn challenges_have_a_line_each() {
        let challenge = |text| Challenge::new(HeaderValue::from_static(text));
        let both = vec![challenge("Bearer realm=\"s3\""), challenge("Basic realm=\"s3\"")];
        let refusal = Refusal::new(Rule::CredentialsRequired, "who are you?").challenging(both);
        let challenged = refused(&refusal);
        assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
        let lines: Vec<&[u8]> = challenged.fields.all("www-authenticate").collect();
        assert_eq!(lines, [&b"Bearer realm=\"s3\""[..], b"Basic realm=\"s3\""]);
        assert!(!refused(&Refusal::new(Rule::NoMapping, "no")).fields.has("www-authenticate"));
    }
}
