//! The body of a client's request on its way to the store: streamed, counted, never collected.

use crate::outgoing::content::Content;
use crate::outgoing::payload::{Payload, check_unused};
use crate::outgoing::upload_error::UploadError;
use crate::refusal::{Refusal, Rule};
use crate::s3::checksum::Checksum;
use crate::s3::signed_body::SignedBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Empty;
use http1::body::BoxError;
use http1::splice::{Pipe, SpliceBody};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A client's body, which further attempts may send as long as none has begun to read it.
#[derive(Debug)]
pub(crate) struct Upload<B> {
    body: RefCell<Content<B>>,
    /// How a signature covers the body, until the form of the body is known.
    signed: RefCell<SignedBody>,
    length: Cell<u64>,
    begun: Cell<bool>,
    sent: Cell<u64>,
}

impl Upload<Empty<Bytes>> {
    /// Returns the body of a request that has none.
    pub(crate) fn nothing() -> Rc<Self> {
        Self::of(Content::Held(Bytes::new()), 0)
    }
}

impl<B> Upload<B> {
    /// Makes an upload from a request's body.
    pub(crate) fn new(body: B) -> Rc<Self> {
        Self::of(Content::Plain(body), 0)
    }

    /// Makes an upload from a part of `length` bytes that is held here.
    pub(crate) fn of(content: Content<B>, length: u64) -> Rc<Self> {
        Rc::new(Self {
            body: RefCell::new(content),
            signed: RefCell::default(),
            length: Cell::new(length),
            begun: Cell::new(false),
            sent: Cell::new(0),
        })
    }

    /// Sets the length in bytes, once it is known.
    pub(crate) fn set_length(&self, length: u64) {
        self.length.set(length);
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length.get()
    }

    /// Returns whether any of it was read, so that it cannot be sent again.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Returns the number of bytes passed on so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Requires the body to be what a signature covers. Must be called before anything is read.
    pub(crate) fn require(&self, signed: SignedBody) {
        match signed {
            SignedBody::Sha256(expected) => self.replace_body(|body| body.require_sha256(expected)),
            signed => *self.signed.borrow_mut() = signed,
        }
    }

    /// Prepares the body to be read in the form that the request's head announces. Must be called before anything is
    /// read.
    ///
    /// # Errors
    /// When the body does not have the form that is signed.
    pub(crate) fn begin(&self, payload: &Payload) -> Result<(), Refusal> {
        self.set_length(payload.length());
        let envelope = payload.envelope();
        let chain = match (self.signed.take(), envelope) {
            (SignedBody::Chunks(chain), Some(_)) => Some(chain),
            (SignedBody::Checksummed, Some(envelope)) if envelope.trailer.is_some() => None,
            (SignedBody::Checksummed, Some(_)) => {
                let why = "the body must end with a checksum: name it in x-amz-trailer";
                return Err(Refusal::new(Rule::PayloadForm, why));
            }
            (SignedBody::Chunks(_) | SignedBody::Checksummed, None) => {
                let why =
                    "this operation takes no chunks: sign the SHA-256 of the body in x-amz-content-sha256";
                return Err(Refusal::new(Rule::PayloadForm, why));
            }
            (SignedBody::Open | SignedBody::Sha256(_), _) => None,
        };
        if let Content::Hashed(hashed) = &*self.body.borrow() {
            if envelope.is_some() {
                let why = "the signed hash is that of a plain body, other headers say that it is aws-chunked";
                return Err(Refusal::new(Rule::PayloadForm, why));
            }
            // Nobody reads a body of no length.
            if matches!(payload, Payload::Sized(0, _)) && !hashed.expects_nothing() {
                return Err(UploadError::Sha256.into());
            }
        }
        if let Some(envelope) = envelope {
            self.replace_body(|body| body.unwrap_envelope(envelope, chain));
        }
        Ok(())
    }

    fn replace_body(&self, change: impl FnOnce(Content<B>) -> Content<B>) {
        self.body.replace_with(|body| change(std::mem::replace(body, Content::Held(Bytes::new()))));
    }

    /// Returns the verified checksum that followed the content, once the content has ended.
    pub(crate) fn trailing_checksum(&self) -> Option<Checksum> {
        self.body.borrow().trailing_checksum().cloned()
    }

    /// Returns whether the client's body has ended.
    pub(crate) fn is_over(&self) -> bool
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        match &*self.body.borrow() {
            Content::Plain(body) => body.is_end_stream(),
            Content::Hashed(hashed) => hashed.is_over(),
            _ => false,
        }
    }

    /// Reads and drops a body without meaning, so that a malformed or truncated one is refused before the request takes effect.
    ///
    /// # Errors
    /// When it breaks off or has more than `most` bytes.
    pub(crate) async fn pass_over(&self, most: u64) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let mut length = 0;
        loop {
            let frame = poll_fn(|cx| Pin::new(&mut *self.body.borrow_mut()).poll_frame(cx)).await;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame?;
            length += frame.data_ref().map_or(0, |data| data.len() as u64);
            check_unused(length, most)?;
        }
    }

    /// Returns the body for one attempt.
    pub(crate) fn attempt(self: &Rc<Self>) -> UploadBody<B> {
        UploadBody(Rc::clone(self))
    }
}

/// An [`Upload`] as the body of a request to the store.
#[derive(Debug)]
pub(crate) struct UploadBody<B>(Rc<Upload<B>>);

impl<B> Body for UploadBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let upload = &*self.0;
        if upload.sent() >= upload.length() {
            return Poll::Ready(None);
        }
        upload.begun.set(true);
        Poll::Ready(match ready!(Pin::new(&mut *upload.body.borrow_mut()).poll_frame(cx)) {
            // Trailers are not part of the object and are not passed on.
            Some(Ok(frame)) => frame.into_data().ok().map(|data| {
                upload.sent.set(upload.sent.get() + data.len() as u64);
                Ok(Frame::data(data))
            }),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.length().saturating_sub(self.0.sent()))
    }
}

impl<B> SpliceBody for UploadBody<B>
where
    B: SpliceBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    fn poll_splice(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Pipe>, UploadError>> {
        let upload = &*self.0;
        if upload.sent() >= upload.length() {
            return Poll::Ready(Ok(None));
        }
        upload.begun.set(true);
        let piece = ready!(upload.body.borrow_mut().poll_splice(cx))?;
        let length = piece.as_ref().map_or(0, Pipe::held);
        upload.sent.set(upload.sent.get() + length as u64);
        Poll::Ready(Ok(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn an_upload_knows_whether_it_has_begun_and_what_was_sent() {
        let upload = Upload::new(Full::new(Bytes::from_static(b"abc")));
        upload.set_length(3);
        let mut body = upload.attempt();
        assert!(!upload.has_begun() && !body.is_end_stream());
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&*data, upload.has_begun(), upload.sent()), (&b"abc"[..], true, 3));
        assert!(body.is_end_stream() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn an_empty_upload_is_never_begun() {
        let upload = Upload::new(Full::new(Bytes::new()));
        assert!(upload.attempt().frame().await.is_none() && !upload.has_begun());
    }
}
